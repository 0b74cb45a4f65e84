#include "services/controller-manager/endpoints_mirror.h"

#include <arpa/inet.h>

namespace coxswain::controllers {
namespace {

using api::core::v1::EndpointAddress;

constexpr const char* kManagedByLabel = "endpointslice.kubernetes.io/managed-by";

bool is_ipv4(const std::string& text) {
  in_addr address{};
  return inet_pton(AF_INET, text.c_str(), &address) == 1;
}

void add_addresses(const std::vector<EndpointAddress>& addresses, bool ready, EndpointGroup& group) {
  for (const EndpointAddress& address : addresses) {
    if (!is_ipv4(address.ip)) continue;
    api::discovery::v1::Endpoint endpoint;
    endpoint.addresses = {address.ip};
    endpoint.conditions.ready = ready;
    endpoint.nodeName = address.nodeName;
    endpoint.targetRef = address.targetRef;
    if (!address.hostname.empty()) endpoint.hostname = address.hostname;
    group.endpoints.push_back(std::move(endpoint));
  }
}

EndpointGroup group_of(const api::core::v1::EndpointSubset& subset) {
  EndpointGroup group;
  for (const auto& port : subset.ports) {
    api::discovery::v1::EndpointPort out;
    out.name = port.name;
    out.protocol = port.protocol.empty() ? "TCP" : port.protocol;
    out.port = port.port;
    out.appProtocol = port.appProtocol;
    group.ports.push_back(std::move(out));
  }
  add_addresses(subset.addresses, true, group);
  add_addresses(subset.notReadyAddresses, false, group);
  return group;
}

}  // namespace

bool wants_mirror(const Endpoints& endpoints) {
  const auto& meta = endpoints.metadata;
  const auto skip = meta.labels.find("endpointslice.kubernetes.io/skip-mirror");
  return !meta.deletionTimestamp && (skip == meta.labels.end() || skip->second != "true") &&
         !meta.labels.contains("endpoints.kubernetes.io/managed-by") &&
         !meta.annotations.contains("control-plane.alpha.kubernetes.io/leader");
}

// The layout is the one of a Service's own slices; only whose they are differs.
SlicePlan plan_mirror(const Endpoints& endpoints, std::vector<EndpointSlice> existing) {
  Service stand_in;
  stand_in.metadata.namespace_ = endpoints.metadata.namespace_;
  stand_in.metadata.name = endpoints.metadata.name;
  stand_in.metadata.labels = endpoints.metadata.labels;
  std::vector<EndpointGroup> groups;
  for (const auto& subset : endpoints.subsets) {
    EndpointGroup group = group_of(subset);
    if (!group.endpoints.empty()) groups.push_back(std::move(group));
  }
  for (EndpointSlice& slice : existing) slice.metadata.labels[kManagedByLabel] = kManagedBy;
  SlicePlan plan = plan_slices(stand_in, groups, existing);
  for (auto* slices : {&plan.create, &plan.update}) {
    for (EndpointSlice& slice : *slices) slice.metadata.labels[kManagedByLabel] = kMirroredBy;
  }
  for (EndpointSlice& slice : plan.create) {
    auto& owner = slice.metadata.ownerReferences.at(0);
    owner.kind = "Endpoints";
    owner.uid = endpoints.metadata.uid;
  }
  return plan;
}

}  // namespace coxswain::controllers
