#include "libs/client/work_queue.h"

#include <algorithm>
#include <utility>

namespace coxswain::client {

namespace {
constexpr std::int64_t kFullRetry_ms = 100;
}  // namespace

WorkQueue::WorkQueue(WorkQueueOptions options, Clock& clock) : options_(options), clock_(clock) {}

bool WorkQueue::add_locked(const std::string& key) {
  if (shutdown_) return false;
  if (dirty_.contains(key)) return true;
  if (dirty_.size() >= options_.capacity) return false;
  dirty_.insert(key);
  if (processing_.contains(key)) return true;  // done() brings it back
  queue_.push_back(key);
  ready_.notify_one();
  return true;
}

bool WorkQueue::add(const std::string& key) {
  std::lock_guard lock(mutex_);
  return add_locked(key);
}

void WorkQueue::add_after(const std::string& key, std::int64_t delay_ms) {
  std::lock_guard lock(mutex_);
  if (shutdown_) return;
  if (delay_ms <= 0) {
    add_locked(key);
    return;
  }
  const std::int64_t due_ms = clock_.now_ms() + delay_ms;
  const auto [at, added] = delayed_due_.emplace(key, due_ms);
  if (!added) {
    if (at->second <= due_ms) return;
    at->second = due_ms;
  }
  delayed_.push({due_ms, key});
  ready_.notify_one();
}

void WorkQueue::add_backoff(const std::string& key) {
  std::int64_t delay_ms = options_.backoff_min_ms;
  {
    std::lock_guard lock(mutex_);
    const int failures = failures_[key]++;
    for (int i = 0; i < failures && delay_ms < options_.backoff_max_ms; ++i) delay_ms *= 2;
  }
  add_after(key, std::min(delay_ms, options_.backoff_max_ms));
}

void WorkQueue::forget(const std::string& key) {
  std::lock_guard lock(mutex_);
  failures_.erase(key);
}

int WorkQueue::failures(const std::string& key) const {
  std::lock_guard lock(mutex_);
  const auto at = failures_.find(key);
  return at == failures_.end() ? 0 : at->second;
}

void WorkQueue::move_due_locked() {
  const std::int64_t now_ms = clock_.now_ms();
  while (!delayed_.empty() && delayed_.top().due_ms <= now_ms) {
    const Delayed item = delayed_.top();
    delayed_.pop();
    const auto at = delayed_due_.find(item.key);
    if (at == delayed_due_.end() || at->second != item.due_ms) continue;  // an earlier one came first
    // Full: later. A key that was promised must not be lost.
    if (!shutdown_ && !add_locked(item.key)) {
      at->second = now_ms + kFullRetry_ms;
      delayed_.push({at->second, item.key});
      continue;
    }
    delayed_due_.erase(at);
  }
}

std::optional<std::string> WorkQueue::get(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    move_due_locked();
    if (shutdown_ || stop.stop_requested()) return std::nullopt;
    if (!queue_.empty()) {
      std::string key = std::move(queue_.front());
      queue_.pop_front();
      dirty_.erase(key);
      processing_.insert(key);
      return key;
    }
    // wait_for, not wait_until: the clock may be one that tests move.
    const std::int64_t wait_ms =
        delayed_.empty() ? 60'000 : std::max<std::int64_t>(1, delayed_.top().due_ms - clock_.now_ms());
    bool woken = false;
    ready_.wait_for(lock, stop, std::chrono::milliseconds(wait_ms),
                    [&] { return std::exchange(woken, true); });
  }
}

void WorkQueue::done(const std::string& key) {
  std::lock_guard lock(mutex_);
  processing_.erase(key);
  if (!dirty_.contains(key)) return;
  queue_.push_back(key);
  ready_.notify_one();
}

void WorkQueue::shutdown() {
  std::lock_guard lock(mutex_);
  shutdown_ = true;
  ready_.notify_all();
}

void WorkQueue::wake() {
  std::lock_guard lock(mutex_);
  ready_.notify_all();
}

std::size_t WorkQueue::size() const {
  std::lock_guard lock(mutex_);
  return queue_.size();
}

bool WorkQueue::idle() const {
  std::lock_guard lock(mutex_);
  return queue_.empty() && processing_.empty() && delayed_due_.empty();
}

}  // namespace coxswain::client
