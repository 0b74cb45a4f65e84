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
  // The first call replaces the table whole; later ones change what differs. A change that fails is tried
  // again as a whole table at once, and so is the next call after that failed too: the kernel's state is
  // unknown. With `verify` it looks first whether the table still stands, and makes it anew when not.
  Result<void> sync(const PlanInput& input, bool verify = false);

 private:
  Dataplane& dataplane_;
  std::optional<Plan> applied_;
};

}  // namespace coxswain::proxy
