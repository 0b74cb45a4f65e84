#include "tests/bench/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "libs/common/base/strings.h"
#include "libs/common/kubeconfig/kubeconfig.h"

namespace coxswain::bench {
namespace {

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// Content-Length, or -1 for a chunked answer.
long content_length(std::string_view head) {
  const std::string lower = to_lower(head);
  const std::size_t at = lower.find("content-length:");
  if (at == std::string::npos) return -1;
  return std::strtol(lower.c_str() + at + 15, nullptr, 10);
}

}  // namespace

SSL_CTX* make_context(const std::string& certificate_pem, const std::string& key_pem,
                      const std::string& ca_pem) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  const auto bio = [](const std::string& pem) {
    return BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  };
  X509* certificate = PEM_read_bio_X509(bio(certificate_pem), nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio(key_pem), nullptr, nullptr, nullptr);
  X509* ca = PEM_read_bio_X509(bio(ca_pem), nullptr, nullptr, nullptr);
  if (certificate == nullptr || key == nullptr || ca == nullptr) die("credentials");
  SSL_CTX_use_certificate(context, certificate);
  SSL_CTX_use_PrivateKey(context, key);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return context;
}

std::string prepare(std::string_view method, std::string_view target, std::string_view body,
                    std::string_view content_type) {
  std::string out = std::string(method) + " " + std::string(target) +
                    " HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n";
  if (!body.empty())
    out += "Content-Type: " + std::string(content_type) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  return out + "\r\n" + std::string(body);
}

Connection::Connection(const Target& target) {
  fd_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(target.port);
  if (target.receive_buffer > 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &target.receive_buffer, sizeof(target.receive_buffer));
  inet_pton(AF_INET, target.host.c_str(), &address.sin_addr);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) die("connect");
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ssl_ = SSL_new(target.context);
  SSL_set_fd(ssl_, fd_);
  if (SSL_connect(ssl_) != 1) die("TLS");
}

Connection::~Connection() {
  SSL_free(ssl_);
  ::close(fd_);
}

void Connection::send(std::string_view bytes) {
  if (SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) != static_cast<int>(bytes.size()))
    die("write");
}

bool Connection::fill() {
  char data[65536];
  const int n = SSL_read(ssl_, data, sizeof(data));
  if (n <= 0) return false;
  buffer_.append(data, static_cast<std::size_t>(n));
  return true;
}

int Connection::request(std::string_view bytes, std::string* body, std::size_t* size) {
  send(bytes);
  std::size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) die("the server closed the connection");
  }
  const int status = std::atoi(buffer_.c_str() + 9);
  const long length = content_length(std::string_view(buffer_).substr(0, end));
  std::size_t total = end + 4;
  if (length >= 0) {
    total += static_cast<std::size_t>(length);
    while (buffer_.size() < total) {
      if (!fill()) die("the server closed the connection");
    }
  } else {
    while (!buffer_.ends_with("\r\n0\r\n\r\n")) {
      if (!fill()) die("the server closed the connection");
    }
    total = buffer_.size();
  }
  if (body != nullptr) *body = buffer_.substr(end + 4, total - end - 4);
  if (size != nullptr) *size = total - end - 4;
  buffer_.erase(0, total);
  return status;
}

void Connection::stream(std::string_view bytes, const std::function<bool(std::string_view)>& on_data) {
  send(bytes);
  while (fill()) {
    const bool go_on = on_data(buffer_);
    buffer_.clear();
    if (!go_on) return;
  }
}

int Connection::open_stream(std::string_view bytes) {
  send(bytes);
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  return fd_;
}

bool Connection::drain(std::string* out) {
  char data[16384];
  for (;;) {
    const int n = SSL_read(ssl_, data, sizeof(data));
    if (n <= 0) return SSL_get_error(ssl_, n) == SSL_ERROR_WANT_READ;
    out->append(data, static_cast<std::size_t>(n));
  }
}

Target target_of(const std::string& kubeconfig_path) {
  const auto config = kubeconfig::load(kubeconfig_path);
  if (!config.ok()) {
    std::fprintf(stderr, "%s\n", config.error().message.c_str());
    std::exit(1);
  }
  Target target;
  target.port = static_cast<std::uint16_t>(
      parse_uint64(config->server.substr(config->server.rfind(':') + 1)).value_or(6443));
  target.context = make_context(config->certificate_pem, config->key_pem, config->ca_pem);
  return target;
}

}  // namespace coxswain::bench
