#include "libs/store/etcd/link.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace coxswain::store::etcd {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Error broken(const std::string& why) { return make_error(ErrorCode::kUnavailable, why); }

Result<Addresses> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) return broken(std::string("its name cannot be looked up: ") + ::gai_strerror(code));
  return Addresses(found, &::freeaddrinfo);
}

bool is_address(const std::string& host) {
  in6_addr any{};
  return ::inet_pton(AF_INET, host.c_str(), &any) == 1 || ::inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

class OpenSslCredentials : public Credentials {
 public:
  OpenSslCredentials() : context_(SSL_CTX_new(TLS_client_method())) {}
  ~OpenSslCredentials() override { SSL_CTX_free(context_); }
  OpenSslCredentials(const OpenSslCredentials&) = delete;
  OpenSslCredentials& operator=(const OpenSslCredentials&) = delete;
  SSL_CTX* context() const { return context_; }

  Result<void> load(const EtcdStoreOptions& options) {
    if (context_ == nullptr) return make_error(ErrorCode::kInternal, "no memory for TLS");
    SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    const unsigned char h2[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context_, h2, sizeof h2);
    ERR_clear_error();
    const bool trusts = options.ca_path.empty()
                            ? SSL_CTX_set_default_verify_paths(context_) == 1
                            : SSL_CTX_load_verify_locations(context_, options.ca_path.c_str(), nullptr) == 1;
    if (!trusts) return refuse(options.ca_path, "etcd's CA certificate, in PEM");
    if (options.certificate_path.empty()) return {};
    if (SSL_CTX_use_certificate_chain_file(context_, options.certificate_path.c_str()) != 1)
      return refuse(options.certificate_path, "a client certificate for etcd, in PEM");
    if (SSL_CTX_use_PrivateKey_file(context_, options.key_path.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context_) != 1)
      return refuse(options.key_path, "the key of " + options.certificate_path + ", in PEM");
    return {};
  }

 private:
  static Error refuse(const std::string& path, const std::string& wanted) {
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    ERR_clear_error();
    return make_error(ErrorCode::kInvalidArgument, path + " must be " + wanted + ": " +
                                                       (reason != nullptr ? reason : "it cannot be used"));
  }

  SSL_CTX* const context_;
};

class PlainLink : public Link {
 public:
  explicit PlainLink(Addresses addresses) : addresses_(std::move(addresses)), next_(addresses_.get()) {}
  ~PlainLink() override { close_socket(); }
  PlainLink(const PlainLink&) = delete;
  PlainLink& operator=(const PlainLink&) = delete;

  // One address after the other.
  Result<bool> connect() override {
    while (fd_ < 0 || !connected_) {
      int code = fd_ < 0 ? start_next() : finish();
      if (code == EINPROGRESS) return wants(POLLOUT, false);
      if (code == 0) {
        connected_ = true;
      } else if (close_socket(); next_ == nullptr) {
        return broken(std::strerror(code));
      }
    }
    return true;
  }
  Result<std::size_t> read(char* buffer, std::size_t size) override {
    const auto n = ::recv(fd_, buffer, size, 0);
    if (n > 0) return static_cast<std::size_t>(n);
    if (n == 0) return broken("it closed the connection");
    if (errno == EAGAIN || errno == EINTR) return wants(POLLIN, std::size_t{0});
    return broken(std::strerror(errno));
  }
  Result<std::size_t> write(std::string_view bytes) override {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN || errno == EINTR) return wants(POLLOUT, std::size_t{0});
    return broken(std::strerror(errno));
  }
  int descriptor() const override { return fd_; }
  short waits_for() const override { return waits_for_; }

 protected:
  template <typename T>
  T wants(short what, T value) {
    waits_for_ = what;
    return value;
  }
  short waits_for_ = POLLIN;

 private:
  int start_next() {
    const addrinfo* at = next_;
    if (at == nullptr) return EADDRNOTAVAIL;
    next_ = at->ai_next;
    fd_ = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return errno;
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return ::connect(fd_, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
  }
  int finish() const {
    pollfd waiter{fd_, POLLOUT, 0};
    if (::poll(&waiter, 1, 0) == 0) return EINPROGRESS;
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &code, &size);
    return code;
  }
  void close_socket() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  const Addresses addresses_;
  const addrinfo* next_;
  int fd_ = -1;
  bool connected_ = false;
};

