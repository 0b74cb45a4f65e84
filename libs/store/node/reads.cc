// Reads: from what this member has applied, on any thread.
#include <algorithm>

#include "libs/store/node/node.h"

namespace coxswain::store {

Result<void> Node::check_revision(Revision asked, Revision current, Revision compacted) const {
  if (damaged_.load(std::memory_order_acquire)) {
    const std::lock_guard lock(mutex_);
    return make_error(ErrorCode::kUnavailable, reason_);
  }
  if (asked < 0) return make_error(ErrorCode::kInvalidArgument, "negative revision");
  if (asked > current) {
    return make_error(ErrorCode::kOutOfRange, "revision " + std::to_string(asked) +
                                                  " is in the future; the store is at " +
                                                  std::to_string(current));
  }
  if (asked != 0 && asked < compacted) {
    return make_error(ErrorCode::kCompacted, "revision " + std::to_string(asked) +
                                                 " has been compacted; the oldest available is " +
                                                 std::to_string(compacted));
  }
  return {};
}

Result<EntryPtr> Node::get(std::string_view key, Revision revision) const {
  Revision current = 0;
  Revision compacted = 0;
  EntryPtr found = state_.find(key, &current, &compacted);
  COX_RETURN_IF_ERROR(check_revision(revision, current, compacted));
  // Whatever was last changed at or before the revision is what was there then.
  const bool as_of_now =
      revision == 0 || revision == current || (found != nullptr && found->mod_revision <= revision);
  if (!as_of_now) {
    Overlay overlay;
    std::vector<EventPtr> keep;
    if (hub_->undo(revision, current, key, &overlay, &keep)) {
      const auto it =
          std::find_if(overlay.begin(), overlay.end(), [&](const auto& item) { return item.first == key; });
      if (it != overlay.end()) found = it->second;
    } else {
      COX_ASSIGN_OR_RETURN(found, history_->get(key, revision));
      COX_RETURN_IF_ERROR(check_revision(revision, current, state_.snapshot().compacted));
    }
  }
  if (found == nullptr) return make_error(ErrorCode::kNotFound, "no such key");
  return found;
}

Result<RangeResult> Node::range(const RangeRequest& request) const {
  const State::Snapshot now = state_.snapshot();
  COX_RETURN_IF_ERROR(check_revision(request.revision, now.revision, now.compacted));
  RangeResult result;
  result.revision = request.revision == 0 ? now.revision : request.revision;
  if (result.revision != now.revision) {
    COX_RETURN_IF_ERROR(read_old(request, now, &result));
  } else {
    read_range(now.index, {}, request, &result);
  }
  return result;
}

Result<void> Node::read_old(const RangeRequest& request, const State::Snapshot& now,
                            RangeResult* result) const {
  Overlay overlay;
  std::vector<EventPtr> keep;
  if (hub_->undo(request.revision, now.revision, request.prefix, &overlay, &keep)) {
    read_range(now.index, overlay, request, result);
    return {};
  }
  const Result<void> read = history_->range(request, result);
  COX_RETURN_IF_ERROR(check_revision(request.revision, now.revision, state_.snapshot().compacted));
  return read;
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
