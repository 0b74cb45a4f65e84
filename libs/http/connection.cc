#include "libs/http/connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <boost/asio/post.hpp>

#include "libs/common/base/clock.h"

namespace coxswain::http {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kBatchBytes = 64 * 1024;  // four full TLS records
constexpr std::size_t kJoinBelow = 16 * 1024;   // larger pieces go to the socket as they are

std::string http_date() {
  const std::time_t now = static_cast<std::time_t>(system_clock().unix_ms() / 1000);
  thread_local std::time_t cached_at = 0;
  thread_local std::string cached;
  if (now != cached_at) {
    std::tm tm{};
    gmtime_r(&now, &tm);
    char text[64];
    std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    cached = text;
    cached_at = now;
  }
  return cached;
}

}  // namespace

Connection::Connection(Worker& worker, boost::asio::ip::tcp::socket socket,
                       std::unique_ptr<Transport> transport, std::string remote, bool tls)
    : worker_(worker),
      socket_(std::move(socket)),
      transport_(std::move(transport)),
      reader_({worker.options.max_header_bytes, worker.options.max_body_bytes}),
      remote_(std::move(remote)),
      tls_(tls) {
  worker_.open.fetch_add(1);
}

Connection::~Connection() { close(); }

void Connection::set_deadline(std::int64_t timeout_ms) {
  deadline_ms_ = timeout_ms == 0 ? 0 : system_clock().now_ms() + timeout_ms;
  read_stage_ = ReadStage::kNone;
}

void Connection::start() {
  self_ = shared_from_this();
  set_deadline(worker_.options.header_timeout_ms);
  drive();
}

void Connection::check_deadline(std::int64_t now_ms) {
  if (closed_ || deadline_ms_ == 0 || now_ms < deadline_ms_) return;
  if (phase_ == Phase::kReading && !reader_.idle() && !write_blocked_) {
    send_error(408, "the request took too long to arrive");
    return;
  }
  close();
}

void Connection::drain() {
  if (closed_) return;
  if (phase_ == Phase::kHandshake ||
      (phase_ == Phase::kReading && reader_.idle() && !has_request_ && out_.empty() && batch_.empty())) {
    close();
  } else if (phase_ == Phase::kStreaming && exchange_ != nullptr) {
    auto exchange = exchange_;
    end(*exchange);
    exchange->mark_closed();  // the producer must stop
  }
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  worker_.open.fetch_sub(1);
  if (phase_ != Phase::kHandshake && phase_ != Phase::kLinger) transport_->close_notify();
  boost::system::error_code ignored;
  socket_.close(ignored);
  out_.clear();
  if (exchange_ != nullptr) {
    exchange_->mark_closed();
    exchange_.reset();
  }
  // Later, since members of this connection are on the stack.
  if (self_ != nullptr) boost::asio::post(worker_.io, [self = std::move(self_)] {});
}

bool Connection::do_handshake() {
  switch (transport_->handshake()) {
    case Transport::Status::kOk:
      peer_ = transport_->peer();
      phase_ = Phase::kReading;
      return true;
    case Transport::Status::kWantRead:
      wait_read();
      return false;
    case Transport::Status::kWantWrite:
      wait_write();
      return false;
    case Transport::Status::kEnd:
    case Transport::Status::kClosed:
      close();
      return false;
  }
  return false;
}

// Does all that can be done without waiting, then arms the waits. Answers given from inside a handler
// come back here through respond(), so it must not nest.
void Connection::drive() {
  if (driving_ || closed_ || phase_ == Phase::kLinger) return;
  driving_ = true;
  if (phase_ == Phase::kHandshake && !do_handshake()) {
    driving_ = false;
    return;
  }
  while (!closed_) {
    if (!flush()) break;
    if (closed_) break;
    if (phase_ == Phase::kReading && has_request_) {
      has_request_ = false;
      dispatch();
      continue;
    }
    if (phase_ != Phase::kReading) break;
    if (reader_.buffered() > 0) {
      const auto state = reader_.step();
      if (state != RequestReader::State::kNeedMore) {
        handle_state(state);
        continue;
      }
    }
    if (peer_ended_) {  // all it asked for is answered
      close();
      break;
    }
    if (!transport_->pending()) break;
    read_some();
  }
  driving_ = false;
  // The wait is for a level, not an edge: armed with nothing to be taken it would spin.
  if (!closed_ && !peer_ended_ && !holds_enough() && phase_ != Phase::kFlushClose && phase_ != Phase::kLinger)
    wait_read();
}

