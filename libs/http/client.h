// A blocking HTTP/1.1 client over libcurl: TLS with client certificates, unix sockets, streaming.
// Thread-safe: connections are pooled inside. std-only header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "libs/common/base/result.h"
#include "libs/http/server.h"  // Headers

namespace coxswain::http {

struct ClientOptions {
  std::string base_url;              // "https://127.0.0.1:6443", no trailing slash
  std::string unix_socket;           // when set, connect here; base_url is "http://localhost"
  std::string ca_pem_path;           // trust only this CA
  std::string certificate_pem_path;  // client certificate
  std::string key_pem_path;
  std::string ca_pem;  // the same as PEM text (kubeconfig's *-data)
  std::string certificate_pem;
  std::string key_pem;
  std::string bearer_token;
  bool insecure_skip_verify = false;
  std::string user_agent = "coxswain";
  std::int64_t connect_timeout_ms = 5'000;
};

struct ClientRequest {
  std::string method = "GET";
  std::string target;  // "/api/v1/pods?limit=5"
  Headers headers;
  std::string body;
  std::int64_t timeout_ms = 30'000;  // of the whole call; 0: none (streams)
  std::size_t max_body_bytes = 512 * 1024 * 1024;
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

class Client {
 public:
  virtual ~Client() = default;
  // kUnavailable: no connection, nothing was sent; kIo: it broke after that; kDeadlineExceeded; kCancelled
  // when `stop` was requested; kUnauthenticated: no trust, nothing was sent; kResourceExhausted: a bound was
  // hit.
  virtual Result<ClientResponse> send(const ClientRequest& request, std::stop_token stop = {}) = 0;
  // Hands the body over as it arrives; `on_data` returns false to end. The body of an answer with
  // status >= 300 is collected into the result instead. Returns when the stream ends.
  using OnHeaders = std::function<void(int status, const Headers&)>;
  using OnData = std::function<bool(std::string_view)>;
  virtual Result<ClientResponse> stream(const ClientRequest& request, OnHeaders on_headers, OnData on_data,
                                        std::stop_token stop = {}) = 0;
};

Result<std::unique_ptr<Client>> make_client(const ClientOptions& options);

}  // namespace coxswain::http
