// Which addresses stand behind a Service, and how they are laid out in EndpointSlices; pure.
#pragma once

#include <string>
#include <vector>

#include "api/types/discovery_v1.h"
#include "services/controller-manager/pod_view.h"

namespace coxswain::controllers {

using api::core::v1::Endpoints;
using api::core::v1::Service;
using api::discovery::v1::EndpointSlice;

inline constexpr std::size_t kMaxEndpointsPerSlice = 100;
inline constexpr std::string_view kManagedBy = "endpointslice-controller.k8s.io";

// The endpoints that share one list of ports: pods may name their ports differently.
struct EndpointGroup {
  std::vector<api::discovery::v1::EndpointPort> ports;
  std::vector<api::discovery::v1::Endpoint> endpoints;  // sorted by address
};
// `zones`: node name -> zone. `pods` match the selector.
std::vector<EndpointGroup> group_endpoints(const Service& service, const std::vector<PodPointer>& pods,
                                           const std::map<std::string, std::string>& zones);

struct SlicePlan {
  std::vector<EndpointSlice> create;
  std::vector<EndpointSlice> update;  // whole objects, with their resourceVersion
  std::vector<std::string> remove;
};
// Moves as few endpoints between slices as it can: every slice that changes is sent to every node.
SlicePlan plan_slices(const Service& service, const std::vector<EndpointGroup>& groups,
                      const std::vector<EndpointSlice>& existing);

// The legacy object with the same content: ready and not ready addresses, no terminating ones.
std::vector<api::core::v1::EndpointSubset> plan_subsets(const Service& service,
                                                        const std::vector<EndpointGroup>& groups);

}  // namespace coxswain::controllers
