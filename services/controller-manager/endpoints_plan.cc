#include "services/controller-manager/endpoints_plan.h"

#include <algorithm>
#include <set>

#include "libs/client/codec.h"
#include "libs/client/selector.h"

namespace coxswain::controllers {
namespace {

using api::discovery::v1::Endpoint;
using api::discovery::v1::EndpointPort;

std::int32_t target_port(const api::core::v1::ServicePort& port, const PodView& pod) {
  const std::string protocol = port.protocol.empty() ? "TCP" : port.protocol;
  if (port.targetPort.is_int) return port.targetPort.int_value != 0 ? port.targetPort.int_value : port.port;
  if (port.targetPort.string_value.empty()) return port.port;
  for (const auto& named : pod.named_ports) {
    if (named.name == port.targetPort.string_value && named.protocol == protocol) return named.port;
  }
  return 0;  // this pod does not serve the port
}

std::vector<EndpointPort> ports_of(const Service& service, const PodView& pod) {
  std::vector<EndpointPort> out;
  for (const auto& port : service.spec.ports) {
    const std::int32_t number = target_port(port, pod);
    if (number == 0) continue;
    EndpointPort endpoint_port;
    endpoint_port.name = port.name;
    endpoint_port.protocol = port.protocol.empty() ? "TCP" : port.protocol;
    endpoint_port.port = number;
    endpoint_port.appProtocol = port.appProtocol;
    out.push_back(std::move(endpoint_port));
  }
  return out;
}

std::string port_key(const std::vector<EndpointPort>& ports) {
  std::vector<std::string> parts;
  for (const auto& port : ports) parts.push_back(json::write(to_json(port)));
  std::sort(parts.begin(), parts.end());
  std::string out;
  for (const auto& part : parts) out += part;
  return out;
}

Endpoint endpoint_of(const Service& service, const PodView& pod,
                     const std::map<std::string, std::string>& zones) {
  Endpoint endpoint;
  endpoint.addresses = {pod.ips.front()};
  const bool open = service.spec.publishNotReadyAddresses;
  endpoint.conditions.ready = open || (pod.ready && !pod.metadata.deleting);
  endpoint.conditions.serving = pod.ready;
  endpoint.conditions.terminating = pod.metadata.deleting;
  if (!pod.hostname.empty() && pod.subdomain == service.metadata.name) endpoint.hostname = pod.hostname;
  if (!pod.node.empty()) {
    endpoint.nodeName = pod.node;
    if (const auto zone = zones.find(pod.node); zone != zones.end() && !zone->second.empty())
      endpoint.zone = zone->second;
  }
  api::core::v1::ObjectReference target;
  target.kind = "Pod";
  target.namespace_ = pod.metadata.namespace_;
  target.name = pod.metadata.name;
  target.uid = pod.metadata.uid;
  endpoint.targetRef = target;
  return endpoint;
}

client::Labels slice_labels(const Service& service) {
  client::Labels labels = service.metadata.labels;
  labels["kubernetes.io/service-name"] = service.metadata.name;
  labels["endpointslice.kubernetes.io/managed-by"] = kManagedBy;
  labels.erase("service.kubernetes.io/headless");
  if (service.spec.clusterIP == "None") labels["service.kubernetes.io/headless"] = "";
  return labels;
}

EndpointSlice new_slice(const Service& service, const std::vector<EndpointPort>& ports) {
  EndpointSlice slice;
  slice.metadata.generateName = service.metadata.name + "-";
  slice.metadata.namespace_ = service.metadata.namespace_;
  slice.metadata.labels = slice_labels(service);
  api::meta::v1::OwnerReference owner;
  owner.apiVersion = "v1";
  owner.kind = "Service";
  owner.name = service.metadata.name;
  owner.uid = service.metadata.uid;
  owner.controller = true;
  owner.blockOwnerDeletion = true;
  slice.metadata.ownerReferences = {owner};
  slice.addressType = "IPv4";
  slice.ports = ports;
  return slice;
}

// What identifies an endpoint across rounds.
std::string identity(const Endpoint& endpoint) {
  return (endpoint.targetRef ? endpoint.targetRef->uid : std::string()) + "|" +
         (endpoint.addresses.empty() ? std::string() : endpoint.addresses.front());
}

struct Draft {
  EndpointSlice slice;
  bool changed = false;
};

// Fills one group's endpoints into the slices that carry its ports already, then into new ones.
void place(const Service& service, const EndpointGroup& group, std::vector<Draft*> drafts, SlicePlan& plan) {
  std::map<std::string, const Endpoint*> wanted;
  for (const auto& endpoint : group.endpoints) wanted.emplace(identity(endpoint), &endpoint);
  for (Draft* draft : drafts) {
    std::vector<Endpoint> kept;
    for (const auto& endpoint : draft->slice.endpoints) {
      const auto it = wanted.find(identity(endpoint));
      if (it == wanted.end()) {
        draft->changed = true;
        continue;
      }
      if (!(to_json(*it->second) == to_json(endpoint))) draft->changed = true;
      kept.push_back(*it->second);
      wanted.erase(it);
    }
    draft->slice.endpoints = std::move(kept);
  }
  std::vector<const Endpoint*> rest;
  for (const auto& endpoint : group.endpoints) {
    if (wanted.count(identity(endpoint))) rest.push_back(&endpoint);
  }
  std::size_t next = 0;
  // Slices that change anyway first, then the fullest: few slices change and few stay half empty.
  std::stable_sort(drafts.begin(), drafts.end(), [](const Draft* a, const Draft* b) {
    if (a->changed != b->changed) return a->changed;
    return a->slice.endpoints.size() > b->slice.endpoints.size();
  });
  for (Draft* draft : drafts) {
    while (next < rest.size() && draft->slice.endpoints.size() < kMaxEndpointsPerSlice) {
      draft->slice.endpoints.push_back(*rest[next++]);
      draft->changed = true;
    }
  }
  while (next < rest.size()) {
    EndpointSlice slice = new_slice(service, group.ports);
    while (next < rest.size() && slice.endpoints.size() < kMaxEndpointsPerSlice)
      slice.endpoints.push_back(*rest[next++]);
    plan.create.push_back(std::move(slice));
  }
}

}  // namespace

std::vector<EndpointGroup> group_endpoints(const Service& service, const std::vector<PodPointer>& pods,
                                           const std::map<std::string, std::string>& zones) {
  std::map<std::string, EndpointGroup> groups;
  for (const auto& pod : pods) {
    if (pod->finished() || pod->ips.empty()) continue;
    auto ports = ports_of(service, *pod);
    if (ports.empty() && !service.spec.ports.empty()) continue;
    EndpointGroup& group = groups[port_key(ports)];
    group.ports = std::move(ports);
    group.endpoints.push_back(endpoint_of(service, *pod, zones));
  }
  std::vector<EndpointGroup> out;
  for (auto& [key, group] : groups) {
    std::sort(group.endpoints.begin(), group.endpoints.end(),
              [](const Endpoint& a, const Endpoint& b) { return identity(a) < identity(b); });
    out.push_back(std::move(group));
  }
  return out;
}

SlicePlan plan_slices(const Service& service, const std::vector<EndpointGroup>& groups,
                      const std::vector<EndpointSlice>& existing) {
  SlicePlan plan;
  std::vector<Draft> drafts;
  const client::Labels labels = slice_labels(service);
  for (const auto& slice : existing) {
    if (slice.addressType != "IPv4" || slice.metadata.deletionTimestamp) continue;
    drafts.push_back({slice, slice.metadata.labels != labels});
    drafts.back().slice.metadata.labels = labels;
  }
  std::set<std::string> used;
  for (const auto& group : groups) {
    const std::string key = port_key(group.ports);
    used.insert(key);
    std::vector<Draft*> matching;
    for (auto& draft : drafts) {
      if (port_key(draft.slice.ports) == key) matching.push_back(&draft);
    }
    place(service, group, std::move(matching), plan);
  }
  // Empty slices go, but one stays as a sign that the Service was seen.
  std::size_t kept = plan.create.size();
  for (auto& draft : drafts) {
    const bool orphaned = used.count(port_key(draft.slice.ports)) == 0;
    if (orphaned && !draft.slice.endpoints.empty()) {
      draft.slice.endpoints.clear();
      draft.changed = true;
    }
    if (!draft.slice.endpoints.empty()) ++kept;
  }
  for (auto& draft : drafts) {
    if (draft.slice.endpoints.empty()) {
      if (kept > 0) {
        plan.remove.push_back(draft.slice.metadata.name);
        continue;
      }
      ++kept;
    }
    if (draft.changed) plan.update.push_back(std::move(draft.slice));
  }
  if (kept == 0) plan.create.push_back(new_slice(service, {}));
  return plan;
}

std::vector<api::core::v1::EndpointSubset> plan_subsets(const Service& service,
                                                        const std::vector<EndpointGroup>& groups) {
  std::vector<api::core::v1::EndpointSubset> out;
  for (const auto& group : groups) {
    api::core::v1::EndpointSubset subset;
    for (const auto& endpoint : group.endpoints) {
      if (endpoint.conditions.terminating.value_or(false) && !service.spec.publishNotReadyAddresses) continue;
      api::core::v1::EndpointAddress address;
      address.ip = endpoint.addresses.front();
      address.hostname = endpoint.hostname.value_or("");
      address.nodeName = endpoint.nodeName;
      address.targetRef = endpoint.targetRef;
      (endpoint.conditions.ready.value_or(false) ? subset.addresses : subset.notReadyAddresses)
          .push_back(address);
    }
    if (subset.addresses.empty() && subset.notReadyAddresses.empty()) continue;
    for (const auto& port : group.ports) {
      api::core::v1::EndpointPort out_port;
      out_port.name = port.name.value_or("");
      out_port.port = port.port.value_or(0);
      out_port.protocol = port.protocol.value_or("TCP");
      out_port.appProtocol = port.appProtocol;
      subset.ports.push_back(std::move(out_port));
    }
    out.push_back(std::move(subset));
  }
  return out;
}

}  // namespace coxswain::controllers
