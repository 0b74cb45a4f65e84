#include <algorithm>
#include <cmath>

#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {
namespace {

double share(std::int64_t used, std::int64_t allocatable) {
  if (allocatable <= 0) return 1;
  return std::min(1.0, static_cast<double>(used) / static_cast<double>(allocatable));
}

// The closer the shares of cpu and memory in use, the better: half the difference is their deviation.
std::int64_t score(const PodInfo& pod, const NodeInfo& node, const ScoreContext&) {
  const double cpu = share(node.requested.cpu_milli + pod.requests.cpu_milli, node.allocatable.cpu_milli);
  const double memory =
      share(node.requested.memory_bytes + pod.requests.memory_bytes, node.allocatable.memory_bytes);
  return static_cast<std::int64_t>((1 - std::abs(cpu - memory) / 2) * 100);
}

}  // namespace

const Plugin& balanced_allocation_plugin() {
  static const Plugin plugin{.name = "NodeResourcesBalancedAllocation", .score = score};
  return plugin;
}

}  // namespace coxswain::scheduler
