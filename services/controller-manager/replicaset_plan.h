// What a ReplicaSet does next; pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "api/types/apps_v1.h"
#include "services/controller-manager/pod_view.h"

namespace coxswain::controllers {

struct ReplicaSetPlan {
  int create = 0;                          // at most kBurst per round
  std::vector<PodPointer> remove;          // the most expendable first
  api::apps::v1::ReplicaSetStatus status;  // conditions are carried over
  std::int64_t recheck_ms = -1;            // when a pod becomes available by waiting alone
};

// `pods`: those the set controls. `related_per_node`: active pods per node of all sets with the same
// owner; pods on crowded nodes go first.
ReplicaSetPlan plan_replicaset(const api::apps::v1::ReplicaSet& set, const std::vector<PodPointer>& pods,
                               const std::map<std::string, int>& related_per_node, std::int64_t now_unix_ms);

// Upstream's order of deletion: true when `a` goes before `b`.
bool more_expendable(const PodView& a, const PodView& b, const std::map<std::string, int>& related_per_node,
                     std::int64_t now_unix_ms);

}  // namespace coxswain::controllers
