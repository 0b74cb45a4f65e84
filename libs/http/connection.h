// One client connection: reads requests, hands them to the handler, writes answers in order.
// Lives on one io thread; only ExchangeImpl crosses threads, by posting to that thread.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "libs/http/request_reader.h"
#include "libs/http/server.h"
#include "libs/http/transport.h"

namespace coxswain::http {

// What all connections of one io thread share.
struct Worker {
  Worker(const ServerOptions& o, const Handler& h, std::atomic<std::size_t>& n)
      : options(o), handler(h), open(n) {}
  const ServerOptions& options;
  const Handler& handler;
  std::atomic<std::size_t>& open;  // connections of the whole server
  boost::asio::io_context io{1};
  std::atomic<bool> draining{false};  // shutting down: no keep-alive, streams end
};

class ExchangeImpl;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Worker& worker, boost::asio::ip::tcp::socket socket, std::unique_ptr<Transport> transport,
             std::string remote, bool tls);
  ~Connection();

  void start();
  // Called about once a second: closes what is over its time.
  void check_deadline(std::int64_t now_ms);
  // Shutting down: ends streams and idle connections; answers in flight go out.
  void drain();
  void close();
  bool closed() const { return closed_; }
  Worker& worker() { return worker_; }

  // Answers; on the io thread. `exchange` must be the current one, else nothing happens.
  void respond(ExchangeImpl& exchange, Response response);
  void begin(ExchangeImpl& exchange, int status, Headers headers);
  void write(ExchangeImpl& exchange, std::vector<Chunk> chunks);
  void end(ExchangeImpl& exchange);

 private:
  enum class Phase { kHandshake, kReading, kHandling, kStreaming, kFlushClose, kLinger };
  enum class ReadStage { kNone, kIdle, kHeader, kBody };

  void drive();
  bool do_handshake();
  void read_some();
  void handle_state(RequestReader::State state);
  void dispatch();
  void finish_exchange();
  void send_error(int status, const std::string& message);
  void queue(Chunk chunk);
  bool flush();
  void linger();
  bool write_batch();
  void wait_read();
  void wait_write();
  void set_deadline(std::int64_t timeout_ms);
  void update_read_deadline();
  bool must_not_parse() const;
  bool holds_enough() const;
  void on_peer_end();
  std::string head(int status, const Headers& headers, std::int64_t content_length, bool chunked) const;

  Worker& worker_;
  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<Transport> transport_;
  RequestReader reader_;
  Phase phase_ = Phase::kHandshake;
  std::string remote_;
  PeerIdentity peer_;
  bool tls_ = false;
  bool closed_ = false;
  bool driving_ = false;
  bool close_after_flush_ = false;
  bool linger_ = false;  // the client may still be sending: let it read the answer
  bool is_head_ = false;
  bool chunked_ = false;
  bool waiting_read_ = false;
  bool waiting_write_ = false;
  bool write_blocked_ = false;
  bool has_request_ = false;                 // a request was read and waits for dispatch
  bool peer_ended_ = false;                  // it will send no more, but may wait for answers
  ReadStage read_stage_ = ReadStage::kNone;  // what deadline_ms_ is for; kNone: for something else
  std::int64_t deadline_ms_ = 0;             // 0: none

  std::deque<Chunk> out_;
  std::size_t out_offset_ = 0;  // into out_.front()
  std::string batch_;           // small pieces joined, so that TLS records are full
  std::size_t batch_offset_ = 0;
  std::shared_ptr<ExchangeImpl> exchange_;  // the one being answered
  std::shared_ptr<Connection> self_;        // from start() to close(): no wait need be armed meanwhile
};

class ExchangeImpl final : public Exchange, public std::enable_shared_from_this<ExchangeImpl> {
 public:
  ExchangeImpl(std::weak_ptr<Connection> connection, boost::asio::io_context& io, Request request)
      : connection_(std::move(connection)), io_(io), request_(std::move(request)) {}

  const Request& request() const override { return request_; }
  Request& mutable_request() override { return request_; }
  void respond(Response response) override;
  void begin(int status, Headers headers) override;
  bool write(std::vector<Chunk> chunks) override;
  void end() override;
  std::size_t queued_bytes() const override { return queued_.load(std::memory_order_relaxed); }
  void on_drained(std::function<void()> writable) override;
  void on_closed(std::function<void()> closed) override;
  bool closed() const override { return closed_.load(std::memory_order_acquire); }
  void post(std::int64_t delay_ms, std::function<void()> task) override;

  // The connection's side; on the io thread.
  void sent(std::size_t bytes);
  // Framing that goes out with what the handler writes counts as queued too, since sent() sees it.
  void count_framing(std::size_t bytes) { queued_.fetch_add(bytes, std::memory_order_relaxed); }
  void mark_closed();
  // The handler let go of it. Unanswered: the client gets a 500. In mid-stream: the connection ends.
  void dropped();
  void mark_done() { done_ = true; }
  bool done() const { return done_; }

 private:
  template <typename F>
  void on_io(F task);

  std::weak_ptr<Connection> connection_;
  boost::asio::io_context& io_;
  Request request_;
  std::atomic<std::size_t> queued_{0};
  std::atomic<bool> closed_{false};
  std::atomic<bool> answered_{false};
  bool done_ = false;
  std::function<void()> drained_;
  std::function<void()> when_closed_;
};

const char* reason_phrase(int status);
std::string status_body(int status, const std::string& message);  // a Kubernetes Status object

}  // namespace coxswain::http
