#include "services/controller-manager/node_lifecycle_plan.h"

#include <algorithm>

namespace coxswain::controllers {
namespace {

constexpr const char* kNotReady = "node.kubernetes.io/not-ready";
constexpr const char* kUnreachable = "node.kubernetes.io/unreachable";
constexpr const char* kUnschedulable = "node.kubernetes.io/unschedulable";

struct ConditionTaint {
  const char* condition;
  const char* taint;
};
constexpr ConditionTaint kPressure[] = {{"MemoryPressure", "node.kubernetes.io/memory-pressure"},
                                        {"DiskPressure", "node.kubernetes.io/disk-pressure"},
                                        {"PIDPressure", "node.kubernetes.io/pid-pressure"},
                                        {"NetworkUnavailable", "node.kubernetes.io/network-unavailable"}};

const api::core::v1::NodeCondition* find(const std::vector<api::core::v1::NodeCondition>& conditions,
                                         std::string_view type) {
  for (const auto& condition : conditions) {
    if (condition.type == type) return &condition;
  }
  return nullptr;
}

bool managed(const std::string& key) {
  if (key == kNotReady || key == kUnreachable || key == kUnschedulable) return true;
  return std::any_of(std::begin(kPressure), std::end(kPressure),
                     [&](const auto& p) { return key == p.taint; });
}

std::vector<Taint> wanted_taints(const Node& node,
                                 const std::vector<api::core::v1::NodeCondition>& conditions) {
  std::vector<Taint> wanted;
  const auto add = [&](const char* key, const char* effect) {
    Taint taint;
    taint.key = key;
    taint.effect = effect;
    wanted.push_back(std::move(taint));
  };
  const auto* ready = find(conditions, "Ready");
  if (ready != nullptr && ready->status != "True") {
    const char* key = ready->status == "False" ? kNotReady : kUnreachable;
    add(key, "NoSchedule");
    add(key, "NoExecute");
  }
  for (const auto& pressure : kPressure) {
    const auto* condition = find(conditions, pressure.condition);
    if (condition != nullptr && condition->status == "True") add(pressure.taint, "NoSchedule");
  }
  if (node.spec.unschedulable) add(kUnschedulable, "NoSchedule");
  return wanted;
}

std::optional<std::vector<Taint>> plan_taints(const Node& node,
                                              const std::vector<api::core::v1::NodeCondition>& conditions,
                                              std::int64_t now_unix_ms) {
  std::vector<Taint> wanted = wanted_taints(node, conditions);
  std::vector<Taint> out;
  bool changed = false;
  for (const auto& taint : node.spec.taints) {
    // The registration taint with NoSchedule only is replaced as soon as the node is ready.
    const auto it = std::find_if(wanted.begin(), wanted.end(), [&](const Taint& w) {
      return w.key == taint.key && w.effect == taint.effect;
    });
    if (it != wanted.end()) {
      wanted.erase(it);
    } else if (managed(taint.key)) {
      changed = true;
      continue;
    }
    out.push_back(taint);
  }
  for (auto& taint : wanted) {
    taint.timeAdded = api::Time{now_unix_ms};
    out.push_back(std::move(taint));
    changed = true;
  }
  if (!changed) return std::nullopt;
  return out;
}

// Conditions that a silent kubelet no longer vouches for.
std::vector<api::core::v1::NodeCondition> unknown_conditions(const Node& node, std::int64_t now_unix_ms) {
  std::vector<api::core::v1::NodeCondition> out;
  for (const char* type : {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}) {
    const auto* current = find(node.status.conditions, type);
    if (current != nullptr && current->status == "Unknown") continue;
    api::core::v1::NodeCondition condition;
    if (current != nullptr) condition = *current;
    condition.type = type;
    condition.status = "Unknown";
    condition.reason = current != nullptr ? "NodeStatusUnknown" : "NodeStatusNeverUpdated";
    condition.message =
        current != nullptr ? "Kubelet stopped posting node status." : "Kubelet never posted node status.";
    condition.lastTransitionTime = {now_unix_ms};
    if (current == nullptr) condition.lastHeartbeatTime = node.metadata.creationTimestamp;
    out.push_back(std::move(condition));
  }
  return out;
}

}  // namespace

NodePlan plan_node(const Node& node, const std::string& sign, NodeHeartbeat& heartbeat, std::int64_t grace_ms,
                   std::int64_t now_ms, std::int64_t now_unix_ms) {
  NodePlan plan;
  if (heartbeat.seen_ms == 0 || heartbeat.sign != sign) heartbeat = {sign, std::max<std::int64_t>(now_ms, 1)};
  auto conditions = node.status.conditions;
  const std::int64_t silent_ms = now_ms - heartbeat.seen_ms;
  if (silent_ms >= grace_ms) {
    plan.conditions = unknown_conditions(node, now_unix_ms);
    for (const auto& changed : plan.conditions) {
      std::erase_if(conditions, [&](const auto& c) { return c.type == changed.type; });
      conditions.push_back(changed);
    }
    plan.recheck_ms = grace_ms;
  } else {
    plan.recheck_ms = grace_ms - silent_ms;
  }
  const auto* ready = find(conditions, "Ready");
  plan.mark_pods_not_ready = ready != nullptr && ready->status != "True";
  plan.taints = plan_taints(node, conditions, now_unix_ms);
  return plan;
}

namespace {

bool evicts(const Taint& taint) {
  return taint.effect == "NoExecute" && (taint.key == kNotReady || taint.key == kUnreachable);
}

}  // namespace

bool wants_eviction_turn(const std::vector<Taint>& now, const std::vector<Taint>& wanted) {
  return std::any_of(wanted.begin(), wanted.end(), evicts) && std::none_of(now.begin(), now.end(), evicts);
}

std::optional<std::vector<Taint>> without_eviction(const std::vector<Taint>& now,
                                                   const std::optional<std::vector<Taint>>& wanted) {
  std::vector<Taint> out = wanted.value_or(now);
  std::erase_if(out, evicts);
  const bool same =
      std::equal(out.begin(), out.end(), now.begin(), now.end(), [](const Taint& a, const Taint& b) {
        return a.key == b.key && a.value == b.value && a.effect == b.effect;
      });
  if (same) return std::nullopt;
  return out;
}

bool tolerates(const api::core::v1::Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.operator_ == "Exists") return true;
  return !toleration.key.empty() && toleration.value == taint.value;
}

std::optional<std::int64_t> eviction_unix_ms(const std::vector<Taint>& taints,
                                             const std::vector<api::core::v1::Toleration>& tolerations,
                                             std::int64_t now_unix_ms) {
  std::optional<std::int64_t> when;
  for (const auto& taint : taints) {
    if (taint.effect != "NoExecute") continue;
    bool tolerated = false;
    std::optional<std::int64_t> seconds;  // the shortest of those that match; none: for ever
    for (const auto& toleration : tolerations) {
      if (!tolerates(toleration, taint)) continue;
      tolerated = true;
      if (toleration.tolerationSeconds) {
        const std::int64_t limit = std::max<std::int64_t>(0, *toleration.tolerationSeconds);
        seconds = seconds ? std::min(*seconds, limit) : limit;
      }
    }
    if (!tolerated) return now_unix_ms;
    if (!seconds) continue;
    const std::int64_t since = taint.timeAdded ? taint.timeAdded->unix_ms : now_unix_ms;
    const std::int64_t due = since + *seconds * 1000;
    when = when ? std::min(*when, due) : due;
  }
  return when;
}

}  // namespace coxswain::controllers
