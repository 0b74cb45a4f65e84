#include "libs/store/watch/recent.h"

#include <algorithm>

namespace coxswain::store {

Result<void> check_revision(Revision asked, Revision current, Revision compacted) {
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

Result<bool> get_recent(const State& state, const Hub& hub, std::string_view key, Revision revision,
                        EntryPtr* found) {
  Revision current = 0;
  Revision compacted = 0;
  *found = state.find(key, &current, &compacted);
  COX_RETURN_IF_ERROR(check_revision(revision, current, compacted));
  // Whatever was last changed at or before the revision is what was there then.
  if (revision == 0 || revision == current || (*found != nullptr && (*found)->mod_revision <= revision))
    return true;
  Overlay overlay;
  std::vector<EventPtr> keep;
  if (!hub.undo(revision, current, key, &overlay, &keep)) return false;
  const auto it =
      std::find_if(overlay.begin(), overlay.end(), [&](const auto& item) { return item.first == key; });
  if (it != overlay.end()) *found = it->second;
  return true;
}

Result<bool> range_recent(const State& state, const Hub& hub, const RangeRequest& request,
                          RangeResult* result) {
  const State::Snapshot now = state.snapshot();
  COX_RETURN_IF_ERROR(check_revision(request.revision, now.revision, now.compacted));
  result->revision = request.revision == 0 ? now.revision : request.revision;
  Overlay overlay;
  std::vector<EventPtr> keep;
  if (result->revision != now.revision &&
      !hub.undo(request.revision, now.revision, request.prefix, &overlay, &keep))
    return false;
  read_range(now.index, overlay, request, result);
  return true;
}

}  // namespace coxswain::store
