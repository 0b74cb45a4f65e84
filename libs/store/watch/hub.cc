#include "libs/store/watch/hub.h"

#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kScanPerLock = 2048;  // events a poll looks at before it lets others in
constexpr std::size_t kHistoryScan = 4096;  // revisions a poll reads from the engine at a time

// What the ring alone keeps alive: current values are the index's.
std::size_t cost_of(const Event& event) {
  const auto size = [](const Entry& entry) { return entry.key.size() + entry.value.size() + 128; };
  std::size_t cost = sizeof(Event) + 32;
  if (event.previous != nullptr) cost += size(*event.previous);
  if (event.type == Event::Type::kDelete) cost += size(*event.entry);
  return cost;
}

Error compacted_error(Revision after, Revision compacted) {
  return make_error(ErrorCode::kCompacted, "revision " + std::to_string(after) +
                                               " has been compacted; the oldest available is " +
                                               std::to_string(compacted));
}

Error closed_error() { return make_error(ErrorCode::kUnavailable, "the store is closed"); }

}  // namespace

class HubWatcher : public Watcher {
 public:
  HubWatcher(std::shared_ptr<Hub> hub, Hub::Buckets::iterator bucket, Revision after, std::uint64_t next)
      : hub_(std::move(hub)), bucket_(bucket) {
    self_.handed = after;
    self_.next = next;
  }

  ~HubWatcher() override {
    std::function<void()> dropped;  // what it captured dies without the lock
    const std::lock_guard lock(hub_->mutex_);
    dropped = hub_->disarm(&bucket_->second, &self_);
    if (--bucket_->second.members == 0) hub_->buckets_.erase(bucket_);
    --hub_->watchers_;
  }

  Result<WatchBatch> poll(std::size_t max_events) override {
    max_events = std::max<std::size_t>(max_events, 1);
    WatchBatch batch;
    for (;;) {
      std::unique_lock lock(hub_->mutex_);
      if (hub_->closed_) return closed_error();
      if (self_.wake) catch_up();
      if (self_.next >= hub_->first_) {
        if (poll_ring(max_events, &batch)) return batch;
        continue;
      }
      if (!batch.events.empty()) return batch;
      COX_RETURN_IF_ERROR(poll_history(max_events, &lock, &batch));
      if (!batch.events.empty()) return batch;
    }
  }

  void arm(std::function<void()> wake) override {
    std::function<void()> dropped;
    {
      const std::lock_guard lock(hub_->mutex_);
      dropped = hub_->disarm(&bucket_->second, &self_);
      if (!hub_->closed_ && !has_news()) {
        catch_up();
        auto& armed = bucket_->second.armed;
        self_.wake = std::move(wake);
        self_.position = armed.size();
        armed.push_back(&self_);
        return;
      }
    }
    wake();
  }

 private:
  // Armed and not woken, or just scanned to the end: nothing up to now concerns it.
  void catch_up() {
    self_.next = hub_->next_sequence();
    self_.handed = hub_->revision_;
  }

  bool has_news() const {
    if (self_.next < hub_->first_) return true;
    const std::uint64_t end = hub_->next_sequence();
    for (std::uint64_t at = self_.next; at < end; ++at) {
      if (has_prefix(hub_->ring_[at - hub_->first_]->entry->key, bucket_->first)) return true;
    }
    return false;
  }

  // True: done. False: call again, others had to get a turn. Stops only between transactions.
  bool poll_ring(std::size_t max_events, WatchBatch* batch) {
    const std::uint64_t end = hub_->next_sequence();
    const std::uint64_t pause = self_.next + kScanPerLock;
    for (; self_.next < end; ++self_.next) {
      const EventPtr& event = hub_->ring_[self_.next - hub_->first_];
      if (event->revision != scanned_) {
        self_.handed = std::max(self_.handed, event->revision - 1);
        batch->progress = self_.handed;
        if (batch->events.size() >= max_events) {
          if (raft::planted(raft::Mutant::kBookmarkTooFar)) batch->progress = hub_->revision_;
          return true;
        }
        if (self_.next >= pause) return false;
        scanned_ = event->revision;
      }
      if (has_prefix(event->entry->key, bucket_->first)) batch->events.push_back(event);
    }
    catch_up();
    batch->progress = self_.handed;
    return true;
  }

