// Pods that wait for a node. Pure: time is passed in. Not thread-safe.
//
//   active         next to be tried, by priority, then by age in the queue
//   back-off       tried and failed; tried again when its time has come (1 s doubling to 10 s)
//   unschedulable  fits nowhere; waits for a cluster event that the refusing plugins named, 5 min at most
//   gated          has scheduling gates
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "services/scheduler/model.h"

namespace coxswain::scheduler {

class Queue {
 public:
  struct Entry {
    PodInfo pod;
    int attempts = 0;
    std::int64_t queued_ms = 0;  // first seen
    std::int64_t failed_ms = 0;  // last failure
    unsigned retry_on = 0;
    std::uint64_t popped_at_event = 0;
  };

  void set(const PodInfo& pod, std::int64_t now_ms);  // new or changed; a change is a reason to try again
  void remove(const std::string& key);
  // The next pod to try; it is then in nobody's queue until one of the calls below.
  std::optional<Entry> pop(std::int64_t now_ms);
  // It fits nowhere. If something it waits for happened while it was tried, it goes to back-off instead.
  void add_unschedulable(Entry entry, unsigned retry_on, std::int64_t now_ms);
  void add_backoff(Entry entry, std::int64_t now_ms);  // a transient failure
  void on_event(unsigned events, std::int64_t now_ms);
  // When pop() may have something without any other call; -1: never.
  std::int64_t next_due_ms(std::int64_t now_ms) const;
  std::size_t size() const { return entries_.size(); }
  bool contains(const std::string& key) const { return entries_.contains(key); }

 private:
  enum class Place { kActive, kBackoff, kUnschedulable, kGated };
  struct Slot {
    Entry entry;
    Place place = Place::kActive;
    std::int64_t due_ms = 0;  // kBackoff, kUnschedulable
  };
  struct ActiveKey {
    std::int32_t priority;
    std::int64_t queued_ms;
    std::uint64_t sequence;
    std::string key;
    bool operator<(const ActiveKey& o) const {
      if (priority != o.priority) return priority > o.priority;
      if (queued_ms != o.queued_ms) return queued_ms < o.queued_ms;
      return sequence < o.sequence;
    }
  };
  void place(Slot slot, Place where, std::int64_t due_ms);
  void unlink(const Slot& slot);
  void move_due(std::int64_t now_ms);
  void retry(const std::string& key, std::int64_t now_ms);

  std::unordered_map<std::string, Slot> entries_;
  std::set<ActiveKey> active_;
  std::unordered_map<std::string, ActiveKey> active_keys_;
  std::set<std::pair<std::int64_t, std::string>> timed_;  // back-off and unschedulable by due time
  std::set<std::string> unschedulable_;
  std::uint64_t sequence_ = 0;
  std::uint64_t event_count_ = 0;
  std::map<std::uint64_t, unsigned> recent_events_;  // bounded; for pods being tried right now
};

}  // namespace coxswain::scheduler
