#include <algorithm>

#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {

const Plugin& node_ports_plugin() {
  static const Plugin plugin{
      .name = "NodePorts",
      .filter =
          [](const PodInfo& pod, const NodeInfo& node, std::vector<std::string>& reasons) {
            for (const HostPort& wanted : pod.host_ports) {
              const bool taken = std::any_of(node.host_ports.begin(), node.host_ports.end(),
                                             [&](const HostPort& p) { return p.conflicts_with(wanted); });
              if (!taken) continue;
              reasons.push_back("node(s) didn't have free ports for the requested pod ports");
              return;
            }
          },
      .preemption_may_help = [](const PodInfo&, const NodeInfo&) { return true; },
      .retry_on = kNodeAdded | kPodRemoved};
  return plugin;
}

}  // namespace coxswain::scheduler
