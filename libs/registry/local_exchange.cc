#include "libs/registry/local_exchange.h"

#include <algorithm>

#include "libs/common/base/strings.h"

namespace coxswain::registry {

void LocalExchange::append(const std::vector<http::Chunk>& chunks) {
  for (const http::Chunk& chunk : chunks) body_ += chunk.bytes;
}

void LocalExchange::respond(http::Response response) {
  const std::lock_guard lock(mutex_);
  status_ = response.status;
  headers_ = std::move(response.headers);
  append(response.body);
  done_ = true;
  changed_.notify_all();
}

void LocalExchange::begin(int status, http::Headers headers) {
  const std::lock_guard lock(mutex_);
  status_ = status;
  headers_ = std::move(headers);
}

bool LocalExchange::write(std::vector<http::Chunk> chunks) {
  const std::lock_guard lock(mutex_);
  append(chunks);
  changed_.notify_all();
  return !closed_;
}

void LocalExchange::end() {
  std::function<void()> dropped;
  const std::lock_guard lock(mutex_);
  dropped.swap(on_closed_);
  done_ = true;
  // The callback may own the caller: let it go on this exchange's own thread.
  if (dropped != nullptr) tasks_.push_back([dropped] {});
  changed_.notify_all();
}

void LocalExchange::on_closed(std::function<void()> closed) {
  const std::lock_guard lock(mutex_);
  on_closed_ = std::move(closed);
}

bool LocalExchange::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void LocalExchange::post(std::int64_t delay_ms, std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  if (delay_ms > 0) {
    timers_.emplace(std::chrono::steady_clock::now() + std::chrono::milliseconds(delay_ms), std::move(task));
  } else {
    tasks_.push_back(std::move(task));
  }
  changed_.notify_all();
}

bool LocalExchange::take_task(std::function<void()>& task) {
  if (!timers_.empty() && timers_.begin()->first <= std::chrono::steady_clock::now()) {
    tasks_.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
  if (tasks_.empty()) return false;
  task = std::move(tasks_.front());
  tasks_.pop_front();
  return true;
}

bool LocalExchange::wait_done(std::int64_t timeout_ms) {
  return wait_body([this](const std::string&) { return done_; }, timeout_ms);
}

bool LocalExchange::wait_body(const std::function<bool(const std::string&)>& enough,
                              std::int64_t timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  std::unique_lock lock(mutex_);
  while (true) {
    std::function<void()> task;
    while (take_task(task)) {
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
    if (enough(body_)) return true;
    const auto until = timers_.empty() ? deadline : std::min(deadline, timers_.begin()->first);
    changed_.wait_until(lock, until);
    if (std::chrono::steady_clock::now() >= deadline && tasks_.empty()) return enough(body_);
  }
}

void LocalExchange::close() {
  std::function<void()> callback;
  std::deque<std::function<void()>> tasks;  // may own what must not die under the lock
  decltype(timers_) timers;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    tasks.swap(tasks_);
    timers.swap(timers_);
    callback.swap(on_closed_);
  }
  if (callback != nullptr) callback();
}

int LocalExchange::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

http::Headers LocalExchange::headers() const {
  const std::lock_guard lock(mutex_);
  return headers_;
}

std::string LocalExchange::body() const {
  const std::lock_guard lock(mutex_);
  return body_;
}

http::Request make_request(const std::string& method, const std::string& target, std::string body,
                           const std::string& content_type) {
  http::Request request;
  request.method = method;
  const std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) {
    for (const std::string& pair : split(std::string_view(target).substr(question + 1), '&')) {
      const std::size_t equals = pair.find('=');
      request.query.emplace_back(
          url_decode(pair.substr(0, equals), true).value_or(""),
          equals == std::string::npos ? "" : url_decode(pair.substr(equals + 1), true).value_or(""));
    }
  }
  request.body = std::move(body);
  if (!request.body.empty()) request.headers.emplace_back("Content-Type", content_type);
  return request;
}

}  // namespace coxswain::registry
