// Threads for open streams that block (container logs): one each, all cancelled and joined at the end.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace coxswain::registry {

class StreamThreads {
 public:
  ~StreamThreads() { stop(); }
  // Runs `body` on its own thread; `cancel` makes it return soon.
  void run(std::function<void()> body, std::function<void()> cancel);
  void stop();

 private:
  struct Item {
    std::thread thread;
    std::function<void()> cancel;
    bool done = false;
  };
  void reap();  // caller holds mutex_
  std::mutex mutex_;
  std::list<Item> items_;  // guarded by mutex_
};

}  // namespace coxswain::registry
