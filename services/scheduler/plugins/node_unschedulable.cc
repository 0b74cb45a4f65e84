#include <algorithm>

#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {
namespace {

void filter(const PodInfo& pod, const NodeInfo& node, std::vector<std::string>& reasons) {
  if (!node.unschedulable) return;
  const api::core::v1::Taint taint{
      .key = "node.kubernetes.io/unschedulable", .value = "", .effect = "NoSchedule", .timeAdded = {}};
  const bool tolerated = std::any_of(pod.tolerations.begin(), pod.tolerations.end(),
                                     [&](const auto& t) { return tolerates(t, taint); });
  if (!tolerated) reasons.push_back("node(s) were unschedulable");
}

}  // namespace

const Plugin& node_unschedulable_plugin() {
  static const Plugin plugin{
      .name = "NodeUnschedulable", .filter = filter, .retry_on = kNodeAdded | kNodeTaints};
  return plugin;
}

}  // namespace coxswain::scheduler
