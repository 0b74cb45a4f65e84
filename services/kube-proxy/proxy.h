// The loop: reads the listers, plans, applies the difference. One key, one worker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "libs/common/base/clock.h"
#include "services/kube-proxy/dataplane.h"

namespace coxswain::proxy {

// Not thread-safe: called by one worker.
class Proxy {
 public:
  explicit Proxy(Dataplane& dataplane) : dataplane_(dataplane) {}
  // The first call replaces the table whole; later ones change what differs. After a failure the
  // next call starts from nothing again, because the kernel's state is then unknown.
  Result<void> sync(const PlanInput& input);

 private:
  Dataplane& dataplane_;
  std::optional<Plan> applied_;
};

}  // namespace coxswain::proxy
