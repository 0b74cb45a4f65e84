#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {
namespace {

void check(std::int64_t wanted, std::int64_t allocatable, std::int64_t used, const std::string& name,
           std::vector<std::string>& reasons) {
  if (wanted > 0 && wanted > allocatable - used) reasons.push_back("Insufficient " + name);
}

void filter(const PodInfo& pod, const NodeInfo& node, std::vector<std::string>& reasons) {
  if (node.requested.pods + 1 > node.allocatable.pods) reasons.push_back("Too many pods");
  check(pod.requests.cpu_milli, node.allocatable.cpu_milli, node.requested.cpu_milli, "cpu", reasons);
  check(pod.requests.memory_bytes, node.allocatable.memory_bytes, node.requested.memory_bytes, "memory",
        reasons);
  check(pod.requests.ephemeral_bytes, node.allocatable.ephemeral_bytes, node.requested.ephemeral_bytes,
        "ephemeral-storage", reasons);
  for (const auto& [name, amount] : pod.requests.extended) {
    const auto has = node.allocatable.extended.find(name);
    const auto used = node.requested.extended.find(name);
    check(amount, has == node.allocatable.extended.end() ? 0 : has->second,
          used == node.requested.extended.end() ? 0 : used->second, name, reasons);
  }
}

// Room may be made only for what the empty node could hold.
bool fits_when_empty(const PodInfo& pod, const NodeInfo& node) {
  const Resources& wanted = pod.requests;
  const Resources& whole = node.allocatable;
  if (whole.pods < 1 || wanted.cpu_milli > whole.cpu_milli || wanted.memory_bytes > whole.memory_bytes ||
      wanted.ephemeral_bytes > whole.ephemeral_bytes)
    return false;
  for (const auto& [name, amount] : wanted.extended) {
    const auto has = whole.extended.find(name);
    if (amount > (has == whole.extended.end() ? 0 : has->second)) return false;
  }
  return true;
}

std::int64_t free_share(std::int64_t used, std::int64_t allocatable) {
  if (allocatable <= 0 || used > allocatable) return 0;
  return (allocatable - used) * 100 / allocatable;
}

// LeastAllocated: the emptier the node, the better; cpu and memory count alike.
std::int64_t score(const PodInfo& pod, const NodeInfo& node, const ScoreContext&) {
  return (free_share(node.scoring_cpu_milli + pod.scoring_cpu_milli, node.allocatable.cpu_milli) +
          free_share(node.scoring_memory_bytes + pod.scoring_memory_bytes, node.allocatable.memory_bytes)) /
         2;
}

}  // namespace

const Plugin& node_resources_fit_plugin() {
  static const Plugin plugin{.name = "NodeResourcesFit",
                             .filter = filter,
                             .preemption_may_help = fits_when_empty,
                             .retry_on = kNodeAdded | kNodeAllocatable | kPodRemoved,
                             .score = score};
  return plugin;
}

}  // namespace coxswain::scheduler
