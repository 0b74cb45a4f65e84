// EndpointSlices for Endpoints that users write by hand, beside a Service without a selector: consumers such
// as kube-proxy read slices only; pure. As Kubernetes' EndpointSlice mirroring (IPv4 here).
#pragma once

#include <vector>

#include "services/controller-manager/endpoints_plan.h"

namespace coxswain::controllers {

inline constexpr std::string_view kMirroredBy = "endpointslicemirroring-controller.k8s.io";

// False for those that ask not to be (label endpointslice.kubernetes.io/skip-mirror: "true"), for locks of
// old leader elections, and for those that a controller of ours writes.
bool wants_mirror(const Endpoints& endpoints);

// `existing` are the slices that mirror these Endpoints already.
SlicePlan plan_mirror(const Endpoints& endpoints, std::vector<EndpointSlice> existing);

}  // namespace coxswain::controllers
