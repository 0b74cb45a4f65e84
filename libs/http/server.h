// The HTTP/1.1 server edge: TLS, keep-alive, pipelining of nothing, streaming with back-pressure.
// N io threads, each with its own io_context; a connection stays on its thread. std-only header.
//
// A handler is called on an io thread once the whole request is read; it must not block: answer at
// once, or keep the Exchange and answer from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::http {

using Header = std::pair<std::string, std::string>;
using Headers = std::vector<Header>;  // look-ups ignore case

std::string_view find_header(const Headers& headers, std::string_view name);  // "" when absent

struct PeerIdentity {                      // from the verified client certificate; empty: none
  std::string common_name;                 // the Kubernetes user
  std::vector<std::string> organizations;  // the groups
};

struct Request {
  std::string method;  // "GET"
  std::string path;    // decoded per segment is up to the router: raw, without query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  Headers headers;
  std::string body;  // already un-gzipped when Content-Encoding: gzip
  PeerIdentity peer;
  std::string remote_address;  // "127.0.0.1:4711"
  bool tls = false;

  std::string_view query_value(std::string_view key) const;  // first one; "" when absent
  bool has_query(std::string_view key) const;
};

// A piece of an answer: owned by `owner`, valid as long as it lives. Stored bytes go to the socket
// without a copy.
struct Chunk {
  std::shared_ptr<const void> owner;
  std::string_view bytes;
  static Chunk of(std::string text);
  static Chunk literal(std::string_view text) { return {nullptr, text}; }  // static lifetime
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length, Date, Connection are the server's
  std::vector<Chunk> body;
};

// One request and its answer. Thread-safe. If dropped without an answer the client gets a 500.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  virtual Request& mutable_request() = 0;  // before handing it on; not thread-safe

  // The whole answer at once. Gzip is applied when the client accepts it and the body is large.
  virtual void respond(Response response) = 0;

  // A streamed answer (chunked): begin once, then write; end or drop.
  virtual void begin(int status, Headers headers) = 0;
  // Queues; false when the connection is gone (stop producing).
  virtual bool write(std::vector<Chunk> chunks) = 0;
  virtual void end() = 0;
  // Bytes queued and not yet taken by the socket. Producers stop above a bound of their choice...
  virtual std::size_t queued_bytes() const = 0;
  // ...and go on when `writable` is called, once, from the io thread, with the queue drained.
  virtual void on_drained(std::function<void()> writable) = 0;
  // Called once, from the io thread, when the client has gone before the answer ended.
  virtual void on_closed(std::function<void()> closed) = 0;
  virtual bool closed() const = 0;
  // Runs `task` on this connection's io thread after `delay_ms` (0: soon); dropped on shutdown.
  virtual void post(std::int64_t delay_ms, std::function<void()> task) = 0;
};

using Handler = std::function<void(std::shared_ptr<Exchange>)>;

struct TlsConfig {
  std::string certificate_pem_path;  // chain
  std::string key_pem_path;
  std::string client_ca_pem_path;  // verify client certificates against it when presented
  bool require_client_certificate = false;
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  bool tls_enabled = true;
  TlsConfig tls;
  int io_threads = 2;
  std::size_t max_body_bytes = 3 * 1024 * 1024;  // 413 above (Kubernetes' limit)
  std::size_t max_header_bytes = 64 * 1024;      // 431 above
  std::size_t max_connections = 20000;
  std::int64_t header_timeout_ms = 10'000;  // slow clients
  std::int64_t body_timeout_ms = 60'000;
  std::int64_t idle_timeout_ms = 180'000;
  std::int64_t write_stall_timeout_ms = 60'000;  // a client that takes nothing for so long is cut off
};

class Server {
 public:
  virtual ~Server() = default;
  virtual std::uint16_t port() const = 0;
  // Listens on this port, too, which other processes of this machine do as well (SO_REUSEPORT): the kernel
  // gives each new connection to one of those that live. Once; errors as of serve().
  virtual Result<void> share(std::uint16_t port) = 0;
  // Stops accepting, lets answers in flight finish for up to `grace_ms`, ends streams, joins.
  virtual void shutdown(std::int64_t grace_ms) = 0;
};

// kUnavailable when the port is taken: the message says which and what to do.
Result<std::unique_ptr<Server>> serve(const ServerOptions& options, Handler handler);

}  // namespace coxswain::http
