#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {

const Plugin& node_name_plugin() {
  static const Plugin plugin{
      .name = "NodeName",
      .filter =
          [](const PodInfo& pod, const NodeInfo& node, std::vector<std::string>& reasons) {
            if (!pod.node_name.empty() && pod.node_name != node.name)
              reasons.push_back("node(s) didn't match the requested node name");
          },
      .retry_on = kNodeAdded};
  return plugin;
}

}  // namespace coxswain::scheduler
