// What the API shows of a pod: phase, conditions and container statuses. Pure.
#pragma once

#include <string>

#include "services/kubelet/core/model.h"

namespace coxswain::kubelet {

struct StatusInput {
  const v1::Pod& pod;  // with the status that the API has: transition times are kept
  const ObservedPod& observed;
  const PodMemory& memory;
  std::string host_ip;
  std::int64_t now_ms;
};

v1::PodStatus compute_status(const StatusInput& input);

// "Guaranteed", "Burstable" or "BestEffort".
std::string qos_class(const v1::Pod& pod);

}  // namespace coxswain::kubelet
