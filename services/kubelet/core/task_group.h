// Threads for tasks that block for a while (hooks, pulls, log streams): all are joined in the end.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace coxswain::kubelet {

// Thread-safe. The owner bounds how many run; the destructor waits for all.
class TaskGroup {
 public:
  ~TaskGroup() { wait(); }

  void run(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    reap();
    auto done = std::make_shared<std::atomic<bool>>(false);
    running_.fetch_add(1);
    std::thread thread([this, done, task = std::move(task)] {
      task();
      running_.fetch_sub(1);
      done->store(true);
    });
    tasks_.push_back({std::move(thread), std::move(done)});
  }

  int running() const { return running_.load(); }

  void wait() {
    std::list<Task> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
    }
    for (Task& task : tasks) task.thread.join();
  }

 private:
  struct Task {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> done;
  };

  void reap() {
    for (auto task = tasks_.begin(); task != tasks_.end();) {
      if (!task->done->load()) {
        ++task;
        continue;
      }
      task->thread.join();
      task = tasks_.erase(task);
    }
  }

  std::mutex mutex_;
  std::list<Task> tasks_;  // guarded by mutex_
  std::atomic<int> running_{0};
};

}  // namespace coxswain::kubelet
