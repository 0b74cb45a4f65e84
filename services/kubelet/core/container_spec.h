// From a pod to what the runtime is asked to make. Pure.
#pragma once

#include <string>
#include <vector>

#include "libs/common/base/result.h"
#include "services/kubelet/core/env.h"
#include "services/kubelet/core/model.h"
#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

inline constexpr const char* kPodNetwork = "coxswain";

struct ContainerRequest {
  const v1::Pod& pod;
  const v1::Container& container;
  int attempt = 0;
  std::int64_t backoff_ms = 0;
  std::string sandbox_id;
  Environment environment;
  std::vector<Mount> mounts;
  std::string termination_message_path;  // on the host
  std::string image_user;                // the image's USER
  std::string image_digest;              // StartNote::image_digest
  NodeCapacity node;
};

ContainerSpec sandbox_spec(const v1::Pod& pod, int attempt, const NodeCapacity& node);
// The error is a CreateContainerConfigError message.
Result<ContainerSpec> container_spec(const ContainerRequest& request);

std::string pod_hostname(const v1::Pod& pod);
bool privileged(const v1::Container& container);

}  // namespace coxswain::kubelet
