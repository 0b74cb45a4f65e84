// An exchange whose time a test moves by hand.
#pragma once

#include <map>
#include <utility>

#include "libs/registry/local_exchange.h"

namespace coxswain::registry {

// Delayed tasks run when the test says that their time has come, on its thread.
class TimedExchange : public LocalExchange {
 public:
  using LocalExchange::LocalExchange;

  void post(std::int64_t delay_ms, std::function<void()> task) override {
    if (delay_ms <= 0) return LocalExchange::post(delay_ms, std::move(task));
    timers_.emplace(now_ms_ + delay_ms, std::move(task));
  }

  void advance_ms(std::int64_t ms) {
    const std::int64_t until_ms = now_ms_ + ms;
    while (!timers_.empty() && timers_.begin()->first <= until_ms) {
      const auto due = timers_.extract(timers_.begin());
      now_ms_ = due.key();
      due.mapped()();
    }
    now_ms_ = until_ms;
  }

 private:
  std::multimap<std::int64_t, std::function<void()>> timers_;
  std::int64_t now_ms_ = 0;
};

}  // namespace coxswain::registry
