#include "libs/store/etcd/freshness.h"

#include <algorithm>

namespace coxswain::store::etcd {
namespace {

constexpr std::int64_t kTickAfterMs = 5;          // events of ours are mostly here by then
constexpr std::int64_t kTickAfterReplayMs = 150;  // etcd looks for those who are behind every 100 ms

}  // namespace

void Freshness::wait(Revision revision, Ours ours, std::int64_t now_ms, std::int64_t deadline_ms, Then then) {
  if (ours != Ours::kCertain && revision > unsure_) {
    if (unsure_ <= ticked_) tick_at_ms_ = now_ms + (ours == Ours::kSoon ? kTickAfterMs : kTickAfterReplayMs);
    unsure_ = revision;
  }
  waiters_.emplace(revision, Waiter{deadline_ms, std::move(then)});
}

void Freshness::reached(Revision applied) {
  std::vector<Then> ready;
  const auto end = waiters_.upper_bound(applied);
  for (auto it = waiters_.begin(); it != end; ++it) ready.push_back(std::move(it->second.then));
  waiters_.erase(waiters_.begin(), end);
  ticked_ = std::max(ticked_, applied);
  for (const Then& then : ready) then({});
}

void Freshness::expire(std::int64_t now_ms) {
  std::vector<Then> late;
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    const auto at = it++;
    if (at->second.deadline_ms > now_ms) continue;
    late.push_back(std::move(at->second.then));
    waiters_.erase(at);
  }
  for (const Then& then : late)
    then(make_error(ErrorCode::kUnavailable, "etcd's watch does not keep up; try again"));
}

std::optional<std::int64_t> Freshness::tick_at_ms() const {
  if (ticking_ || unsure_ <= ticked_) return std::nullopt;
  return tick_at_ms_;
}

void Freshness::tick_ended(Revision revision, std::int64_t now_ms) {
  ticking_ = false;
  ticked_ = std::max(ticked_, revision);
  tick_at_ms_ = now_ms + kTickAfterMs;
}

}  // namespace coxswain::store::etcd
