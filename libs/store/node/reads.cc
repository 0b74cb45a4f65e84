// Reads: from what this member has applied, on any thread.
#include "libs/store/node/node.h"
#include "libs/store/watch/recent.h"

namespace coxswain::store {

Result<void> Node::refuse_damaged() const {
  if (!damaged_.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(mutex_);
  return make_error(ErrorCode::kUnavailable, reason_);
}

Result<EntryPtr> Node::get(std::string_view key, Revision revision) const {
  COX_RETURN_IF_ERROR(refuse_damaged());
  EntryPtr found;
  COX_ASSIGN_OR_RETURN(const bool recent, get_recent(state_, *hub_, key, revision, &found));
  if (!recent) {
    COX_ASSIGN_OR_RETURN(found, history_->get(key, revision));
    const State::Snapshot now = state_.snapshot();
    COX_RETURN_IF_ERROR(check_revision(revision, now.revision, now.compacted));
  }
  if (found == nullptr) return make_error(ErrorCode::kNotFound, "no such key");
  return found;
}

Result<RangeResult> Node::range(const RangeRequest& request) const {
  COX_RETURN_IF_ERROR(refuse_damaged());
  RangeResult result;
  COX_ASSIGN_OR_RETURN(const bool recent, range_recent(state_, *hub_, request, &result));
  if (recent) return result;
  const Result<void> read = history_->range(request, &result);
  const State::Snapshot now = state_.snapshot();
  COX_RETURN_IF_ERROR(check_revision(request.revision, now.revision, now.compacted));
  COX_RETURN_IF_ERROR(read);
  return result;
}

std::int64_t Node::count(std::string_view prefix) const {
  return state_.snapshot().index.count_prefix(prefix);
}

Result<std::unique_ptr<Watcher>> Node::watch(std::string_view prefix, Revision after) {
  return hub_->watch(prefix, after);
}

Revision Node::revision() const { return state_.snapshot().revision; }

Stats Node::stats() const {
  const State::Snapshot now = state_.snapshot();
  Stats stats;
  stats.revision = now.revision;
  stats.compacted = now.compacted;
  stats.keys = now.index.size();
  stats.watchers = hub_->watchers();
  stats.disk_bytes = engine_->disk_bytes();
  const std::lock_guard lock(mutex_);
  stats.disk_bytes += log_bytes_;
  stats.read_only = health_ != Health::kServing;
  stats.read_only_reason = reason_;
  const bool gone = health_ == Health::kStopped || damaged_.load(std::memory_order_acquire);
  stats.serving = !gone && (transport_ == nullptr || group_.leader != raft::kNobody);
  if (!stats.serving) stats.not_serving_reason = gone ? reason_ : why_no_leader();
  stats.alarm = checks_.alarm();
  return stats;
}

}  // namespace coxswain::store
