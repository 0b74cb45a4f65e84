// Requests and limits as the kernel's numbers. Pure.
// Formulas: Kubernetes' documentation "Resource Management for Pods and Containers" and, for the OOM
// score, "Node-pressure Eviction" (node out of memory behaviour).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "services/kubelet/core/model.h"

namespace coxswain::kubelet {

struct NodeCapacity {
  std::int64_t milli_cpu = 1000;
  std::int64_t memory_bytes = 1 << 30;
  int lowest_oom_score_adj = -1000;  // what the kernel lets us set; lower ones would fail every start
};

// Thousandths: "250m" is 250, "2" is 2000, "1Ki" is 1024000. nullopt: not a quantity.
std::optional<std::int64_t> quantity_milli(const std::string& text);
std::optional<std::int64_t> resource_milli(const std::map<std::string, std::string>& list,
                                           const std::string& name);

struct ResourceSettings {
  std::int64_t cpu_shares = 2;
  std::int64_t cpu_quota_us = 0;  // per period; 0: unlimited
  std::int64_t cpu_period_us = 0;
  std::int64_t memory_bytes = 0;  // 0: unlimited
  int oom_score_adj = 0;
};

ResourceSettings resource_settings(const v1::Pod& pod, const v1::Container& container,
                                   const NodeCapacity& node);

// resourceFieldRef: the value divided by `divisor`, rounded up. nullopt: unknown resource.
std::optional<std::string> resource_field(const v1::Container& container, const std::string& resource,
                                          const std::string& divisor, const NodeCapacity& node);

}  // namespace coxswain::kubelet