class TlsLink : public PlainLink {
 public:
  TlsLink(Addresses addresses, SSL_CTX* context, std::string host)
      : PlainLink(std::move(addresses)), ssl_(SSL_new(context)), host_(std::move(host)) {
    if (ssl_ == nullptr) return;
    SSL_set_connect_state(ssl_);
    if (is_address(host_)) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host_.c_str());
    } else {
      SSL_set1_host(ssl_, host_.c_str());
      SSL_set_tlsext_host_name(ssl_, host_.c_str());
    }
  }
  ~TlsLink() override { SSL_free(ssl_); }
  TlsLink(const TlsLink&) = delete;
  TlsLink& operator=(const TlsLink&) = delete;

  Result<bool> connect() override {
    if (ssl_ == nullptr) return broken("no memory for a connection");
    COX_ASSIGN_OR_RETURN(const bool connected, PlainLink::connect());
    if (!connected) return false;
    if (SSL_get_fd(ssl_) < 0) SSL_set_fd(ssl_, descriptor());
    const int done = step([this] { return SSL_do_handshake(ssl_); });
    if (done == 1) return true;
    COX_RETURN_IF_ERROR(lack(done));
    return false;
  }
  Result<std::size_t> read(char* buffer, std::size_t size) override {
    std::size_t n = 0;
    const int done = step([&] { return SSL_read_ex(ssl_, buffer, size, &n); });
    if (done != 1) COX_RETURN_IF_ERROR(lack(done));
    return n;
  }
  Result<std::size_t> write(std::string_view bytes) override {
    std::size_t n = 0;
    const int done = step([&] { return SSL_write_ex(ssl_, bytes.data(), bytes.size(), &n); });
    if (done != 1) COX_RETURN_IF_ERROR(lack(done));
    return n;
  }

 private:
  template <typename Step>
  static int step(Step what) {
    ERR_clear_error();
    return what();
  }
  // Fine when it only has to wait.
  Result<void> lack(int done) {
    const int why = SSL_get_error(ssl_, done);
    if (why == SSL_ERROR_WANT_READ) return wants(POLLIN, Result<void>());
    if (why == SSL_ERROR_WANT_WRITE) return wants(POLLOUT, Result<void>());
    if (why == SSL_ERROR_ZERO_RETURN) return broken("it closed the connection");
    const unsigned long code = ERR_peek_last_error();
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) return distrust();
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && is_refusal(ERR_GET_REASON(code))) {
      return make_error(ErrorCode::kPermissionDenied,
                        std::string("it refuses our client certificate (") + ERR_reason_error_string(code) +
                            "): give one that etcd's client CA signed with --etcd-certfile and "
                            "--etcd-keyfile");
    }
    if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
      return broken("it does not speak TLS: check the port, or leave out the --etcd-*file flags");
    if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING && SSL_is_init_finished(ssl_) == 0)
      return broken("it does not speak TLS, or ends the handshake: check the port and its own log");
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return broken(reason != nullptr ? std::string("TLS: ") + reason : "the connection broke");
  }
  Error distrust() const {
    const long result = SSL_get_verify_result(ssl_);
    const bool name = result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH;
    return make_error(ErrorCode::kPermissionDenied,
                      name ? "its certificate is not for " + host_ +
                                 ": use a name that it is for, or give etcd another certificate"
                           : std::string("its certificate is not trusted (") +
                                 X509_verify_cert_error_string(result) +
                                 "): give the CA that signed it with --etcd-cafile");
  }
  static bool is_refusal(int reason) {
    switch (reason) {
      case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
      case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return true;
      default:
        return false;
    }
  }

  SSL* const ssl_;
  const std::string host_;
};

}  // namespace

Result<std::unique_ptr<Credentials>> load_credentials(const EtcdStoreOptions& options) {
  auto credentials = std::make_unique<OpenSslCredentials>();
  COX_RETURN_IF_ERROR(credentials->load(options));
  return std::unique_ptr<Credentials>(std::move(credentials));
}

Result<std::unique_ptr<Link>> open_link(const EtcdEndpoint& endpoint, Credentials* credentials) {
  COX_ASSIGN_OR_RETURN(Addresses addresses, look_up(endpoint.host, endpoint.port));
  if (credentials == nullptr) return std::unique_ptr<Link>(std::make_unique<PlainLink>(std::move(addresses)));
  SSL_CTX* context = static_cast<OpenSslCredentials*>(credentials)->context();
  return std::unique_ptr<Link>(std::make_unique<TlsLink>(std::move(addresses), context, endpoint.host));
}

bool is_loopback(const std::string& host) {
  const Result<Addresses> found = look_up(host, 0);
  if (!found.ok()) return false;
  for (const addrinfo* at = found->get(); at != nullptr; at = at->ai_next) {
    if (at->ai_family == AF_INET) {
      const auto* four = reinterpret_cast<const sockaddr_in*>(at->ai_addr);
      if (ntohl(four->sin_addr.s_addr) >> 24 != 127) return false;
    } else if (at->ai_family != AF_INET6 ||
               !IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(at->ai_addr)->sin6_addr)) {
      return false;
    }
  }
  return true;
}

}  // namespace coxswain::store::etcd
