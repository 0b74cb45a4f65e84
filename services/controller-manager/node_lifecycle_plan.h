// When a node counts as lost, which taints follow, and which pods must leave it; pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/controller-manager/pod_view.h"

namespace coxswain::controllers {

using api::core::v1::Node;
using api::core::v1::Taint;

// The last sign of life of a node, timed by our own monotonic clock: node clocks are never trusted.
struct NodeHeartbeat {
  std::string sign;  // lease renew time and status heartbeat, as text
  std::int64_t seen_ms = 0;
};

struct NodePlan {
  std::vector<api::core::v1::NodeCondition> conditions;  // to write; empty: none change
  std::optional<std::vector<Taint>> taints;              // the whole wanted list, when it differs
  bool mark_pods_not_ready = false;
  std::int64_t recheck_ms = 0;
};
// `heartbeat` is brought up to date with `sign`.
NodePlan plan_node(const Node& node, const std::string& sign, NodeHeartbeat& heartbeat, std::int64_t grace_ms,
                   std::int64_t now_ms, std::int64_t now_unix_ms);

// Does the step from `now` to `wanted` taints start the eviction of a lost node's pods?
bool wants_eviction_turn(const std::vector<Taint>& now, const std::vector<Taint>& wanted);
// The wanted taints (none: those of `now`) without what evicts the pods of a lost node; nullopt when that is
// `now`.
std::optional<std::vector<Taint>> without_eviction(const std::vector<Taint>& now,
                                                   const std::optional<std::vector<Taint>>& wanted);

bool tolerates(const api::core::v1::Toleration& toleration, const Taint& taint);
// When the pod must leave because of NoExecute taints: nullopt is never, a time in the past is now.
std::optional<std::int64_t> eviction_unix_ms(const std::vector<Taint>& taints,
                                             const std::vector<api::core::v1::Toleration>& tolerations,
                                             std::int64_t now_unix_ms);

}  // namespace coxswain::controllers
