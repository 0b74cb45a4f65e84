// A streamed answer that one thread writes and a client reads as slowly as it likes: push() waits for it, so
// that little is held in memory.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "libs/http/server.h"

namespace coxswain::registry {

class BlockingStream : public std::enable_shared_from_this<BlockingStream> {
 public:
  explicit BlockingStream(std::shared_ptr<http::Exchange> exchange) : exchange_(std::move(exchange)) {}

  void watch_client();           // once, first: cancels when the client goes away
  bool push(std::string bytes);  // one thread; false: nobody wants more
  void cancel();                 // any thread; push() returns soon
  std::stop_token token() const { return stop_.get_token(); }

 private:
  const std::shared_ptr<http::Exchange> exchange_;
  std::stop_source stop_;
  std::mutex mutex_;
  std::condition_variable drained_;
  bool is_drained_ = true;  // guarded by mutex_
};

}  // namespace coxswain::registry
