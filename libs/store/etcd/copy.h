// The store's copy in memory, fed by etcd's watch. Revisions here are etcd's unless said otherwise.
//
// One thread writes; state(), hub() and base() are read by any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libs/store/etcd/write.h"
#include "libs/store/open.h"
#include "libs/store/watch/hub.h"

namespace coxswain::store::etcd {

class Copy {
 public:
  Copy(const Layout& layout, const StoreLimits& limits);

  const State& state() const { return state_; }
  Hub& hub() const { return *hub_; }
  bool loaded() const { return loaded_; }
  Revision base() const { return base_; }        // of the store's revision 0
  Revision applied() const { return applied_; }  // everything up to here is in

  // All of it as of `revision`; what is older than `compacted` cannot be read any more (0: not known). Not
  // the first time: events were missed, every watcher gets kCompacted.
  void load(std::unique_ptr<State> fresh, std::set<std::string> foreign, Revision base, Revision revision,
            Revision compacted);
  // etcd's keys where there is what the store did not write; it does without them.
  const std::set<std::string>& foreign() const { return foreign_; }

  // What the watch says; `changed` is told of every revision that it completes, after readers see it.
  using Changed = std::function<void(const Change&)>;
  Result<void> feed(WatchResponse response, Hub::Wakes* wakes, const Changed& changed);
  void interrupted() { partial_.clear(), partial_bytes_ = 0; }  // the watch begins again behind applied()
  void compacted(Revision revision);

 private:
  void apply_partial(Hub::Wakes* wakes, const Changed& changed);

  const Layout& layout_;
  const std::shared_ptr<Hub> hub_;
  State state_;
  bool loaded_ = false;
  std::atomic<Revision> base_{0};
  Revision applied_ = 0;
  std::set<std::string> foreign_;
  std::vector<WatchEvent> partial_;  // of one revision
  std::size_t partial_bytes_ = 0;
};

}  // namespace coxswain::store::etcd
