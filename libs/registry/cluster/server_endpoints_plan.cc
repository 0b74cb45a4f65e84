#include "libs/registry/cluster/server_endpoints_plan.h"

#include <algorithm>

#include "libs/api/meta/names.h"
#include "libs/common/base/strings.h"

namespace coxswain::registry {
namespace {

constexpr const char* kName = "kubernetes";
constexpr const char* kEndpoints = "/api/v1/namespaces/default/endpoints";
constexpr const char* kSlices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

using AddressesByPort = std::map<std::int32_t, std::vector<std::string>>;

json::Value ports_of(std::int32_t port) {
  return json::Value::array({json::Value::object({{"name", "https"}, {"port", port}, {"protocol", "TCP"}})});
}

json::Value metadata(const std::string& name, const char* label, const char* value) {
  return json::Value::object(
      {{"name", name}, {"namespace", "default"}, {"labels", json::Value::object({{label, value}})}});
}

json::Value make_endpoints(const AddressesByPort& servers) {
  json::Value subsets = json::Value::array();
  for (const auto& [port, ips] : servers) {
    json::Value addresses = json::Value::array();
    for (const std::string& ip : ips) addresses.push_back(json::Value::object({{"ip", ip}}));
    subsets.push_back(json::Value::object({{"addresses", std::move(addresses)}, {"ports", ports_of(port)}}));
  }
  return json::Value::object(
      {{"apiVersion", "v1"},
       {"kind", "Endpoints"},
       {"metadata", metadata(kName, "endpointslice.kubernetes.io/skip-mirror", "true")},
       {"subsets", std::move(subsets)}});
}

json::Value make_slice(const std::string& name, std::int32_t port, const std::vector<std::string>& ips) {
  json::Value endpoints = json::Value::array();
  for (const std::string& ip : ips) {
    endpoints.push_back(json::Value::object(
        {{"addresses", json::Value::array({ip})}, {"conditions", json::Value::object({{"ready", true}})}}));
  }
  return json::Value::object({{"apiVersion", "discovery.k8s.io/v1"},
                              {"kind", "EndpointSlice"},
                              {"metadata", metadata(name, "kubernetes.io/service-name", kName)},
                              {"addressType", "IPv4"},
                              {"endpoints", std::move(endpoints)},
                              {"ports", ports_of(port)}});
}

bool same(const json::Value* a, const json::Value* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return *a == *b;
}

// Only what is decided here is compared: the rest of an object is other people's.
bool differs(const json::Value& current, const json::Value& wanted) {
  for (const char* member : {"subsets", "addressType", "endpoints", "ports"}) {
    if (!same(current.find(member), wanted.find(member))) return true;
  }
  for (const json::Member& label : wanted.find_path({"metadata", "labels"})->as_object()) {
    if (current.get_string_path({"metadata", "labels", label.first}) != label.second.as_string()) return true;
  }
  return false;
}

void settle(const char* collection, const json::Value& current, json::Value wanted,
            std::vector<ObjectChange>& out) {
  const std::string name = wanted.get_string_path({"metadata", "name"});
  if (current.is_null()) {
    out.push_back({ObjectChange::Type::kCreate, collection, name, std::move(wanted)});
  } else if (differs(current, wanted)) {
    wanted["metadata"].set("resourceVersion", current.get_string_path({"metadata", "resourceVersion"}));
    out.push_back({ObjectChange::Type::kReplace, collection, name, std::move(wanted)});
  }
}

// Made by this plan: others may have slices of their own for the Service.
bool is_ours(const std::string& name) {
  const std::string prefix = std::string(kName) + "-";
  return name == kName || (name.rfind(prefix, 0) == 0 && parse_uint64(name.substr(prefix.size())));
}

ObjectChange removal(const json::Value& slice) {
  json::Value preconditions =
      json::Value::object({{"resourceVersion", slice.get_string_path({"metadata", "resourceVersion"})}});
  return {
      ObjectChange::Type::kDelete, kSlices, slice.get_string_path({"metadata", "name"}),
      json::Value::object(
          {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", std::move(preconditions)}})};
}

}  // namespace

std::string server_lease_key(const ServerAddress& server) {
  return std::string(kServerLeasePrefix) + server.ip + ":" + std::to_string(server.port);
}

std::optional<ServerAddress> parse_server_lease_key(std::string_view key) {
  if (key.rfind(kServerLeasePrefix, 0) != 0) return std::nullopt;
  key.remove_prefix(kServerLeasePrefix.size());
  const std::size_t colon = key.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::optional<std::uint64_t> port = parse_uint64(key.substr(colon + 1));
  if (!port || *port == 0 || *port > 65535) return std::nullopt;
  ServerAddress server{std::string(key.substr(0, colon)), static_cast<std::int32_t>(*port)};
  if (!api::check_ip(server.ip).empty()) return std::nullopt;
  return server;
}

ServerLeases::Outcome ServerLeases::look(const ServerAddress& observer,
                                         const std::vector<ServerLease>& leases, std::int64_t now_ms) {
  if (looked_ms_ && now_ms - *looked_ms_ >= kServerLeaseTtlMs) seen_.clear();
  looked_ms_ = now_ms;
  Outcome out;
  out.live.push_back(observer);
  std::map<ServerAddress, Seen> seen;
  for (const ServerLease& lease : leases) {
    if (lease.server == observer) continue;
    Seen now{lease.renewed, now_ms};
    const auto before = seen_.find(lease.server);
    if (before != seen_.end() && before->second.renewed == lease.renewed) now = before->second;
    seen[lease.server] = now;
    const std::int64_t expiry_ms = now.since_ms + kServerLeaseTtlMs;
    if (now_ms >= expiry_ms) {
      out.expired.push_back(lease);
      continue;
    }
    out.live.push_back(lease.server);
    if (out.next_expiry_ms == 0 || expiry_ms < out.next_expiry_ms) out.next_expiry_ms = expiry_ms;
  }
  seen_ = std::move(seen);
  std::sort(out.live.begin(), out.live.end());
  return out;
}

std::vector<ObjectChange> plan_server_endpoints(std::vector<ServerAddress> live, const json::Value& endpoints,
                                                const std::vector<json::Value>& slices) {
  std::vector<ObjectChange> out;
  if (live.empty()) return out;
  std::sort(live.begin(), live.end());
  AddressesByPort by_port;
  for (const ServerAddress& server : live) by_port[server.port].push_back(server.ip);
  settle(kEndpoints, endpoints, make_endpoints(by_port), out);
  std::map<std::string, const json::Value*> left;
  for (const json::Value& slice : slices) left[slice.get_string_path({"metadata", "name"})] = &slice;
  for (const auto& [port, ips] : by_port) {
    const bool lowest = port == by_port.begin()->first;
    const std::string name = lowest ? kName : kName + ("-" + std::to_string(port));
    const auto current = left.find(name);
    settle(kSlices, current == left.end() ? json::Value() : *current->second, make_slice(name, port, ips),
           out);
    if (current != left.end()) left.erase(current);
  }
  // Last, so that no server is out of every slice for a moment.
  for (const auto& [name, slice] : left) {
    if (is_ours(name)) out.push_back(removal(*slice));
  }
  return out;
}

}  // namespace coxswain::registry
