// Services: addresses are allocated with the object (cluster/service_addresses.h).
#include <set>

#include "libs/api/validation/validation.h"
#include "libs/common/base/strings.h"
#include "libs/registry/cluster/service_addresses.h"
#include "libs/registry/kinds/pod_template.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {
namespace {

// An ingress with an address is a virtual IP unless it says otherwise.
void default_ip_mode(json::Value& object) {
  json::Value* ingress = object.find_path({"status", "loadBalancer", "ingress"});
  if (ingress == nullptr || !ingress->is_array()) return;
  for (json::Value& entry : ingress->as_array()) {
    if (entry.is_object() && !entry.get_string("ip").empty() && entry.find("ipMode") == nullptr)
      entry.set("ipMode", "VIP");
  }
}

bool reachable_from_outside(const json::Value& spec) {
  const std::string type = spec.get_string("type");
  if (type == "NodePort" || type == "LoadBalancer") return true;
  const json::Value* addresses = spec.find("externalIPs");
  return type == "ClusterIP" && addresses != nullptr && addresses->is_array() && !addresses->as_array().empty();
}

void default_object(json::Value& object) {
  json::Value& spec = object["spec"];
  if (!spec.is_object()) return;
  const auto set = [](json::Value& target, const char* key, const char* value) {
    if (target.get_string(key).empty()) target.set(key, value);
  };
  set(spec, "type", "ClusterIP");
  set(spec, "sessionAffinity", "None");
  const std::string type = spec.get_string("type");
  if (spec.get_string("sessionAffinity") == "ClientIP" && spec.find("sessionAffinityConfig") == nullptr) {
    spec["sessionAffinityConfig"]["clientIP"].set("timeoutSeconds", 10800);
  }
  if (spec.get_string("sessionAffinity") == "None") spec.erase("sessionAffinityConfig");
  if (type != "ExternalName") set(spec, "internalTrafficPolicy", "Cluster");
  if (reachable_from_outside(spec)) set(spec, "externalTrafficPolicy", "Cluster");
  default_ip_mode(object);
  if (type == "LoadBalancer" && spec.find("allocateLoadBalancerNodePorts") == nullptr) {
    spec.set("allocateLoadBalancerNodePorts", true);
  }
  json::Value* ports = spec.find("ports");
  if (ports == nullptr || !ports->is_array()) return;
  for (json::Value& port : ports->as_array()) {
    if (!port.is_object()) continue;
    set(port, "protocol", "TCP");
    const json::Value* target = port.find("targetPort");
    const bool unset = target == nullptr || *target == json::Value(0) || *target == json::Value("");
    if (unset) port.set("targetPort", port.get_int("port"));
  }
}

void prepare_create(const Context&, json::Value& object) {
  object.set("status", json::Value::object({{"loadBalancer", json::Value::object()}}));
}

void drop_if_same(json::Value& spec, const json::Value& before, const char* key) {
  const json::Value* was = before.find(key);
  const json::Value* is = spec.find(key);
  if (was != nullptr && is != nullptr && *was == *is) spec.erase(key);
}

// What only the old type needed, and was left as it was, goes with that type. Asked for anew, it is refused.
void prepare_update(const Context&, const json::Value& old, json::Value& object) {
  json::Value* spec = object.find("spec");
  const json::Value* before = old.find("spec");
  if (spec == nullptr || before == nullptr) return;
  if (reachable_from_outside(*before) && !reachable_from_outside(*spec))
    drop_if_same(*spec, *before, "externalTrafficPolicy");
  if (spec->get_string("type") == "LoadBalancer") return;
  if (before->get_string("type") == "LoadBalancer") {
    drop_if_same(*spec, *before, "allocateLoadBalancerNodePorts");
    drop_if_same(*spec, *before, "loadBalancerClass");
  }
  object["status"].set("loadBalancer", json::Value::object());
}

void validate(const Context&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_service(object, errors);
}

void validate_update(const Context&, const json::Value& old, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  const json::Value* before = old.find("spec");
  const json::Value* now = object.find("spec");
  if (before != nullptr && now != nullptr) api::validate_service_update(*before, *now, errors);
  api::validate_service(object, errors);
}

void validate_status(const Context&, const json::Value&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_service_status(object, errors);
}

std::string external_ip(const json::Value& object, const json::Value& spec) {
  const std::string type = spec.get_string("type");
  if (type == "ExternalName") return spec.get_string("externalName");
  std::set<std::string> ingress;
  if (const json::Value* balancer = object.find_path({"status", "loadBalancer"});
      type == "LoadBalancer" && balancer != nullptr) {
    for (const json::Value& entry : api::list_at(*balancer, "ingress")) {
      const std::string ip = entry.get_string("ip");
      const std::string name = ip.empty() ? entry.get_string("hostname") : ip;
      if (!name.empty()) ingress.insert(name);
    }
  }
  std::vector<std::string> all(ingress.begin(), ingress.end());
  for (const json::Value& ip : api::list_at(spec, "externalIPs")) {
    if (ip.is_string()) all.push_back(ip.as_string());
  }
  if (!all.empty()) return join(all, ",");
  return type == "LoadBalancer" ? "<pending>" : "<none>";
}

json::Value table_cell(const json::Value& object, std::string_view column, std::int64_t) {
  const json::Value* spec = object.find("spec");
  if (spec == nullptr) return nullptr;
  if (column == "Cluster-IP") {
    const std::string ip = spec->get_string("clusterIP");
    return ip.empty() ? "<none>" : ip;
  }
  if (column == "External-IP") return external_ip(object, *spec);
  if (column == "Port(s)") {
    std::string text;
    for (const json::Value& port : api::list_at(*spec, "ports")) {
      if (!text.empty()) text += ',';
      text += std::to_string(port.get_int("port"));
      if (port.get_int("nodePort") != 0) text += ":" + std::to_string(port.get_int("nodePort"));
      text += "/" + port.get_string("protocol", "TCP");
    }
    return text.empty() ? "<none>" : text;
  }
  if (column == "Selector") return map_cell(spec->find("selector"));
  return nullptr;
}

}  // namespace

const Strategy& service_strategy() {
  static const Strategy strategy = {.name_rule = NameRule::kDns1035Label,
                                    .default_object = default_object,
                                    .prepare_create = prepare_create,
                                    .validate_create = validate,
                                    .prepare_update = prepare_update,
                                    .validate_update = validate_update,
                                    .validate_status_update = validate_status,
                                    .claims = service_claims,
                                    .allocate = allocate_service_addresses,
                                    .table_cell = table_cell};
  return strategy;
}

}  // namespace coxswain::registry
