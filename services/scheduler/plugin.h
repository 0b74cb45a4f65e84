// A scheduler plugin: optional pure functions over values. One file each in plugins/; plugins.cc lists
// them. Names, reasons and weights are upstream's, so that messages and expectations carry over.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "services/scheduler/model.h"

namespace coxswain::scheduler {

// What happened in the cluster; a plugin says after which a pod that it refused may fit.
enum ClusterEvent : unsigned {
  kNodeAdded = 1U << 0,
  kNodeAllocatable = 1U << 1,
  kNodeLabels = 1U << 2,
  kNodeTaints = 1U << 3,  // spec.unschedulable too
  kPodRemoved = 1U << 4,  // an assigned pod is gone or finished
  kAnyEvent = ~0U,
};

struct ScoreContext {
  std::int64_t nodes = 0;                                            // in the cluster
  const std::map<std::string, std::int64_t>* image_nodes = nullptr;  // image -> nodes that have it
};

enum class Normalize { kNone, kByMaximum, kByMaximumReversed };

struct Plugin {
  const char* name = "";
  // Appends why the pod does not fit the node; nothing when it does.
  void (*filter)(const PodInfo&, const NodeInfo&, std::vector<std::string>& reasons) = nullptr;
  // Might the refused node fit if pods of lower priority left it? Null: no.
  bool (*preemption_may_help)(const PodInfo&, const NodeInfo&) = nullptr;
  unsigned retry_on = 0;  // ClusterEvents
  std::int64_t (*score)(const PodInfo&, const NodeInfo&,
                        const ScoreContext&) = nullptr;  // 0..100 after normalizing
  Normalize normalize = Normalize::kNone;
  std::int64_t weight = 1;
};

// In the order in which filters run.
std::span<const Plugin* const> plugins();

const Plugin& node_name_plugin();
const Plugin& node_unschedulable_plugin();
const Plugin& taint_toleration_plugin();
const Plugin& node_affinity_plugin();
const Plugin& node_ports_plugin();
const Plugin& node_resources_fit_plugin();
const Plugin& balanced_allocation_plugin();
const Plugin& image_locality_plugin();

bool tolerates(const api::core::v1::Toleration& toleration, const api::core::v1::Taint& taint);

}  // namespace coxswain::scheduler
