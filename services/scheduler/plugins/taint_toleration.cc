#include <algorithm>

#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {

using api::core::v1::Taint;
using api::core::v1::Toleration;

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.operator_ == "Exists") return true;
  return !toleration.key.empty() && toleration.value == taint.value;  // Equal is the default
}

namespace {

bool tolerated(const PodInfo& pod, const Taint& taint) {
  return std::any_of(pod.tolerations.begin(), pod.tolerations.end(),
                     [&](const Toleration& t) { return tolerates(t, taint); });
}

void filter(const PodInfo& pod, const NodeInfo& node, std::vector<std::string>& reasons) {
  for (const Taint& taint : node.taints) {
    if (taint.effect != "NoSchedule" && taint.effect != "NoExecute") continue;
    if (tolerated(pod, taint)) continue;
    reasons.push_back("node(s) had untolerated taint {" + taint.key + ": " + taint.value + "}");
    return;
  }
}

std::int64_t score(const PodInfo& pod, const NodeInfo& node, const ScoreContext&) {
  return std::count_if(node.taints.begin(), node.taints.end(), [&](const Taint& taint) {
    return taint.effect == "PreferNoSchedule" && !tolerated(pod, taint);
  });
}

}  // namespace

const Plugin& taint_toleration_plugin() {
  static const Plugin plugin{.name = "TaintToleration",
                             .filter = filter,
                             .retry_on = kNodeAdded | kNodeTaints,
                             .score = score,
                             .normalize = Normalize::kByMaximumReversed,
                             .weight = 3};
  return plugin;
}

}  // namespace coxswain::scheduler
