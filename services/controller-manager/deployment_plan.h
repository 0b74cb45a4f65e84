// What a Deployment does next; pure. One call looks at the deployment and its ReplicaSets and says
// every write to make now; their effects show up as changes and lead to the next call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/types/apps_v1.h"

namespace coxswain::controllers {

inline constexpr std::string_view kRevisionAnnotation = "deployment.kubernetes.io/revision";
inline constexpr std::string_view kRevisionHistoryAnnotation = "deployment.kubernetes.io/revision-history";
inline constexpr std::string_view kDesiredAnnotation = "deployment.kubernetes.io/desired-replicas";
inline constexpr std::string_view kMaxAnnotation = "deployment.kubernetes.io/max-replicas";
inline constexpr std::string_view kHashLabel = "pod-template-hash";

using api::apps::v1::Deployment;
using api::apps::v1::ReplicaSet;

// A change of an existing ReplicaSet; annotations hold only what changes.
struct ReplicaSetChange {
  std::string name;
  std::int32_t from = 0;
  std::int32_t replicas = 0;  // == from: only annotations
  std::map<std::string, std::string> annotations;
  std::optional<std::int32_t> min_ready_seconds;
  bool scales() const { return from != replicas; }
};

struct DeploymentPlan {
  std::optional<ReplicaSet> create;  // the set of a new template, named and labelled
  std::vector<ReplicaSetChange> changes;
  std::vector<std::string> remove;  // old revisions beyond the history limit
  std::string revision;             // wanted revision annotation; "" leaves it
  api::apps::v1::DeploymentStatus status;
  std::int64_t recheck_ms = -1;  // when the progress deadline strikes
};

// `sets`: those the deployment controls. `old_pods_alive`: a pod of an old set still exists (Recreate
// waits for it).
DeploymentPlan plan_deployment(const Deployment& deployment, const std::vector<ReplicaSet>& sets,
                               bool old_pods_alive, std::int64_t now_unix_ms);

// Surge rounds up and unavailable down; never both zero.
struct RollingLimits {
  std::int32_t surge = 0;
  std::int32_t unavailable = 0;
};
RollingLimits rolling_limits(const Deployment& deployment);

// Stable for a template and a collision count; in the alphabet of generated names.
std::string template_hash(const api::core::v1::PodTemplateSpec& pod_template,
                          std::optional<std::int32_t> collisions);
// Without the hash label, as the deployment wrote it.
json::Value comparable_template(const api::core::v1::PodTemplateSpec& pod_template);
std::int64_t revision_of(const std::map<std::string, std::string>& annotations);

}  // namespace coxswain::controllers
