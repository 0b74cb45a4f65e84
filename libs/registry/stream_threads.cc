#include "libs/registry/stream_threads.h"

namespace coxswain::registry {

void StreamThreads::reap() {
  for (auto at = items_.begin(); at != items_.end();) {
    if (!at->done) {
      ++at;
      continue;
    }
    at->thread.join();  // it is past its last use of us
    at = items_.erase(at);
  }
}

void StreamThreads::run(std::function<void()> body, std::function<void()> cancel) {
  const std::lock_guard lock(mutex_);
  reap();
  Item& item = items_.emplace_back();
  item.cancel = std::move(cancel);
  item.thread = std::thread([this, &item, body = std::move(body)]() mutable {
    body();
    body = nullptr;
    const std::lock_guard guard(mutex_);
    item.cancel = nullptr;
    item.done = true;
  });
}

void StreamThreads::stop() {
  std::list<Item> items;
  {
    const std::lock_guard lock(mutex_);
    for (Item& item : items_) {
      if (item.cancel != nullptr) item.cancel();
    }
    items.splice(items.begin(), items_);  // nodes keep their addresses
  }
  for (Item& item : items) item.thread.join();
}

}  // namespace coxswain::registry
