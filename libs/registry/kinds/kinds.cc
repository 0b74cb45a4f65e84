// The one table of kinds with rules of their own. Adding a kind: one file here, one row below.
#include "libs/registry/strategy.h"

namespace coxswain::registry {

const Strategy& namespace_strategy();
const Strategy& node_strategy();
const Strategy& pod_strategy();
const Strategy& service_strategy();
const Strategy& config_map_strategy();
const Strategy& secret_strategy();
const Strategy& service_account_strategy();
const Strategy& endpoints_strategy();
const Strategy& core_event_strategy();
const Strategy& event_strategy();
const Strategy& lease_strategy();
const Strategy& endpoint_slice_strategy();
const Strategy& deployment_strategy();
const Strategy& replica_set_strategy();
const Strategy& controller_revision_strategy();

namespace {

struct Row {
  std::string_view group;
  std::string_view kind;
  const Strategy& (*strategy)();
};

const Strategy& generic() {
  static const Strategy strategy;
  return strategy;
}

const Row kRows[] = {
    {"", "Pod", pod_strategy},
    {"", "ConfigMap", config_map_strategy},
    {"", "Event", core_event_strategy},
    {"coordination.k8s.io", "Lease", lease_strategy},
    {"", "Node", node_strategy},
    {"", "Service", service_strategy},
    {"", "Namespace", namespace_strategy},
    {"", "Secret", secret_strategy},
    {"", "ServiceAccount", service_account_strategy},
    {"", "Endpoints", endpoints_strategy},
    {"events.k8s.io", "Event", event_strategy},
    {"discovery.k8s.io", "EndpointSlice", endpoint_slice_strategy},
    {"apps", "Deployment", deployment_strategy},
    {"apps", "ReplicaSet", replica_set_strategy},
    {"apps", "ControllerRevision", controller_revision_strategy},
};

}  // namespace

const Strategy& find_strategy(std::string_view group, std::string_view kind) {
  for (const Row& row : kRows) {
    if (row.kind == kind && row.group == group) return row.strategy();
  }
  return generic();
}

}  // namespace coxswain::registry
