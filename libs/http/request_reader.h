// HTTP/1.1 requests out of a byte stream: the protocol without a socket. Beast's parser inside.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libs/http/server.h"

namespace coxswain::http {

struct ReaderLimits {
  std::size_t max_header_bytes = 64 * 1024;
  std::size_t max_body_bytes = 3 * 1024 * 1024;
};

// Not thread-safe. One reader serves a connection for its whole life; bytes behind a request stay
// buffered for the next one.
class RequestReader {
 public:
  enum class State {
    kNeedMore,  // feed more bytes
    kContinue,  // the client waits for "100 Continue": send it, then call step() again
    kRequest,   // request() is complete; take it, then call next()
    kError,     // answer error_status() and close
  };

  explicit RequestReader(const ReaderLimits& limits);
  ~RequestReader();

  // Not after kRequest: take_request() and next() come first.
  State feed(std::string_view bytes);
  // Keeps bytes that arrive while a request is being answered; step() looks at them.
  void feed_later(std::string_view bytes) { buffer_.append(bytes); }
  State step();  // after kContinue or next(): goes on with what is buffered
  void next();   // forget the request just handled
  // Nothing of a request has arrived: the connection is idle.
  bool idle() const;
  bool in_body() const;
  std::size_t buffered() const { return buffer_.size(); }

  Request take_request();  // peer fields are left empty
  bool keep_alive() const { return keep_alive_; }
  bool http_1_0() const { return http_1_0_; }
  int error_status() const { return error_status_; }
  const std::string& error_message() const { return error_message_; }

 private:
  struct Parser;
  State fail(int status, std::string message);
  State parse_from(std::size_t& taken);
  State check_framing();
  State finish();

  ReaderLimits limits_;
  std::unique_ptr<Parser> parser_;
  std::string buffer_;
  Request request_;
  bool continue_sent_ = false;
  bool framing_checked_ = false;  // the header is complete and of one meaning
  std::size_t header_bytes_ = 0;
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  int error_status_ = 0;
  std::string error_message_;
};

// "/a/b?x=1&y" split and the query decoded; false when an escape is malformed.
bool parse_target(std::string_view target, std::string& path,
                  std::vector<std::pair<std::string, std::string>>& query);

}  // namespace coxswain::http
