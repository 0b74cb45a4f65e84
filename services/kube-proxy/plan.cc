#include "services/kube-proxy/plan.h"

#include <algorithm>
#include <map>

#include "libs/common/base/strings.h"

namespace coxswain::proxy {
namespace {

using api::core::v1::Service;
using api::core::v1::ServicePort;
using api::discovery::v1::EndpointSlice;

struct Endpoint {
  std::string ip;
  int port = 0;
  bool local = false;
  bool operator<(const Endpoint& other) const { return std::tie(ip, port) < std::tie(other.ip, other.port); }
};

std::string short_hash(const std::string& text) {
  const std::uint64_t hash = fnv1a_64(text);
  return hex_encode(std::string_view(reinterpret_cast<const char*>(&hash), sizeof(hash)));
}

std::string protocol_of(const std::string& protocol) { return protocol.empty() ? "tcp" : to_lower(protocol); }

bool flag(const std::optional<bool>& value, bool fallback) { return value.value_or(fallback); }

// The ready endpoints of one port of a service; else those that terminate and still serve. KEP-1669: with a
// Local policy that choice is made among the node's own, so that a node drains what a load balancer still
// sends.
std::vector<Endpoint> endpoints_of(const ServicePort& port, const std::vector<const EndpointSlice*>& slices,
                                   const std::string& node, bool local_only) {
  std::set<Endpoint> ready, serving;
  for (const EndpointSlice* slice : slices) {
    int number = 0;
    for (const auto& candidate : slice->ports) {
      const bool same_name = candidate.name.value_or("") == port.name;
      if (same_name && protocol_of(candidate.protocol.value_or("TCP")) == protocol_of(port.protocol))
        number = candidate.port.value_or(0);
    }
    if (number == 0) continue;
    for (const auto& endpoint : slice->endpoints) {
      if (endpoint.addresses.empty()) continue;
      const Endpoint value{endpoint.addresses.front(), number, endpoint.nodeName.value_or("") == node};
      if (local_only && !value.local) continue;
      // Absent means ready: publishers that do not care about readiness.
      if (flag(endpoint.conditions.ready, true))
        ready.insert(value);
      else if (flag(endpoint.conditions.serving, false) && flag(endpoint.conditions.terminating, false))
        serving.insert(value);
    }
  }
  const std::set<Endpoint>& chosen = ready.empty() ? serving : ready;
  return {chosen.begin(), chosen.end()};
}

// What one port of a Service has: everywhere, and on this node.
struct Endpoints {
  std::vector<Endpoint> all;
  std::vector<Endpoint> local;
};

class Planner {
 public:
  explicit Planner(const PlanInput& input) : input_(input) {
    for (const EndpointSlicePtr& slice : input.slices) {
      if (slice->addressType != "IPv4") continue;
      const auto label = slice->metadata.labels.find("kubernetes.io/service-name");
      if (label != slice->metadata.labels.end())
        slices_[slice->metadata.namespace_ + "/" + label->second].push_back(slice.get());
    }
  }

  Plan run() {
    for (const char* map : {"service_ips", "service_nodeports", "no_endpoint_ips", "no_endpoint_nodeports"})
      out_.rules.maps[map];
    for (const ServicePtr& service : input_.services) {
      const std::string& ip = service->spec.clusterIP;
      if (ip.empty() || ip == "None" || service->spec.type == "ExternalName") continue;
      for (const ServicePort& port : service->spec.ports) add_port(*service, port);
    }
    return std::move(out_);
  }

 private:
  void add_port(const Service& service, const ServicePort& port) {
    const std::string key = service.metadata.namespace_ + "/" + service.metadata.name;
    const auto found = slices_.find(key);
    Endpoints endpoints;
    if (found != slices_.end()) {
      endpoints.all = endpoints_of(port, found->second, input_.node_name, false);
      endpoints.local = endpoints_of(port, found->second, input_.node_name, true);
    }
    const std::string id = short_hash(key + "/" + port.name + "/" + protocol_of(port.protocol) + "/" +
                                      std::to_string(port.port));
    const std::string protocol = protocol_of(port.protocol);
    const bool internal_local = service.spec.internalTrafficPolicy.value_or("Cluster") == "Local";
    const bool external_local = service.spec.externalTrafficPolicy == "Local";

    add_internal(service, port, id, endpoints, internal_local);
    add_external(service, port, id, endpoints, external_local);
    if (protocol != "udp") return;
    std::vector<Endpoint> used = endpoints.all;
    used.insert(used.end(), endpoints.local.begin(), endpoints.local.end());
    for (const Endpoint& endpoint : used) {
      out_.udp.insert({service.spec.clusterIP, port.port, endpoint.ip});
      for (const std::string& ip : service.spec.externalIPs) out_.udp.insert({ip, port.port, endpoint.ip});
      if (port.nodePort != 0) out_.udp.insert({"", port.nodePort, endpoint.ip});
    }
  }

