// For tests: a store as one member of several shows it. It reads through to the leader's, but as of the
// revision that it has applied. From fall_behind() on it applies nothing by itself, and its barrier waits
// until the test lets it pass or fail.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "libs/store/store.h"

namespace coxswain::registry {

// Thread-safe as far as a test needs it: one thread asks, the one of catch_up() or fail_barriers() answers.
class FollowerStore : public store::Store {
 public:
  explicit FollowerStore(store::Store& leader) : leader_(leader) {}

  Result<store::EntryPtr> get(std::string_view key, store::Revision revision) const override {
    return leader_.get(key, revision == 0 ? now() : revision);
  }
  Result<store::RangeResult> range(const store::RangeRequest& request) const override {
    store::RangeRequest as_of = request;
    if (as_of.revision == 0) as_of.revision = now();
    return leader_.range(as_of);
  }
  std::int64_t count(std::string_view prefix) const override { return leader_.count(prefix); }
  void txn(store::Txn txn, TxnDone done) override {
    leader_.txn(std::move(txn), [this, done = std::move(done)](Result<store::TxnResult> result) {
      if (result.ok()) apply_up_to(result->revision);  // what is told is visible here
      done(std::move(result));
    });
  }
  // Shows events beyond what is applied too: good enough where the test catches up first.
  Result<std::unique_ptr<store::Watcher>> watch(std::string_view prefix, store::Revision after) override {
    return leader_.watch(prefix, after == 0 ? now() : after);
  }
  Result<void> compact(store::Revision revision) override { return leader_.compact(revision); }
  store::Revision revision() const override { return now(); }
  store::Stats stats() const override {
    store::Stats stats = leader_.stats();
    stats.revision = now();
    const std::lock_guard lock(mutex_);
    stats.serving = not_serving_.empty();
    stats.not_serving_reason = not_serving_;
    return stats;
  }
  void barrier(BarrierDone done) override {
    {
      const std::lock_guard lock(mutex_);
      if (behind_) return waiting_.push_back(std::move(done));
    }
    apply_up_to(leader_.revision());
    done({});
  }

  void fall_behind() {
    apply_up_to(leader_.revision());
    const std::lock_guard lock(mutex_);
    behind_ = true;
  }
  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  // Applies what the leader has, and lets everybody pass: on a thread of its own, as a store does.
  void catch_up() {
    apply_up_to(leader_.revision());
    answer({});
  }
  void fail_barriers(const std::string& why) { answer(make_error(ErrorCode::kUnavailable, why)); }
  void set_not_serving(const std::string& why) {
    const std::lock_guard lock(mutex_);
    not_serving_ = why;
  }
  void apply_up_to(store::Revision revision) {
    store::Revision seen = applied_;
    while (seen < revision && !applied_.compare_exchange_weak(seen, revision)) {
    }
  }

 private:
  store::Revision now() const {
    const std::lock_guard lock(mutex_);
    return behind_ ? applied_.load() : leader_.revision();
  }
  void answer(const Result<void>& outcome) {
    std::deque<BarrierDone> waiting;
    {
      const std::lock_guard lock(mutex_);
      waiting.swap(waiting_);
    }
    std::thread([&] {
      for (BarrierDone& done : waiting) done(outcome);
    }).join();
  }

  store::Store& leader_;
  std::atomic<store::Revision> applied_{0};
  mutable std::mutex mutex_;
  bool behind_ = false;              // guarded by mutex_
  std::deque<BarrierDone> waiting_;  // guarded by mutex_
  std::string not_serving_;          // guarded by mutex_
};

}  // namespace coxswain::registry
