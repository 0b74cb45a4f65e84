#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {

std::span<const Plugin* const> plugins() {
  static const Plugin* const kAll[] = {
      &node_unschedulable_plugin(),  &node_name_plugin(),      &taint_toleration_plugin(),
      &node_affinity_plugin(),       &node_ports_plugin(),     &node_resources_fit_plugin(),
      &balanced_allocation_plugin(), &image_locality_plugin(),
  };
  return kAll;
}

}  // namespace coxswain::scheduler
