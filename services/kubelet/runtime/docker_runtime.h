// Runtime over the Docker Engine API v1.41 (Docker 20.10 and newer) on its unix socket.
#pragma once

#include <memory>
#include <string>

#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

// `owner` is written on every container as a label; only containers with it are seen. It keeps two
// kubelets on one Docker apart. Does not connect yet.
Result<std::unique_ptr<Runtime>> make_docker_runtime(const std::string& socket_path,
                                                     const std::string& owner);

}  // namespace coxswain::kubelet