  Result<void> poll_history(std::size_t max_events, std::unique_lock<std::mutex>* lock, WatchBatch* batch) {
    const std::shared_ptr<const History> history = hub_->history_;
    if (history == nullptr) return compacted_error(self_.handed, hub_->floor_);
    if (self_.handed < hub_->compacted_) return compacted_error(self_.handed, hub_->compacted_);
    lock->unlock();
    Result<History::Page> page = history->events(self_.handed, bucket_->first, max_events, kHistoryScan);
    lock->lock();
    if (self_.handed < hub_->compacted_) return compacted_error(self_.handed, hub_->compacted_);
    if (!page.ok()) return std::move(page).error();
    batch->events = std::move(page->events);
    // Rows end where transactions had an effect; the ring starts at floor_.
    if (page->upto == self_.handed) page->upto = hub_->floor_;
    self_.handed = batch->progress = page->upto;
    if (self_.handed >= hub_->floor_) self_.next = hub_->sequence_after(self_.handed);
    return {};
  }

  const std::shared_ptr<Hub> hub_;
  const Hub::Buckets::iterator bucket_;
  Hub::Waiter self_;      // guarded by the hub's mutex
  Revision scanned_ = 0;  // the revision that poll_ring is in
};

void Hub::start(std::shared_ptr<const History> history, Revision revision, Revision compacted) {
  const std::lock_guard lock(mutex_);
  history_ = std::move(history);
  floor_ = revision_ = revision;
  compacted_ = compacted;
}

Hub::Wakes Hub::disarm_all() {
  Wakes wakes;
  for (auto& [prefix, bucket] : buckets_) {
    for (Waiter* waiter : bucket.armed) {
      waiter->handed = revision_;  // it was not woken: nothing up to here concerned it
      wakes.push_back(std::exchange(waiter->wake, nullptr));
    }
    bucket.armed.clear();
  }
  return wakes;
}

void Hub::restart(Revision revision, Revision compacted) {
  std::deque<EventPtr> gone;  // freed without the lock
  Wakes wakes;
  {
    const std::lock_guard lock(mutex_);
    wakes = disarm_all();
    first_ = next_sequence() + 1;  // nobody has seen so much
    gone.swap(ring_);
    bytes_ = 0;
    floor_ = revision_ = revision;
    compacted_ = compacted;
  }
  for (const auto& wake : wakes) wake();
}

void Hub::close() {
  Wakes wakes;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    history_ = nullptr;
    wakes = disarm_all();
  }
  for (const auto& wake : wakes) wake();
}

std::uint64_t Hub::sequence_after(Revision revision) const {
  const auto it = std::upper_bound(ring_.begin(), ring_.end(), revision,
                                   [](Revision r, const EventPtr& event) { return r < event->revision; });
  return first_ + static_cast<std::uint64_t>(it - ring_.begin());
}

std::function<void()> Hub::disarm(Bucket* bucket, Waiter* waiter) {
  if (!waiter->wake) return nullptr;
  bucket->armed[waiter->position] = bucket->armed.back();
  bucket->armed[waiter->position]->position = waiter->position;
  bucket->armed.pop_back();
  return std::exchange(waiter->wake, nullptr);
}

void Hub::publish(const State::Plan& plan, State* state, Wakes* wakes) {
  const std::lock_guard lock(mutex_);
  state->commit(plan);
  compacted_ = std::max(compacted_, plan.compact_to);
  revision_ = std::max(revision_, plan.result.revision);
  if (plan.events.empty()) return;
  const std::uint64_t sequence = next_sequence();
  for (const EventPtr& event : plan.events) {
    bytes_ += cost_of(*event);
    ring_.push_back(event);
  }
  for (const EventPtr& event : plan.events) wake_key(event->entry->key, sequence, event->revision, wakes);
}

