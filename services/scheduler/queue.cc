#include "services/scheduler/queue.h"

#include <algorithm>

namespace coxswain::scheduler {
namespace {

constexpr std::int64_t kBackoffMin_ms = 1'000;
constexpr std::int64_t kBackoffMax_ms = 10'000;
constexpr std::int64_t kUnschedulableMax_ms = 300'000;
constexpr std::size_t kMaxRecentEvents = 1024;

std::int64_t backoff_ms(int attempts) {
  std::int64_t delay = kBackoffMin_ms;
  for (int i = 1; i < attempts && delay < kBackoffMax_ms; ++i) delay *= 2;
  return std::min(delay, kBackoffMax_ms);
}

}  // namespace

void Queue::unlink(const Slot& slot) {
  const std::string key = slot.entry.pod.key();
  if (const auto at = active_keys_.find(key); at != active_keys_.end()) {
    active_.erase(at->second);
    active_keys_.erase(at);
  }
  timed_.erase({slot.due_ms, key});
  unschedulable_.erase(key);
}

void Queue::place(Slot slot, Place where, std::int64_t due_ms) {
  const std::string key = slot.entry.pod.key();
  if (const auto old = entries_.find(key); old != entries_.end()) unlink(old->second);
  slot.place = where;
  slot.due_ms = due_ms;
  if (where == Place::kActive) {
    const ActiveKey order{slot.entry.pod.priority, slot.entry.queued_ms, ++sequence_, key};
    active_.insert(order);
    active_keys_.insert_or_assign(key, order);
  } else if (where != Place::kGated) {
    timed_.insert({due_ms, key});
  }
  if (where == Place::kUnschedulable) unschedulable_.insert(key);
  entries_.insert_or_assign(key, std::move(slot));
}

void Queue::set(const PodInfo& pod, std::int64_t now_ms) {
  const auto old = entries_.find(pod.key());
  Slot slot;
  if (old != entries_.end() && old->second.entry.pod.uid == pod.uid) slot.entry = old->second.entry;
  const bool waits = old != entries_.end() && old->second.place == Place::kUnschedulable &&
                     old->second.entry.pod.uid == pod.uid;
  // The status condition that we wrote ourselves comes back as an update: no reason to try again.
  const bool same_wish = waits && old->second.entry.pod.node_selector == pod.node_selector &&
                         old->second.entry.pod.priority == pod.priority &&
                         old->second.entry.pod.tolerations.size() == pod.tolerations.size() &&
                         old->second.entry.pod.requests.cpu_milli == pod.requests.cpu_milli &&
                         old->second.entry.pod.requests.memory_bytes == pod.requests.memory_bytes;
  slot.entry.pod = pod;
  if (slot.entry.queued_ms == 0) slot.entry.queued_ms = now_ms;
  if (same_wish) {
    const std::int64_t due_ms = old->second.due_ms;
    place(std::move(slot), Place::kUnschedulable, due_ms);
    return;
  }
  if (old != entries_.end() && old->second.place == Place::kBackoff && old->second.entry.pod.uid == pod.uid) {
    const std::int64_t due_ms = old->second.due_ms;
    place(std::move(slot), Place::kBackoff, due_ms);
    return;
  }
  place(std::move(slot), pod.gated ? Place::kGated : Place::kActive, 0);
}

void Queue::remove(const std::string& key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  unlink(at->second);
  entries_.erase(at);
}

void Queue::move_due(std::int64_t now_ms) {
  while (!timed_.empty() && timed_.begin()->first <= now_ms) {
    Slot slot = entries_.at(timed_.begin()->second);
    place(std::move(slot), Place::kActive, 0);
  }
}

std::optional<Queue::Entry> Queue::pop(std::int64_t now_ms) {
  move_due(now_ms);
  if (active_.empty()) return std::nullopt;
  const std::string key = active_.begin()->key;
  Entry entry = entries_.at(key).entry;
  remove(key);
  ++entry.attempts;
  entry.popped_at_event = event_count_;
  return entry;
}

void Queue::add_unschedulable(Entry entry, unsigned retry_on, std::int64_t now_ms) {
  if (entries_.contains(entry.pod.key())) return;  // a newer version came meanwhile
  entry.failed_ms = now_ms;
  entry.retry_on = retry_on;
  unsigned missed = 0;
  for (auto at = recent_events_.upper_bound(entry.popped_at_event); at != recent_events_.end(); ++at)
    missed |= at->second;
  const bool relevant = (missed & retry_on) != 0;
  const std::int64_t due_ms = now_ms + (relevant ? backoff_ms(entry.attempts) : kUnschedulableMax_ms);
  place({std::move(entry), Place::kActive, 0}, relevant ? Place::kBackoff : Place::kUnschedulable, due_ms);
}

void Queue::add_backoff(Entry entry, std::int64_t now_ms) {
  if (entries_.contains(entry.pod.key())) return;
  entry.failed_ms = now_ms;
  const std::int64_t due_ms = now_ms + backoff_ms(entry.attempts);
  place({std::move(entry), Place::kActive, 0}, Place::kBackoff, due_ms);
}

// At once when its back-off is over, else when it is.
void Queue::retry(const std::string& key, std::int64_t now_ms) {
  Slot slot = entries_.at(key);
  const std::int64_t due_ms = slot.entry.failed_ms + backoff_ms(slot.entry.attempts);
  if (due_ms <= now_ms)
    place(std::move(slot), Place::kActive, 0);
  else
    place(std::move(slot), Place::kBackoff, due_ms);
}

void Queue::on_event(unsigned events, std::int64_t now_ms) {
  if (events == 0) return;
  recent_events_[++event_count_] = events;
  if (recent_events_.size() > kMaxRecentEvents) recent_events_.erase(recent_events_.begin());
  std::vector<std::string> keys;
  for (const std::string& key : unschedulable_) {
    if ((entries_.at(key).entry.retry_on & events) != 0) keys.push_back(key);
  }
  for (const std::string& key : keys) retry(key, now_ms);
}

std::int64_t Queue::next_due_ms(std::int64_t now_ms) const {
  if (!active_.empty()) return now_ms;
  return timed_.empty() ? -1 : timed_.begin()->first;
}

}  // namespace coxswain::scheduler
