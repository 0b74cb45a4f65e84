// A transaction of the store as one of etcd's, and etcd's answer as the store's. Pure.
#pragma once

#include <string>
#include <vector>

#include "libs/store/etcd/layout.h"
#include "libs/store/mvcc/state.h"
#include "libs/store/store.h"

namespace coxswain::store::etcd {

// Besides its own compares it holds only as long as the fence key has the mod_revision `fence`. When it does
// not hold, the answer tells what is at the keys it compares, in their order, and at the fence last.
bool has_certain_effect(const Txn& txn);  // it takes a revision once it holds
TxnRequest encode_write(const Layout& layout, const Txn& txn, const TxnId& id, Revision base, Revision fence);

// What the answer of a transaction that did not hold says.
struct Refusal {
  Revision fence = 0;     // etcd's mod_revision of the fence key
  bool by_fence = false;  // all compares of the transaction itself hold
  TxnResult result;       // else; revision and all
};
Result<Refusal> decode_refusal(const Layout& layout, const Txn& txn, const TxnResponse& answer,
                               Revision base);

// The events of one revision, as the watch brings them, turned into the store's. A key with a value that the
// store cannot have written is absent to it.
struct Change {
  State::Plan plan;                  // what to publish
  std::vector<TxnId> ids;            // whose; empty: not one of the store's transactions
  Revision fence = 0;                // not 0: the fence key was written
  Revision compacting = 0;           // not 0: etcd's revision that somebody is about to compact to
  std::vector<std::string> foreign;  // etcd's keys below data with such a value
};
Change decode_change(const Layout& layout, const std::vector<WatchEvent>& events, const State& state,
                     Revision base);

// What `txn` gives, now that `events` (none: it had no effect) are its effect at `revision`.
TxnResult result_of(const Txn& txn, const std::vector<EventPtr>& events, Revision revision);

}  // namespace coxswain::store::etcd
