// A few threads for work that would hold up an io thread: big tables, big bodies. Bounded.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace coxswain::registry {

class WorkerPool {
 public:
  WorkerPool(int threads, std::size_t max_queued) : threads_wanted_(threads), max_queued_(max_queued) {}
  ~WorkerPool() { stop(); }
  // False when the queue is full: answer 429. Threads start with the first task.
  bool submit(std::function<void()> task);
  // Drops what is queued, waits for what runs; from then on submit() is false. Once, or from one thread.
  void stop();

 private:
  void run();
  const int threads_wanted_;
  const std::size_t max_queued_;
  std::mutex mutex_;
  // guarded by mutex_
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  std::vector<std::thread> threads_;
  int idle_ = 0;
  bool stopping_ = false;
};

}  // namespace coxswain::registry
