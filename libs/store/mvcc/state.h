// The state machine: commands in, versions and events out. Pure: no clock, thread, disk or log.
//
// One writer calls plan() then commit(); readers take snapshots from any thread.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "libs/store/mvcc/command.h"
#include "libs/store/mvcc/index.h"
#include "libs/store/mvcc/state_hash.h"
#include "libs/store/store.h"

namespace coxswain::store {

using EventPtr = std::shared_ptr<const Event>;

class State {
 public:
  struct Snapshot {
    Index index;
    Revision revision = 0;
    Revision compacted = 0;
  };

  // What a command does, worked out but not done.
  struct Plan {
    TxnResult result;
    std::vector<EventPtr> events;    // all of one revision, in the order of the ops
    std::vector<StateHash> changes;  // what each of them does to the hash of all entries
    Revision compact_to = 0;         // 0: not a compaction
  };

  // Start-up only: rows in key order, then where they are.
  void load(EntryPtr entry) { index_.put(std::move(entry)); }
  void load_revisions(Revision revision, Revision compacted);

  // Everything at once, from elsewhere; writer only.
  void replace(State&& other);

  Plan plan(Command command) const;  // writer only
  // Writer only; visible to snapshots from here on. Revisions only grow; where they come from elsewhere
  // (libs/store/etcd) some are skipped, and some have no events.
  void commit(const Plan& plan);

  Snapshot snapshot() const;
  EntryPtr find(std::string_view key, Revision* revision, Revision* compacted) const;

 private:
  mutable std::mutex mutex_;  // the writer reads without it, writes with it; readers hold it
  Index index_;
  Revision revision_ = 0;
  Revision compacted_ = 0;
};

// Reads of `state` with some keys as `overlay` says (null: absent); for revisions that are still in the
// ring of recent events.
using Overlay = std::vector<std::pair<std::string_view, EntryPtr>>;  // sorted by key
void read_range(const Index& index, const Overlay& overlay, const RangeRequest& request, RangeResult* result);

// The first key a range looks at.
std::string range_start(const RangeRequest& request);

}  // namespace coxswain::store
