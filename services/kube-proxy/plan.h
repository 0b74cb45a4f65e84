// From Services and EndpointSlices to the rules of one node. Pure.
//
// Behaviour follows Kubernetes' Service documentation and KEP-1669 (terminating endpoints), KEP-2086
// (internalTrafficPolicy): ready endpoints; if there are none, those that terminate but still serve.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/types/core_v1.h"
#include "api/types/discovery_v1.h"
#include "services/kube-proxy/ruleset.h"

namespace coxswain::proxy {

using ServicePtr = std::shared_ptr<const api::core::v1::Service>;
using EndpointSlicePtr = std::shared_ptr<const api::discovery::v1::EndpointSlice>;

struct PlanInput {
  std::vector<ServicePtr> services;
  std::vector<EndpointSlicePtr> slices;
  std::string node_name;
  std::string cluster_cidr;  // "" : never masquerade by source
};

// A UDP flow that conntrack may remember: service address and endpoint.
struct UdpBinding {
  std::string service_ip;  // "" for a node port
  int service_port = 0;
  std::string endpoint_ip;
  auto operator<=>(const UdpBinding&) const = default;
};

struct Plan {
  Ruleset rules;
  std::set<UdpBinding> udp;
};

Plan plan(const PlanInput& input);

}  // namespace coxswain::proxy
