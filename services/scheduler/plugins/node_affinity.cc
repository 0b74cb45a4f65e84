#include <algorithm>

#include "libs/common/base/strings.h"
#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {
namespace {

using api::core::v1::NodeSelectorRequirement;
using api::core::v1::NodeSelectorTerm;

bool holds(const NodeSelectorRequirement& requirement, const std::string* value) {
  const auto& wanted = requirement.values;
  const std::string& op = requirement.operator_;
  const bool listed = value != nullptr && std::find(wanted.begin(), wanted.end(), *value) != wanted.end();
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return value != nullptr;
  if (op == "DoesNotExist") return value == nullptr;
  if ((op != "Gt" && op != "Lt") || value == nullptr || wanted.size() != 1) return false;
  const auto have = parse_int64(*value);
  const auto limit = parse_int64(wanted.front());
  if (!have || !limit) return false;
  return op == "Gt" ? *have > *limit : *have < *limit;
}

bool term_matches(const NodeSelectorTerm& term, const NodeInfo& node) {
  if (term.matchExpressions.empty() && term.matchFields.empty()) return false;
  for (const NodeSelectorRequirement& requirement : term.matchExpressions) {
    const auto label = node.labels.find(requirement.key);
    if (!holds(requirement, label == node.labels.end() ? nullptr : &label->second)) return false;
  }
  for (const NodeSelectorRequirement& requirement : term.matchFields) {
    if (!holds(requirement, requirement.key == "metadata.name" ? &node.name : nullptr)) return false;
  }
  return true;
}

void filter(const PodInfo& pod, const NodeInfo& node, std::vector<std::string>& reasons) {
  bool fits = std::all_of(pod.node_selector.begin(), pod.node_selector.end(), [&](const auto& wanted) {
    const auto label = node.labels.find(wanted.first);
    return label != node.labels.end() && label->second == wanted.second;
  });
  if (fits && pod.node_affinity && pod.node_affinity->requiredDuringSchedulingIgnoredDuringExecution) {
    const auto& terms = pod.node_affinity->requiredDuringSchedulingIgnoredDuringExecution->nodeSelectorTerms;
    fits = std::any_of(terms.begin(), terms.end(),
                       [&](const NodeSelectorTerm& term) { return term_matches(term, node); });
  }
  if (!fits) reasons.push_back("node(s) didn't match Pod's node affinity/selector");
}

std::int64_t score(const PodInfo& pod, const NodeInfo& node, const ScoreContext&) {
  if (!pod.node_affinity) return 0;
  std::int64_t sum = 0;
  for (const auto& preferred : pod.node_affinity->preferredDuringSchedulingIgnoredDuringExecution) {
    if (term_matches(preferred.preference, node)) sum += preferred.weight;
  }
  return sum;
}

}  // namespace

const Plugin& node_affinity_plugin() {
  static const Plugin plugin{.name = "NodeAffinity",
                             .filter = filter,
                             .retry_on = kNodeAdded | kNodeLabels,
                             .score = score,
                             .normalize = Normalize::kByMaximum,
                             .weight = 2};
  return plugin;
}

}  // namespace coxswain::scheduler
