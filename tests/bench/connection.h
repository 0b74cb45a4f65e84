// One blocking keep-alive TLS connection for load: as little work per request as possible, because the
// generator shares the machine with what it measures. Aborts with a message on any failure.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace coxswain::bench {

struct Target {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  SSL_CTX* context = nullptr;  // shared; owned by main
  int receive_buffer = 0;      // bytes that the kernel keeps for a reader that is slow; 0: as it likes
};

class Connection {
 public:
  explicit Connection(const Target& target);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends prepared bytes and reads one answer; returns its status. `body` may be null; `size` gets the
  // body's length.
  int request(std::string_view bytes, std::string* body = nullptr, std::size_t* size = nullptr);
  // Sends the request of a watch and hands over raw bytes until `on_data` returns false.
  void stream(std::string_view bytes, const std::function<bool(std::string_view)>& on_data);

  // For whoever waits for many: sends the request of a watch and does not block from then on; gives the
  // descriptor to wait for. Then drain(): what is there is added to `out`; false: the server has closed.
  int open_stream(std::string_view bytes);
  bool drain(std::string* out);

 private:
  void send(std::string_view bytes);
  bool fill();
  int fd_ = -1;
  SSL* ssl_ = nullptr;
  std::string buffer_;
};

// A context with the client certificate of a kubeconfig's user.
SSL_CTX* make_context(const std::string& certificate_pem, const std::string& key_pem,
                      const std::string& ca_pem);
// The server and the user of a kubeconfig file.
Target target_of(const std::string& kubeconfig_path);
std::string prepare(std::string_view method, std::string_view target, std::string_view body = {},
                    std::string_view content_type = "application/json");

}  // namespace coxswain::bench
