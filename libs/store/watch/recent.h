// Reads of a copy of the state: of now, and of the past as far as the ring of recent events reaches. Any
// thread.
#pragma once

#include "libs/store/mvcc/state.h"
#include "libs/store/watch/hub.h"

namespace coxswain::store {

// kInvalidArgument, kOutOfRange or kCompacted when `asked` cannot be read.
Result<void> check_revision(Revision asked, Revision current, Revision compacted);

// What `key` was at `revision` (0: now); null: absent. False: that is longer ago than the ring remembers.
Result<bool> get_recent(const State& state, const Hub& hub, std::string_view key, Revision revision,
                        EntryPtr* found);
// The same of a range. When false, only `result->revision` is set.
Result<bool> range_recent(const State& state, const Hub& hub, const RangeRequest& request,
                          RangeResult* result);

}  // namespace coxswain::store
