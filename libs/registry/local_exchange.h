// An Exchange without a socket: in-process requests of the server to itself, and of tests.
// Answers and stream bytes are collected; posted tasks run on the thread that waits, for as long as
// it does.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "libs/http/server.h"

namespace coxswain::registry {

class LocalExchange : public http::Exchange {
 public:
  explicit LocalExchange(http::Request request) : request_(std::move(request)) {}

  const http::Request& request() const override { return request_; }
  http::Request& mutable_request() override { return request_; }
  void respond(http::Response response) override;
  void begin(int status, http::Headers headers) override;
  bool write(std::vector<http::Chunk> chunks) override;
  void end() override;
  std::size_t queued_bytes() const override { return 0; }
  void on_drained(std::function<void()> writable) override { post(0, std::move(writable)); }
  void on_closed(std::function<void()> closed) override;
  bool closed() const override;
  void post(std::int64_t delay_ms, std::function<void()> task) override;

  // Runs posted tasks until the answer is complete; false after `timeout_ms`.
  bool wait_done(std::int64_t timeout_ms = 30'000);
  // Streams: runs posted tasks until `enough(body so far)`; false after `timeout_ms`.
  bool wait_body(const std::function<bool(const std::string&)>& enough, std::int64_t timeout_ms = 5'000);
  void close();  // the client goes away: what is posted from now on is dropped

  int status() const;
  http::Headers headers() const;
  std::string body() const;

 private:
  bool take_task(std::function<void()>& task);          // caller holds mutex_
  void append(const std::vector<http::Chunk>& chunks);  // caller holds mutex_
  http::Request request_;
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>>
      timers_;  // by when they are due
  std::function<void()> on_closed_;
  int status_ = 0;
  http::Headers headers_;
  std::string body_;
  bool done_ = false;
  bool closed_ = false;
};

// "GET", "/api/v1/pods?limit=5" -> a parsed request.
http::Request make_request(const std::string& method, const std::string& target, std::string body = {},
                           const std::string& content_type = "application/json");

}  // namespace coxswain::registry