// A request is under way or its predecessor's answer is: what arrives now is for later.
bool Connection::must_not_parse() const {
  return phase_ != Phase::kReading || has_request_ || write_blocked_;
}

// A pipelining client waits in the kernel.
bool Connection::holds_enough() const { return must_not_parse() && reader_.buffered() > kReadBytes; }

// The client closed its sending half. Watches end, since most clients that do so are gone; a request
// that was sent whole is still answered.
void Connection::on_peer_end() {
  if (phase_ == Phase::kStreaming || (phase_ == Phase::kReading && !must_not_parse())) {
    close();
    return;
  }
  peer_ended_ = true;
}

// RFC 9112 section 9.6: closing with unread bytes would reset the connection and lose the answer.
void Connection::linger() {
  if (phase_ != Phase::kLinger) {
    phase_ = Phase::kLinger;
    set_deadline(2'000);
    transport_->close_notify();
    boost::system::error_code ignored;
    socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
  }
  char discard[kReadBytes];
  while (true) {
    const ssize_t n = recv(socket_.native_handle(), discard, sizeof(discard), MSG_DONTWAIT);
    if (n > 0) continue;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    close();
    return;
  }
  wait_read();
}

// A limit holds for a whole stage, or a client that drips would hold its connection for ever.
void Connection::update_read_deadline() {
  const ReadStage stage = reader_.idle()      ? ReadStage::kIdle
                          : reader_.in_body() ? ReadStage::kBody
                                              : ReadStage::kHeader;
  if (stage == read_stage_) return;
  const ServerOptions& options = worker_.options;
  set_deadline(stage == ReadStage::kIdle   ? options.idle_timeout_ms
               : stage == ReadStage::kBody ? options.body_timeout_ms
                                           : options.header_timeout_ms);
  read_stage_ = stage;
}

void Connection::read_some() {
  thread_local char buffer[kReadBytes];
  for (int round = 0; round < 16 && !closed_ && !peer_ended_ && !holds_enough(); ++round) {
    std::size_t taken = 0;
    const auto status = transport_->read(buffer, sizeof(buffer), taken);
    if (status == Transport::Status::kWantRead) return;
    if (status == Transport::Status::kWantWrite) {
      wait_write();
      return;
    }
    if (status == Transport::Status::kEnd) {
      on_peer_end();
      return;
    }
    if (status == Transport::Status::kClosed) {
      close();
      return;
    }
    if (must_not_parse()) {
      reader_.feed_later({buffer, taken});
      continue;
    }
    const auto state = reader_.feed({buffer, taken});
    update_read_deadline();
    if (state != RequestReader::State::kNeedMore) {
      handle_state(state);
      return;
    }
    if (taken < sizeof(buffer) && !tls_) return;
  }
}

void Connection::handle_state(RequestReader::State state) {
  switch (state) {
    case RequestReader::State::kNeedMore:
      break;
    case RequestReader::State::kContinue:
      queue(Chunk::literal("HTTP/1.1 100 Continue\r\n\r\n"));
      break;
    case RequestReader::State::kRequest:
      has_request_ = true;
      break;
    case RequestReader::State::kError:
      send_error(reader_.error_status(), reader_.error_message());
      break;
  }
}

void Connection::dispatch() {
  Request request = reader_.take_request();
  request.peer = peer_;
  request.remote_address = remote_;
  request.tls = tls_;
  is_head_ = request.method == "HEAD";
  phase_ = Phase::kHandling;
  set_deadline(0);
  exchange_ = std::make_shared<ExchangeImpl>(weak_from_this(), worker_.io, std::move(request));
  // The handler's references are counted apart from ours, so that we learn when it lets go.
  std::shared_ptr<Exchange> handed(exchange_.get(), [impl = exchange_](Exchange*) { impl->dropped(); });
  worker_.handler(std::move(handed));
}

std::string Connection::head(int status, const Headers& headers, std::int64_t content_length,
                             bool chunked) const {
  const bool keep =
      reader_.keep_alive() && !close_after_flush_ && !worker_.draining.load(std::memory_order_relaxed);
  std::string text = "HTTP/1.1 " + std::to_string(status) + " " + reason_phrase(status) + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  text += "Date: " + http_date() + "\r\n";
  if (chunked)
    text += "Transfer-Encoding: chunked\r\n";
  else if (content_length >= 0)
    text += "Content-Length: " + std::to_string(content_length) + "\r\n";
  if (!keep)
    text += "Connection: close\r\n";
  else if (reader_.http_1_0())
    text += "Connection: keep-alive\r\n";
  return text + "\r\n";
}

void Connection::respond(ExchangeImpl& exchange, Response response) {
  if (closed_ || exchange_.get() != &exchange || phase_ != Phase::kHandling) return;
  std::size_t size = 0;
  for (const Chunk& chunk : response.body) size += chunk.bytes.size();
  if (!reader_.keep_alive() || worker_.draining.load(std::memory_order_relaxed)) close_after_flush_ = true;
  const bool no_body = response.status == 204 || response.status == 304 || response.status < 200;
  queue(Chunk::of(
      head(response.status, response.headers, no_body ? -1 : static_cast<std::int64_t>(size), false)));
  if (!is_head_ && !no_body) {
    for (Chunk& chunk : response.body) queue(std::move(chunk));
  }
  finish_exchange();
  drive();
}

void Connection::begin(ExchangeImpl& exchange, int status, Headers headers) {
  if (closed_ || exchange_.get() != &exchange || phase_ != Phase::kHandling) return;
  if (peer_ended_) {  // as for a stream already begun
    close();
    return;
  }
  chunked_ = !reader_.http_1_0();
  if (!chunked_ || worker_.draining.load(std::memory_order_relaxed)) close_after_flush_ = true;
  std::string text = head(status, headers, -1, chunked_);
  exchange.count_framing(text.size());
  queue(Chunk::of(std::move(text)));
  phase_ = Phase::kStreaming;
  drive();
}

void Connection::write(ExchangeImpl& exchange, std::vector<Chunk> chunks) {
  if (closed_ || exchange_.get() != &exchange || phase_ != Phase::kStreaming) return;
  std::size_t size = 0;
  for (const Chunk& chunk : chunks) size += chunk.bytes.size();
  if (is_head_) {
    exchange.sent(size);
    return;
  }
  if (chunked_) {
    char line[32];
    const int length = std::snprintf(line, sizeof(line), "%zx\r\n", size);
    exchange.count_framing(static_cast<std::size_t>(length) + 2);
    queue(Chunk::of(std::string(line, static_cast<std::size_t>(length))));
  }
  for (Chunk& chunk : chunks) queue(std::move(chunk));
  if (chunked_) queue(Chunk::literal("\r\n"));
  drive();
}

void Connection::end(ExchangeImpl& exchange) {
  if (closed_ || exchange_.get() != &exchange || phase_ != Phase::kStreaming) return;
  if (chunked_ && !is_head_) queue(Chunk::literal("0\r\n\r\n"));
  if (!reader_.keep_alive() || worker_.draining.load(std::memory_order_relaxed)) close_after_flush_ = true;
  finish_exchange();
  drive();
}

void Connection::finish_exchange() {
  exchange_->mark_done();
  exchange_.reset();
  reader_.next();
  phase_ = close_after_flush_ ? Phase::kFlushClose : Phase::kReading;
}

void Connection::send_error(int status, const std::string& message) {
  const std::string body = status_body(status, message);
  close_after_flush_ = true;
  linger_ = true;
  queue(Chunk::of(
      head(status, {{"Content-Type", "application/json"}}, static_cast<std::int64_t>(body.size()), false) +
      body));
  phase_ = Phase::kFlushClose;
  set_deadline(worker_.options.header_timeout_ms);
  drive();
}

void Connection::queue(Chunk chunk) {
  if (!chunk.bytes.empty()) out_.push_back(std::move(chunk));
}

// Small pieces are joined so that each system call and TLS record carries a lot.
bool Connection::write_batch() {
  std::string_view bytes;
  const bool from_batch = batch_offset_ < batch_.size();
  if (!from_batch) {
    batch_.clear();
    batch_offset_ = 0;
    if (out_.front().bytes.size() - out_offset_ < kJoinBelow) {
      while (!out_.empty() && batch_.size() < kBatchBytes &&
             out_.front().bytes.size() - out_offset_ < kJoinBelow) {
        batch_.append(out_.front().bytes.substr(out_offset_));
        out_.pop_front();
        out_offset_ = 0;
      }
    }
  }
  const bool batched = batch_offset_ < batch_.size();
  bytes = batched ? std::string_view(batch_).substr(batch_offset_) : out_.front().bytes.substr(out_offset_);
  std::size_t taken = 0;
  switch (transport_->write(bytes, taken)) {
    case Transport::Status::kOk:
      break;
    case Transport::Status::kWantWrite:
      wait_write();
      return false;
    case Transport::Status::kWantRead:
      wait_read();
      return false;
    case Transport::Status::kEnd:
    case Transport::Status::kClosed:
      close();
      return false;
  }
  if (exchange_ != nullptr) exchange_->sent(taken);
  if (batched) {
    batch_offset_ += taken;
  } else {
    out_offset_ += taken;
    if (out_offset_ == out_.front().bytes.size()) {
      out_.pop_front();
      out_offset_ = 0;
    }
  }
  return true;
}

// True when all is written. False: blocked or closed.
bool Connection::flush() {
  if (write_blocked_) return false;
  while (!out_.empty() || batch_offset_ < batch_.size()) {
    if (!write_batch()) {
      if (!closed_) {
        write_blocked_ = true;
        set_deadline(worker_.options.write_stall_timeout_ms);
      }
      return false;
    }
  }
  if (batch_.capacity() > 4096)
    std::string().swap(batch_);
  else
    batch_.clear();
  batch_offset_ = 0;
  if (phase_ == Phase::kFlushClose) {
    if (linger_)
      linger();
    else
      close();
    return false;
  }
  if (phase_ == Phase::kReading) update_read_deadline();
  if (phase_ == Phase::kStreaming || phase_ == Phase::kHandling) set_deadline(0);
  return true;
}

void Connection::wait_read() {
  if (closed_ || waiting_read_) return;
  waiting_read_ = true;
  socket_.async_wait(boost::asio::ip::tcp::socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->waiting_read_ = false;
                       if (error || self->closed_) return;
                       if (self->phase_ == Phase::kLinger) {
                         self->linger();
                         return;
                       }
                       self->write_blocked_ = self->write_blocked_ &&
                                              self->waiting_write_;  // TLS may wait to read before it writes
                       if (self->phase_ != Phase::kHandshake && self->phase_ != Phase::kFlushClose)
                         self->read_some();
                       self->drive();
                     });
}

void Connection::wait_write() {
  if (closed_ || waiting_write_) return;
  waiting_write_ = true;
  socket_.async_wait(boost::asio::ip::tcp::socket::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->waiting_write_ = false;
                       self->write_blocked_ = false;
                       if (!error) self->drive();
                     });
}

const char* reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Request Entity Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

std::string status_body(int status, const std::string& message) {
  const char* reason = "BadRequest";
  if (status == 413)
    reason = "RequestEntityTooLarge";
  else if (status == 415)
    reason = "UnsupportedMediaType";
  else if (status == 408)
    reason = "Timeout";
  else if (status == 503)
    reason = "ServiceUnavailable";
  else if (status >= 500)
    reason = "InternalError";
  std::string text;
  for (const char c : message) {
    if (c == '"' || c == '\\') text += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) text += c;
  }
  return R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":")" + text +
         R"(","reason":")" + reason + R"(","code":)" + std::to_string(status) + "}\n";
}

}  // namespace coxswain::http
