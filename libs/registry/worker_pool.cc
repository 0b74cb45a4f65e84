#include "libs/registry/worker_pool.h"

namespace coxswain::registry {

void WorkerPool::stop() {
  std::deque<std::function<void()>> dropped;  // may own calls: not to die under the lock
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool WorkerPool::submit(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || queue_.size() >= max_queued_) return false;
  queue_.push_back(std::move(task));
  if (idle_ == 0 && static_cast<int>(threads_.size()) < threads_wanted_) {
    threads_.emplace_back([this] { run(); });
  } else {
    wake_.notify_one();
  }
  return true;
}

void WorkerPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (stopping_) return;
    std::function<void()> task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace coxswain::registry
