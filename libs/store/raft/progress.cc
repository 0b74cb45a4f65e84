#include "libs/store/raft/progress.h"

#include <algorithm>

namespace coxswain::store::raft {

bool Progress::full() const {
  return inflight_.size() >= limits_.inflight_messages || inflight_bytes_ >= limits_.inflight_bytes;
}

bool Progress::paused() const {
  switch (state_) {
    case State::kProbe:
      return probe_sent_;
    case State::kReplicate:
      return full();
    case State::kSnapshot:
      return true;
  }
  return true;
}

void Progress::become_probe() {
  // A snapshot that arrived saves asking for what it brought.
  next_ = state_ == State::kSnapshot ? std::max(match_, pending_snapshot_) + 1 : match_ + 1;
  state_ = State::kProbe;
  pending_snapshot_ = 0;
  probe_sent_ = false;
  inflight_.clear();
  inflight_bytes_ = 0;
}

void Progress::become_replicate() {
  become_probe();
  state_ = State::kReplicate;
  next_ = match_ + 1;
}

void Progress::become_snapshot(Index index) {
  become_probe();
  state_ = State::kSnapshot;
  pending_snapshot_ = index;
  if (index == 0) return;
  snapshot_index_ = index;
  settling_ = true;
}

std::optional<Index> Progress::needs_log_from() const {
  if (snapshot_index_ == 0) return std::nullopt;
  if (state_ == State::kSnapshot) return pending_snapshot_;
  if (silent_rounds_ > (settling_ ? kMostSilentRounds : 1)) return std::nullopt;
  return std::max(match_, snapshot_index_);
}

void Progress::end_round() {
  silent_rounds_ = recently_active_ ? 0 : silent_rounds_ + 1;
  recently_active_ = false;
}

void Progress::sent(Index last, std::size_t bytes) {
  if (state_ == State::kProbe) probe_sent_ = true;
  if (state_ != State::kReplicate || last == 0) return;
  next_ = last + 1;
  inflight_.emplace_back(last, bytes);
  inflight_bytes_ += bytes;
}

bool Progress::update(Index index) {
  const bool news = index > match_;
  match_ = std::max(match_, index);
  next_ = std::max(next_, index + 1);
  free_up_to(index);
  if (news && state_ == State::kProbe) probe_sent_ = false;
  return news;
}

bool Progress::retreat(Index refused, Index hint) {
  if (state_ == State::kReplicate) {
    if (refused <= match_) return false;  // late
    next_ = match_ + 1;
    return true;
  }
  if (next_ - 1 != refused) return false;  // late
  next_ = std::max(std::min(refused, hint + 1), match_ + 1);
  probe_sent_ = false;
  return true;
}

void Progress::resume() {
  probe_sent_ = false;
  if (state_ == State::kReplicate && full()) free_up_to(inflight_.front().first);
}

void Progress::free_up_to(Index index) {
  while (!inflight_.empty() && inflight_.front().first <= index) {
    inflight_bytes_ -= inflight_.front().second;
    inflight_.pop_front();
  }
}

}  // namespace coxswain::store::raft
