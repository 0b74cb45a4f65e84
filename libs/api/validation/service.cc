#include <set>

#include "libs/api/validation/validation.h"

namespace coxswain::api {
namespace {

void validate_ports(const json::Value& spec, const std::string& type, FieldErrors& errors) {
  const json::Array& ports = list_at(spec, "ports");
  const bool headless = spec.get_string("clusterIP") == "None";
  if (ports.empty() && !headless && type != "ExternalName") errors.required("spec.ports");
  std::set<std::string> names;
  std::set<std::string> numbers;
  std::size_t index = 0;
  for (const json::Value& port : ports) {
    const std::string at = indexed("spec.ports", index++);
    const std::string name = port.get_string("name");
    if (ports.size() > 1 && name.empty()) errors.required(at + ".name");
    if (!name.empty()) {
      errors.invalid_each(at + ".name", name, check_dns1123_label(name));
      if (!names.insert(name).second) errors.duplicate(at + ".name", name);
    }
    errors.port(at + ".port", port.get_int("port"));
    const std::string protocol = port.get_string("protocol");
    errors.one_of(at + ".protocol", protocol, {"SCTP", "TCP", "UDP"});
    const json::Value* target = port.find("targetPort");
    if (target != nullptr && target->type() == json::Type::kInt)
      errors.port(at + ".targetPort", target->as_int());
    if (target != nullptr && target->is_string()) {
      errors.invalid_each(at + ".targetPort", *target, check_port_name(target->as_string()));
    }
    if (type == "ClusterIP" && port.get_int("nodePort") != 0) {
      errors.forbidden(at + ".nodePort", "may not be used when `type` is 'ClusterIP'");
    }
    if (!numbers.insert(protocol + "/" + std::to_string(port.get_int("port"))).second) {
      errors.duplicate(at, json::Value::object(
                               {{"protocol", protocol}, {"port", static_cast<long>(port.get_int("port"))}}));
    }
  }
}

void validate_affinity(const json::Value& spec, FieldErrors& errors) {
  const std::string affinity = spec.get_string("sessionAffinity");
  errors.one_of("spec.sessionAffinity", affinity, {"ClientIP", "None"});
  const json::Value* config = spec.find("sessionAffinityConfig");
  if (affinity == "None" && config != nullptr && config->is_object()) {
    errors.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None");
  }
  if (affinity != "ClientIP" || config == nullptr) return;
  const json::Value* timeout = config->find_path({"clientIP", "timeoutSeconds"});
  if (timeout != nullptr && timeout->type() == json::Type::kInt &&
      (timeout->as_int() <= 0 || timeout->as_int() > 86400)) {
    errors.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", *timeout,
                   "must be greater than 0 and less than 86400");
  }
}

}  // namespace

void validate_service_spec(const json::Value& spec, FieldErrors& errors) {
  const std::string type = spec.get_string("type");
  errors.one_of("spec.type", type, {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"});
  validate_ports(spec, type, errors);
  validate_affinity(spec, errors);
  validate_labels(spec.find("selector"), "spec.selector", errors);
  const std::string ip = spec.get_string("clusterIP");
  if (type == "ExternalName") {
    const std::string name = spec.get_string("externalName");
    if (!ip.empty()) errors.forbidden("spec.clusterIPs[0]", "may not be set when `type` is 'ExternalName'");
    if (name.empty())
      errors.required("spec.externalName");
    else
      errors.invalid_each(
          "spec.externalName", name,
          check_dns1123_subdomain(name.back() == '.' ? name.substr(0, name.size() - 1) : name));
    return;
  }
  if (!ip.empty() && ip != "None") errors.invalid_each("spec.clusterIPs[0]", ip, check_ip(ip));
  if (ip == "None" && type != "ClusterIP") {
    errors.invalid("spec.clusterIPs[0]", ip, "may not be set to 'None' for " + type + " services");
  }
  std::size_t index = 0;
  for (const json::Value& external : list_at(spec, "externalIPs")) {
    const std::string at = indexed("spec.externalIPs", index++);
    if (external.is_string()) errors.invalid_each(at, external, check_ip(external.as_string()));
  }
  const std::string internal = spec.get_string("internalTrafficPolicy");
  if (!internal.empty()) errors.one_of("spec.internalTrafficPolicy", internal, {"Cluster", "Local"});
  const std::string outside = spec.get_string("externalTrafficPolicy");
  const bool reachable = type != "ClusterIP" || !list_at(spec, "externalIPs").empty();
  if (!outside.empty() && !reachable)
    errors.invalid("spec.externalTrafficPolicy", outside,
                   "may only be set for externally-accessible services");
  else if (!outside.empty())
    errors.one_of("spec.externalTrafficPolicy", outside, {"Cluster", "Local"});
}

void validate_service_update(const json::Value& old_spec, const json::Value& spec, FieldErrors& errors) {
  const std::string type = spec.get_string("type");
  if (type == "ExternalName" || old_spec.get_string("type") == "ExternalName") return;
  const std::string before = old_spec.get_string("clusterIP");
  const std::string now = spec.get_string("clusterIP");
  if (!before.empty() && before != now) {
    errors.invalid("spec.clusterIPs[0]", json::Value::array({json::Value(now)}), "may not change once set");
  }
}

}  // namespace coxswain::api