// Every prefix of `key` that someone waits for, from the longest: the greatest bucket not above the candidate
// is either such a prefix or shows how much shorter the next one must be.
void Hub::wake_key(std::string_view key, std::uint64_t sequence, Revision revision, Wakes* wakes) {
  std::string_view candidate = key;
  for (;;) {
    auto it = buckets_.upper_bound(candidate);
    if (it == buckets_.begin()) return;
    --it;
    const std::string& prefix = it->first;
    if (!has_prefix(key, prefix)) {
      const auto differ = std::mismatch(prefix.begin(), prefix.end(), key.begin(), key.end()).second;
      candidate = key.substr(0, static_cast<std::size_t>(differ - key.begin()));
      continue;
    }
    for (Waiter* waiter : it->second.armed) {
      waiter->next = sequence;
      waiter->handed = revision - 1;
      wakes->push_back(std::exchange(waiter->wake, nullptr));
    }
    it->second.armed.clear();
    if (prefix.empty() || raft::planted(raft::Mutant::kLostWake)) return;
    candidate = key.substr(0, prefix.size() - 1);
  }
}

void Hub::trim() {
  std::vector<EventPtr> gone;  // freed without the lock
  {
    const std::lock_guard lock(mutex_);
    while (!ring_.empty() && (ring_.size() > max_events_ || bytes_ > max_bytes_)) {
      floor_ = ring_.front()->revision;
      while (!ring_.empty() && ring_.front()->revision == floor_) {
        bytes_ -= cost_of(*ring_.front());
        gone.push_back(std::move(ring_.front()));
        ring_.pop_front();
        ++first_;
      }
    }
  }
}

bool Hub::undo(Revision revision, Revision upto, std::string_view prefix, Overlay* overlay,
               std::vector<EventPtr>* keep) const {
  {
    const std::lock_guard lock(mutex_);
    if (revision < floor_) return false;
    for (std::size_t i = sequence_after(revision) - first_; i < ring_.size() && ring_[i]->revision <= upto;
         ++i) {
      if (has_prefix(ring_[i]->entry->key, prefix)) keep->push_back(ring_[i]);
    }
  }
  for (const EventPtr& event : *keep) overlay->emplace_back(event->entry->key, event->previous);
  // The oldest event of a key knows what was there at `revision`.
  const auto by_key = [](const auto& a, const auto& b) { return a.first < b.first; };
  std::stable_sort(overlay->begin(), overlay->end(), by_key);
  const auto same_key = [](const auto& a, const auto& b) { return a.first == b.first; };
  overlay->erase(std::unique(overlay->begin(), overlay->end(), same_key), overlay->end());
  return true;
}

Result<std::unique_ptr<Watcher>> Hub::watch(std::string_view prefix, Revision after) {
  const std::lock_guard lock(mutex_);
  if (closed_) return closed_error();
  if (after < 0) return make_error(ErrorCode::kInvalidArgument, "negative revision");
  if (after > revision_) {
    return make_error(ErrorCode::kOutOfRange, "revision " + std::to_string(after) +
                                                  " is in the future; the store is at " +
                                                  std::to_string(revision_));
  }
  if (after == 0) after = revision_;
  const Revision oldest = history_ == nullptr ? std::max(compacted_, floor_) : compacted_;
  if (after < oldest) return compacted_error(after, oldest);
  const auto bucket = buckets_.try_emplace(std::string(prefix)).first;
  ++bucket->second.members;
  ++watchers_;
  // Behind the ring: a sequence number that the ring cannot have.
  const Revision from = raft::planted(raft::Mutant::kWatchResumesLate) ? after + 1 : after;
  const std::uint64_t next = after >= floor_ ? sequence_after(from) : 0;
  return std::unique_ptr<Watcher>(std::make_unique<HubWatcher>(shared_from_this(), bucket, after, next));
}

std::int64_t Hub::watchers() const {
  const std::lock_guard lock(mutex_);
  return watchers_;
}

}  // namespace coxswain::store
