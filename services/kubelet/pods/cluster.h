// What the pod workers need of the API, so that tests can stand in for it. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "libs/api/meta/status.h"
#include "services/kubelet/core/env.h"
#include "services/kubelet/core/model.h"

namespace coxswain::kubelet {

class Cluster {
 public:
  virtual ~Cluster() = default;
  // Replaces the pod's status; blocks for the answer. NotFound and Conflict (another uid): the pod is gone.
  virtual api::ApiResult<void> write_status(const v1::Pod& pod, const v1::PodStatus& status) = 0;
  // Grace 0 with the uid as precondition. Ok when it is gone already.
  virtual api::ApiResult<void> delete_pod(const v1::Pod& pod) = 0;
  // `container` may be empty. Never blocks.
  virtual void event(const v1::Pod& pod, const std::string& container, bool warning,
                     const std::string& reason, const std::string& message) = 0;
  // Objects that pods refer to; watch() keeps those of one pod fresh until unwatch().
  virtual ObjectSource objects() = 0;
  virtual void watch_references(const v1::Pod& pod) = 0;
  virtual void unwatch_references(const std::string& pod_uid) = 0;
};

}  // namespace coxswain::kubelet
