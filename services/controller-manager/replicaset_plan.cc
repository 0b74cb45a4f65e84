#include "services/controller-manager/replicaset_plan.h"

#include <algorithm>
#include <cmath>

#include "libs/client/selector.h"

namespace coxswain::controllers {
namespace {

constexpr int kBurst = 500;

int phase_rank(const std::string& phase) {
  if (phase == "Running") return 2;
  if (phase == "Unknown") return 1;
  return 0;
}

int related_on(const std::map<std::string, int>& related, const std::string& node) {
  const auto it = related.find(node);
  return it == related.end() ? 0 : it->second;
}

// Ages are compared by order of magnitude, so that a scale-down spreads over equally old pods.
int age_rank(std::int64_t since_ms, std::int64_t now_ms) {
  const std::int64_t age = std::max<std::int64_t>(0, now_ms - since_ms);
  return static_cast<int>(std::log2(static_cast<double>(age) + 1));
}

}  // namespace

bool more_expendable(const PodView& a, const PodView& b, const std::map<std::string, int>& related_per_node,
                     std::int64_t now_unix_ms) {
  if (a.node.empty() != b.node.empty()) return a.node.empty();
  if (phase_rank(a.phase) != phase_rank(b.phase)) return phase_rank(a.phase) < phase_rank(b.phase);
  if (a.ready != b.ready) return !a.ready;
  if (a.deletion_cost != b.deletion_cost) return a.deletion_cost < b.deletion_cost;
  const int crowd_a = related_on(related_per_node, a.node);
  const int crowd_b = related_on(related_per_node, b.node);
  if (crowd_a != crowd_b) return crowd_a > crowd_b;
  if (a.ready && a.ready_since_ms != b.ready_since_ms) {
    const int rank_a = age_rank(a.ready_since_ms, now_unix_ms);
    const int rank_b = age_rank(b.ready_since_ms, now_unix_ms);
    if (rank_a != rank_b) return rank_a < rank_b;
    return a.metadata.uid < b.metadata.uid;
  }
  if (a.restarts != b.restarts) return a.restarts > b.restarts;
  if (a.metadata.created_ms != b.metadata.created_ms) {
    const int rank_a = age_rank(a.metadata.created_ms, now_unix_ms);
    const int rank_b = age_rank(b.metadata.created_ms, now_unix_ms);
    if (rank_a != rank_b) return rank_a < rank_b;
  }
  return a.metadata.uid < b.metadata.uid;
}

ReplicaSetPlan plan_replicaset(const api::apps::v1::ReplicaSet& set, const std::vector<PodPointer>& pods,
                               const std::map<std::string, int>& related_per_node, std::int64_t now_unix_ms) {
  ReplicaSetPlan plan;
  std::vector<PodPointer> active;
  for (const auto& pod : pods) {
    if (pod->active()) active.push_back(pod);
  }
  plan.status.conditions = set.status.conditions;
  plan.status.observedGeneration = set.metadata.generation;
  plan.status.replicas = static_cast<std::int32_t>(active.size());
  for (const auto& pod : active) {
    if (client::labels_contain(pod->metadata.labels, set.spec.template_.metadata.labels)) {
      ++plan.status.fullyLabeledReplicas;
    }
    if (!pod->ready) continue;
    ++plan.status.readyReplicas;
    if (pod->available(set.spec.minReadySeconds, now_unix_ms)) {
      ++plan.status.availableReplicas;
    } else {
      const std::int64_t wait_ms = pod->ready_since_ms + set.spec.minReadySeconds * 1000LL - now_unix_ms;
      if (plan.recheck_ms < 0 || wait_ms < plan.recheck_ms)
        plan.recheck_ms = std::max<std::int64_t>(wait_ms, 1);
    }
  }
  if (set.metadata.deletionTimestamp) return plan;  // the garbage collector takes the pods
  const int wanted = std::max(0, set.spec.replicas.value_or(1));
  const int missing = wanted - static_cast<int>(active.size());
  plan.create = std::clamp(missing, 0, kBurst);
  if (missing >= 0) return plan;
  const int surplus = std::min(-missing, kBurst);
  std::sort(active.begin(), active.end(), [&](const PodPointer& a, const PodPointer& b) {
    return more_expendable(*a, *b, related_per_node, now_unix_ms);
  });
  plan.remove.assign(active.begin(), active.begin() + surplus);
  return plan;
}

}  // namespace coxswain::controllers
