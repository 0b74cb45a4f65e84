// Watching: one ring of recent events that all watchers share, a cursor for each of them, and wake lists
// per prefix, so that an event costs only those who wait for it. A cursor that the ring has left behind
// goes on from the engine's history until it has caught up.
//
// Threads: publish() and trim() belong to the store's thread; everything else is for any thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/store/mvcc/history.h"
#include "libs/store/mvcc/state.h"

namespace coxswain::store {

class Hub : public std::enable_shared_from_this<Hub> {
 public:
  using Wakes = std::vector<std::function<void()>>;

  Hub(std::size_t max_events, std::size_t max_bytes) : max_events_(max_events), max_bytes_(max_bytes) {}

  // Start-up: the ring is empty and history is in the engine up to `revision`. Without a history, whoever
  // falls behind the ring gets kCompacted.
  void start(std::shared_ptr<const History> history, Revision revision, Revision compacted);
  // The state was replaced by a later one: everybody goes on from its history; without one, everybody gets
  // kCompacted.
  void restart(Revision revision, Revision compacted);
  // Watchers answer kUnavailable from here on; everyone armed is woken.
  void close();

  // Commits `plan` to `state` and the ring as one step for all readers; without events, bookmarks may move
  // on. The caller runs `wakes` later.
  void publish(const State::Plan& plan, State* state, Wakes* wakes);
  // Forgets what exceeds the bounds; only when the engine has all that was published.
  void trim();

  // What the events after `revision` up to `upto` changed below `prefix`, undone: each key with its version
  // as of `revision`. False: the ring does not reach back that far. Keys live as long as `*keep`.
  bool undo(Revision revision, Revision upto, std::string_view prefix, Overlay* overlay,
            std::vector<EventPtr>* keep) const;

  Result<std::unique_ptr<Watcher>> watch(std::string_view prefix, Revision after);
  std::int64_t watchers() const;

 private:
  friend class HubWatcher;
  struct Waiter {
    std::function<void()> wake;  // set: armed
    std::size_t position = 0;    // in its bucket's list while armed
    std::uint64_t next = 0;      // sequence number of the first event not looked at
    Revision handed = 0;         // everything up to here is handed over or does not concern it
  };
  struct Bucket {
    std::vector<Waiter*> armed;
    std::size_t members = 0;
  };
  using Buckets = std::map<std::string, Bucket, std::less<>>;

  std::uint64_t next_sequence() const { return first_ + ring_.size(); }
  std::uint64_t sequence_after(Revision revision) const;
  void wake_key(std::string_view key, std::uint64_t sequence, Revision revision, Wakes* wakes);
  Wakes disarm_all();
  static std::function<void()> disarm(Bucket* bucket, Waiter* waiter);

  const std::size_t max_events_;
  const std::size_t max_bytes_;

  mutable std::mutex mutex_;  // guards everything below
  std::shared_ptr<const History> history_;
  bool closed_ = false;
  std::deque<EventPtr> ring_;
  std::uint64_t first_ = 1;  // sequence number of ring_.front()
  std::size_t bytes_ = 0;
  Revision floor_ = 0;     // the ring has every event after this revision...
  Revision revision_ = 0;  // ...up to this one
  Revision compacted_ = 0;
  Buckets buckets_;
  std::int64_t watchers_ = 0;
};

}  // namespace coxswain::store
