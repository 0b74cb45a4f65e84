// One scheduling decision. Pure: the start index and the random choice among equals are passed in.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "services/scheduler/cluster.h"
#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {

struct Decision {
  std::string node;                    // "" when the pod fits nowhere
  std::map<std::string, int> reasons;  // why not -> number of nodes
  unsigned retry_on = 0;               // ClusterEvents after which it may fit
  int helped_by_preemption = 0;        // refused nodes where pods of lower priority might have made room
  bool never_preempts = false;         // preemptionPolicy: Never
  std::size_t nodes_seen = 0;
  std::size_t nodes_total = 0;

  // Word for word what upstream's scheduler says, its answer about preemption included. No pod is preempted
  // here, and with every priority equal nobody else would preempt one either: there are no victims.
  // "0/3 nodes are available: 1 Insufficient memory, 2 node(s) were unschedulable. preemption: 0/3 nodes are
  // available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
  std::string message() const;
};

// How many feasible nodes are enough, as upstream: all of 100 or fewer, then a shrinking share.
std::size_t feasible_nodes_wanted(std::size_t nodes);

// `start` is where the search begins, so that all nodes get their turn; `pick` chooses among the best.
Decision decide(const PodInfo& pod, const Cluster& cluster, std::size_t start, std::uint64_t pick);

}  // namespace coxswain::scheduler
