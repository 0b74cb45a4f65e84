// Who waits for the copy to come to some revision of etcd's.
//
// The watch brings only what happens below the prefix. So when nobody knows whether a revision is ours, the
// watch may be silent although all is there: then the tick key has to be written, whose event comes behind
// everything before it. Pure; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "libs/store/store.h"

namespace coxswain::store::etcd {

class Freshness {
 public:
  using Then = std::function<void(Result<void>)>;

  // How sure it is that an event of the revision comes: certain; or, if it does not come soon, it never will.
  enum class Ours { kCertain, kSoon, kAfterReplay };
  // `then` runs in reached() or expire().
  void wait(Revision revision, Ours ours, std::int64_t now_ms, std::int64_t deadline_ms, Then then);
  // The copy is there.
  void reached(Revision applied);
  // Those whose time is over get kUnavailable.
  void expire(std::int64_t now_ms);

  // When the tick key has to be written; nullopt: it has not.
  std::optional<std::int64_t> tick_at_ms() const;
  void tick_began() { ticking_ = true; }
  // `revision` 0: it failed.
  void tick_ended(Revision revision, std::int64_t now_ms);

 private:
  struct Waiter {
    std::int64_t deadline_ms;
    Then then;
  };
  std::multimap<Revision, Waiter> waiters_;
  Revision unsure_ = 0;  // the newest revision waited for that may not be ours...
  Revision ticked_ = 0;  // ...and the event of this one will be behind it
  std::int64_t tick_at_ms_ = 0;
  bool ticking_ = false;
};

}  // namespace coxswain::store::etcd
