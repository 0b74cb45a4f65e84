// Keys that need work. A key is handed to one worker at a time; adding it meanwhile makes it come
// back once, after done(). Failures come back after a back-off of their own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <queue>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libs/common/base/clock.h"

namespace coxswain::client {

struct WorkQueueOptions {
  std::int64_t backoff_min_ms = 5;  // doubles with each failure in a row
  std::int64_t backoff_max_ms = 1'000'000;
  std::size_t capacity = 1'000'000;  // distinct keys waiting; add() of one more is refused
};

// Thread-safe. With a ManualClock, call wake() after moving it.
class WorkQueue {
 public:
  explicit WorkQueue(WorkQueueOptions options = {}, Clock& clock = system_clock());

  bool add(const std::string& key);                               // false: full or shut down
  void add_after(const std::string& key, std::int64_t delay_ms);  // the earliest of several wins
  void add_backoff(const std::string& key);                       // add_after the key's next back-off
  void forget(const std::string& key);                            // success: resets the back-off
  int failures(const std::string& key) const;

  // Blocks until a key is due; nullopt after shutdown() or when `stop` is requested. The caller must
  // call done(key).
  std::optional<std::string> get(std::stop_token stop = {});
  void done(const std::string& key);

  void shutdown();  // get() answers nullopt from now on
  void wake();
  std::size_t size() const;  // due, not handed out
  bool idle() const;         // nothing due, processing or delayed

 private:
  struct Delayed {
    std::int64_t due_ms;
    std::string key;
    bool operator>(const Delayed& other) const { return due_ms > other.due_ms; }
  };
  bool add_locked(const std::string& key);
  void move_due_locked();

  const WorkQueueOptions options_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any ready_;
  // All below guarded by mutex_.
  std::deque<std::string> queue_;
  std::unordered_set<std::string> dirty_;
  std::unordered_set<std::string> processing_;
  std::priority_queue<Delayed, std::vector<Delayed>, std::greater<>> delayed_;
  std::unordered_map<std::string, std::int64_t> delayed_due_;  // key -> earliest due time
  std::unordered_map<std::string, int> failures_;
  bool shutdown_ = false;
};

}  // namespace coxswain::client
