#include "libs/http/transport.h"

#include <cerrno>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace coxswain::http {
namespace {

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(int fd) : fd_(fd) {}
  Status handshake() override { return Status::kOk; }

  Status read(char* buffer, std::size_t size, std::size_t& taken) override {
    const ssize_t n = recv(fd_, buffer, size, 0);
    taken = n > 0 ? static_cast<std::size_t>(n) : 0;
    if (n >= 0) return n > 0 ? Status::kOk : Status::kEnd;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Status::kWantRead : Status::kClosed;
  }

  Status write(std::string_view bytes, std::size_t& taken) override {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    taken = n > 0 ? static_cast<std::size_t>(n) : 0;
    if (n >= 0) return Status::kOk;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Status::kWantWrite : Status::kClosed;
  }

  bool pending() const override { return false; }
  void close_notify() override {}
  PeerIdentity peer() const override { return {}; }

 private:
  int fd_;
};

void append_names(X509_NAME* name, int nid, std::vector<std::string>& out) {
  for (int at = X509_NAME_get_index_by_NID(name, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(name, nid, at)) {
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size < 0) continue;
    out.emplace_back(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
  }
}

class TlsTransport final : public Transport {
 public:
  TlsTransport(SSL_CTX* context, int fd) : ssl_(SSL_new(context)) {
    if (ssl_ == nullptr) return;
    SSL_set_fd(ssl_, fd);
    SSL_set_accept_state(ssl_);
  }
  ~TlsTransport() override { SSL_free(ssl_); }
  TlsTransport(const TlsTransport&) = delete;
  TlsTransport& operator=(const TlsTransport&) = delete;

  Status handshake() override {
    if (ssl_ == nullptr) return Status::kClosed;
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_);
    if (done != 1 && ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST) explain_tls();
    return status_of(done);
  }

  Status read(char* buffer, std::size_t size, std::size_t& taken) override {
    ERR_clear_error();
    taken = 0;
    return status_of(SSL_read_ex(ssl_, buffer, size, &taken));
  }

  Status write(std::string_view bytes, std::size_t& taken) override {
    ERR_clear_error();
    taken = 0;
    return status_of(SSL_write_ex(ssl_, bytes.data(), bytes.size(), &taken));
  }

  bool pending() const override { return SSL_has_pending(ssl_) == 1; }

  void close_notify() override {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }

  PeerIdentity peer() const override {
    PeerIdentity identity;
    X509* certificate = SSL_get0_peer_certificate(ssl_);
    if (certificate == nullptr || SSL_get_verify_result(ssl_) != X509_V_OK) return identity;
    X509_NAME* name = X509_get_subject_name(certificate);
    std::vector<std::string> common_names;
    append_names(name, NID_commonName, common_names);
    append_names(name, NID_organizationName, identity.organizations);
    if (!common_names.empty()) identity.common_name = common_names.back();
    return identity;
  }

 private:
  Status status_of(int result) const {
    if (result == 1) return Status::kOk;
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
        return Status::kWantRead;
      case SSL_ERROR_WANT_WRITE:
        return Status::kWantWrite;
      case SSL_ERROR_ZERO_RETURN:
        return Status::kEnd;
      default:
        return Status::kClosed;
    }
  }

  // Somebody speaks plain HTTP to us; the connection ends, but not without a word. What they sent is read
  // first, because closing a socket with unread bytes would take the answer back.
  void explain_tls() {
    static constexpr std::string_view kAnswer =
        "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        "Client sent an HTTP request to an HTTPS server.\n";
    const int fd = SSL_get_fd(ssl_);
    char unread[4096];
    for (int i = 0; i < 16 && recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0; ++i) {
    }
    if (send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) shutdown(fd, SHUT_WR);
  }

  SSL* ssl_;
};

class TlsContextImpl final : public TlsContext {
 public:
  explicit TlsContextImpl(SSL_CTX* context) : context_(context) {}
  ~TlsContextImpl() override { SSL_CTX_free(context_); }
  std::unique_ptr<Transport> accept(int fd) override { return std::make_unique<TlsTransport>(context_, fd); }

 private:
  SSL_CTX* context_;
};

int select_http_1_1(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                    unsigned in_size, void*) {
  static constexpr unsigned char kProtocols[] = "\x08http/1.1";
  const int found =
      SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kProtocols, 9, in, in_size);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

std::unique_ptr<Transport> plain_transport(int fd) { return std::make_unique<PlainTransport>(fd); }

Result<std::shared_ptr<TlsContext>> make_tls_context(const TlsConfig& config) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) return make_error(ErrorCode::kInternal, "TLS: " + openssl_error());
  auto owner = std::make_shared<TlsContextImpl>(context);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  static constexpr unsigned char kSessionContext[] = "coxswain";
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof(kSessionContext) - 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_alpn_select_cb(context, select_http_1_1, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context, config.certificate_pem_path.c_str()) != 1) {
    return make_error(ErrorCode::kInvalidArgument,
                      "cannot use certificate " + config.certificate_pem_path + ": " + openssl_error());
  }
  if (SSL_CTX_use_PrivateKey_file(context, config.key_pem_path.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return make_error(ErrorCode::kInvalidArgument,
                      "cannot use private key " + config.key_pem_path + ": " + openssl_error());
  }
  if (!config.client_ca_pem_path.empty()) {
    if (SSL_CTX_load_verify_locations(context, config.client_ca_pem_path.c_str(), nullptr) != 1) {
      return make_error(ErrorCode::kInvalidArgument,
                        "cannot use client CA " + config.client_ca_pem_path + ": " + openssl_error());
    }
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(config.client_ca_pem_path.c_str()));
    SSL_CTX_set_verify(
        context, SSL_VERIFY_PEER | (config.require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
  }
  return std::static_pointer_cast<TlsContext>(owner);
}

}  // namespace coxswain::http
