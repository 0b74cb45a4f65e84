#include "libs/store/peer/tls_stream.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <fcntl.h>

namespace coxswain::store {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSilenceMs = 10'000;  // of whoever connected to us

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason != nullptr ? reason : "the connection broke";
}

// A descriptor that is closed with the object.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::vector<std::string> names(X509* certificate, int nid) {
  std::vector<std::string> out;
  X509_NAME* subject = X509_get_subject_name(certificate);
  for (int at = X509_NAME_get_index_by_NID(subject, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(subject, nid, at)) {
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) continue;
    out.emplace_back(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
  }
  return out;
}

// The socket does not block; every wait is a poll with a deadline, so that shut() and time-outs are felt.
class Stream : public TlsStream {
 public:
  Stream(SSL_CTX* context, Socket socket, std::int64_t timeout_ms, std::int64_t silence_ms)
      : socket_(std::move(socket)), ssl_(SSL_new(context)), timeout_ms_(timeout_ms) {
    const int on = 1;
    const int most_ms = static_cast<int>(silence_ms);
    ::setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket_.fd(), IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms, sizeof most_ms);
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (ssl_ != nullptr) SSL_set_fd(ssl_, socket_.fd());
  }
  ~Stream() override { SSL_free(ssl_); }

  Result<void> handshake(bool server) {
    if (ssl_ == nullptr) return make_error(ErrorCode::kInternal, "no memory for a connection");
    server ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
    COX_RETURN_IF_ERROR(until(timeout_ms_, [&] { return SSL_do_handshake(ssl_); }));
    X509* certificate = SSL_get0_peer_certificate(ssl_);
    if (certificate == nullptr || SSL_get_verify_result(ssl_) != X509_V_OK)
      return make_error(ErrorCode::kPermissionDenied, "it has no certificate of this cluster");
    const std::vector<std::string> common = names(certificate, NID_commonName);
    if (common.size() == 1) common_name_ = common.front();
    organizations_ = names(certificate, NID_organizationName);
    return {};
  }

  Result<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::size_t taken = 0;
      COX_RETURN_IF_ERROR(
          until(timeout_ms_, [&] { return SSL_write_ex(ssl_, bytes.data(), bytes.size(), &taken); }));
      bytes.remove_prefix(taken);
    }
    return {};
  }

  Result<std::string> read(std::size_t size, std::int64_t timeout_ms) override {
    std::string out;
    out.reserve(std::min<std::size_t>(size, 1u << 20));
    char buffer[16 * 1024];
    while (out.size() < size) {
      std::size_t taken = 0;
      const std::size_t most = std::min(sizeof buffer, size - out.size());
      COX_RETURN_IF_ERROR(until(timeout_ms, [&] { return SSL_read_ex(ssl_, buffer, most, &taken); }));
      out.append(buffer, taken);
    }
    return out;
  }

  bool alive() const override {
    pollfd state{socket_.fd(), POLLRDHUP, 0};
    return ::poll(&state, 1, 0) == 0;
  }

  void shut() override {
    shut_ = true;
    ::shutdown(socket_.fd(), SHUT_RDWR);
  }
  const std::string& common_name() const override { return common_name_; }
  const std::vector<std::string>& organizations() const override { return organizations_; }

 private:
  template <typename Step>
  Result<void> until(std::int64_t timeout_ms, Step step) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
    for (;;) {
      if (shut_) return make_error(ErrorCode::kUnavailable, "the connection was closed");
      ERR_clear_error();
      const int done = step();
      if (done == 1) return {};
      const int why = SSL_get_error(ssl_, done);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return make_error(ErrorCode::kUnavailable, openssl_error());
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (timeout_ms > 0 && left <= 0)
        return make_error(ErrorCode::kDeadlineExceeded, "the other side does not answer");
      pollfd waiter{socket_.fd(), static_cast<short>(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
      ::poll(&waiter, 1, timeout_ms > 0 ? static_cast<int>(left) + 1 : -1);
    }
  }

  const Socket socket_;
  SSL* const ssl_;
  const std::int64_t timeout_ms_;
  std::atomic<bool> shut_{false};
  std::string common_name_;
  std::vector<std::string> organizations_;
};

Result<Socket> connect_to(const addrinfo& address, std::int64_t timeout_ms) {
  Socket socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto failed = [](int code) { return make_error(ErrorCode::kUnavailable, std::strerror(code)); };
  if (socket.fd() < 0) return failed(errno);
  if (::connect(socket.fd(), address.ai_addr, address.ai_addrlen) == 0) return socket;
  if (errno != EINPROGRESS) return failed(errno);
  pollfd waiter{socket.fd(), POLLOUT, 0};
  if (::poll(&waiter, 1, static_cast<int>(timeout_ms)) <= 0) return failed(ETIMEDOUT);
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &code, &size);
  if (code != 0) return failed(code);
  return socket;
}

class Peers : public TlsPeers {
 public:
  explicit Peers(SSL_CTX* context) : context_(context) {}
  ~Peers() override { SSL_CTX_free(context_); }
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  Result<void> load(const PeerTls& files) {
    if (context_ == nullptr) return make_error(ErrorCode::kInternal, "no memory for TLS");
    SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context_, 0);
    SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    const auto refuse = [](const std::string& path) {
      return make_error(ErrorCode::kInvalidArgument, path + ": " + openssl_error());
    };
    ERR_clear_error();
    if (SSL_CTX_load_verify_locations(context_, files.ca_path.c_str(), nullptr) != 1)
      return refuse(files.ca_path);
    if (SSL_CTX_use_certificate_chain_file(context_, files.certificate_path.c_str()) != 1)
      return refuse(files.certificate_path);
    if (SSL_CTX_use_PrivateKey_file(context_, files.key_path.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context_) != 1)
      return refuse(files.key_path);
    return {};
  }

  Result<std::unique_ptr<TlsStream>> connect(const std::string& host, std::uint16_t port,
                                             std::int64_t timeout_ms, std::int64_t silence_ms) override {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (code != 0) return make_error(ErrorCode::kUnavailable, host + ": " + ::gai_strerror(code));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    Result<Socket> socket = make_error(ErrorCode::kUnavailable, host + " has no address");
    for (const addrinfo* at = found; at != nullptr && !socket.ok(); at = at->ai_next)
      socket = connect_to(*at, std::min(timeout_ms, silence_ms));
    if (!socket.ok()) return std::move(socket).error();
    return finish(*std::move(socket), timeout_ms, silence_ms, false);
  }

  Result<std::unique_ptr<TlsStream>> accept(int fd, std::int64_t timeout_ms) override {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    return finish(Socket(fd), timeout_ms, kSilenceMs, true);
  }

 private:
  Result<std::unique_ptr<TlsStream>> finish(Socket socket, std::int64_t timeout_ms, std::int64_t silence_ms,
                                            bool server) {
    auto stream = std::make_unique<Stream>(context_, std::move(socket), timeout_ms, silence_ms);
    COX_RETURN_IF_ERROR(stream->handshake(server));
    return std::unique_ptr<TlsStream>(std::move(stream));
  }

  SSL_CTX* const context_;
};

}  // namespace

Result<std::unique_ptr<TlsPeers>> load_peer_tls(const PeerTls& files) {
  auto peers = std::make_unique<Peers>(SSL_CTX_new(TLS_method()));
  COX_RETURN_IF_ERROR(peers->load(files));
  return std::unique_ptr<TlsPeers>(std::move(peers));
}

}  // namespace coxswain::store