  void add_internal(const Service& service, const ServicePort& port, const std::string& id,
                    const Endpoints& endpoints, bool local) {
    const std::string key = address_key(service.spec.clusterIP, port);
    const std::vector<Endpoint>& usable = local ? endpoints.local : endpoints.all;
    if (usable.empty()) {
      out_.rules.maps["no_endpoint_ips"][key] =
          endpoints.all.empty() ? "goto reject_service" : "goto drop_service";
      return;
    }
    const std::string chain = "svc_" + id;
    std::vector<std::string>& rules = out_.rules.chains[chain];
    // A client outside the pods' network may not be able to take an answer from a pod.
    if (!input_.cluster_cidr.empty())
      rules.push_back("ip daddr " + service.spec.clusterIP + " ip saddr != " + input_.cluster_cidr +
                      " jump mark_masquerade");
    balance(service, id, protocol_of(port.protocol), usable, rules);
    out_.rules.maps["service_ips"][key] = "goto " + chain;
  }

  void add_external(const Service& service, const ServicePort& port, const std::string& id,
                    const Endpoints& endpoints, bool local) {
    if (port.nodePort == 0 && service.spec.externalIPs.empty()) return;
    std::string verdict = "goto reject_service";
    std::string prefix = "no_endpoint_";
    if (!endpoints.all.empty() || !endpoints.local.empty()) {
      const std::string chain = "ext_" + id;
      add_external_chain(service, port, id, endpoints, local, out_.rules.chains[chain]);
      verdict = "goto " + chain;
      prefix = "service_";
    }
    for (const std::string& ip : service.spec.externalIPs)
      out_.rules.maps[prefix + "ips"][address_key(ip, port)] = verdict;
    if (port.nodePort != 0) {
      out_.rules
          .maps[prefix + "nodeports"][protocol_of(port.protocol) + " . " + std::to_string(port.nodePort)] =
          verdict;
    }
  }

  void add_external_chain(const Service& service, const ServicePort& port, const std::string& id,
                          const Endpoints& endpoints, bool local, std::vector<std::string>& rules) {
    const std::string protocol = protocol_of(port.protocol);
    if (!local) {  // the answer must come back through this node
      rules.push_back("jump mark_masquerade");
      balance(service, id, protocol, endpoints.all, rules);
      return;
    }
    // The Local policy keeps the address of clients outside. Pods and the node itself are inside: they reach
    // every endpoint, as by the ClusterIP.
    if (!endpoints.all.empty()) {
      const std::string everywhere = "all_" + id;
      balance(service, id, protocol, endpoints.all, out_.rules.chains[everywhere]);
      if (!input_.cluster_cidr.empty())
        rules.push_back("ip saddr " + input_.cluster_cidr + " goto " + everywhere);
      rules.push_back("fib saddr type local jump mark_masquerade");
      rules.push_back("fib saddr type local goto " + everywhere);
    }
    if (endpoints.local.empty())
      rules.push_back("drop");  // the load balancer is to try another node
    else
      balance(service, id + "l", protocol, endpoints.local, rules);
  }

  static std::string address_key(const std::string& ip, const ServicePort& port) {
    return ip + " . " + protocol_of(port.protocol) + " . " + std::to_string(port.port);
  }

  // Rules that pick one of the endpoints at random; with affinity, the one the client had before.
  void balance(const Service& service, const std::string& id, const std::string& protocol,
               const std::vector<Endpoint>& endpoints, std::vector<std::string>& rules) {
    int timeout_s = 0;
    if (service.spec.sessionAffinity == "ClientIP") {
      timeout_s = 10800;
      const auto& config = service.spec.sessionAffinityConfig;
      if (config && config->clientIP && config->clientIP->timeoutSeconds)
        timeout_s = *config->clientIP->timeoutSeconds;
    }
    std::string choices;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      const std::string chain = add_endpoint(id, protocol, endpoints[i], timeout_s);
      choices += (i > 0 ? ", " : "") + std::to_string(i) + " : goto " + chain;
      if (timeout_s > 0) rules.push_back("ip saddr @aff_" + chain.substr(3) + " goto " + chain);
    }
    rules.push_back("numgen random mod " + std::to_string(endpoints.size()) + " vmap { " + choices + " }");
  }

  std::string add_endpoint(const std::string& id, const std::string& protocol, const Endpoint& endpoint,
                           int timeout_s) {
    const std::string address = endpoint.ip + ":" + std::to_string(endpoint.port);
    // The timeout is part of the name: a set's timeout cannot be changed.
    const std::string name =
        short_hash(id + "/" + protocol + "/" + address + "/" + std::to_string(timeout_s));
    std::vector<std::string> rules;
    // Hairpin: a pod that reaches itself must see another source, or it would answer itself directly.
    rules.push_back("ip saddr " + endpoint.ip + " jump mark_masquerade");
    if (timeout_s > 0) {
      out_.rules.sets["aff_" + name] =
          "type ipv4_addr ; flags dynamic,timeout ; timeout " + std::to_string(timeout_s) + "s ;";
      rules.push_back("update @aff_" + name + " { ip saddr }");
    }
    rules.push_back("meta l4proto " + protocol + " dnat to " + address);
    out_.rules.chains["ep_" + name] = std::move(rules);
    return "ep_" + name;
  }

  const PlanInput& input_;
  std::map<std::string, std::vector<const EndpointSlice*>> slices_;
  Plan out_;
};

}  // namespace

Plan plan(const PlanInput& input) { return Planner(input).run(); }

}  // namespace coxswain::proxy
