// Services, whose addresses have been allocated by now.
#include <algorithm>
#include <set>

#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

constexpr const char* kOnlyLoadBalancer = "may only be used when `type` is 'LoadBalancer'";

bool headless(const json::Value& spec) { return spec.get_string("clusterIP") == "None"; }

bool reachable_from_outside(const json::Value& spec) {
  const std::string type = spec.get_string("type");
  return type == "LoadBalancer" || type == "NodePort" ||
         (type == "ClusterIP" && !list_at(spec, "externalIPs").empty());
}

void validate_type(const json::Value& spec, FieldErrors& errors) {
  const std::string type = spec.get_string("type");
  if (list_at(spec, "ports").empty() && !headless(spec) && type != "ExternalName")
    errors.required("spec.ports");
  if (headless(spec) && (type == "LoadBalancer" || type == "NodePort")) {
    errors.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for " + type + " services");
  }
  if (type != "ExternalName") return;
  for (const char* member : {"clusterIPs", "ipFamilies", "ipFamilyPolicy"}) {
    if (spec.find(member) != nullptr)
      errors.forbidden(std::string("spec.") + member, "may not be set for ExternalName services");
  }
  std::string name = spec.get_string("externalName");
  if (!name.empty() && name.back() == '.') name.pop_back();
  if (name.empty())
    errors.required("spec.externalName");
  else
    errors.invalid_each("spec.externalName", name, check_dns1123_subdomain(name));
}

void validate_port(const json::Value& port, bool need_name, std::set<std::string>& names,
                   const std::string& at, FieldErrors& errors) {
  const std::string name = port.get_string("name");
  if (need_name && name.empty()) errors.required(at + ".name");
  if (!name.empty()) {
    errors.invalid_each(at + ".name", name, check_dns1123_label(name));
    if (!names.insert(name).second) errors.duplicate(at + ".name", name);
  }
  errors.port(at + ".port", port.get_int("port"));
  errors.one_of(at + ".protocol", port.get_string("protocol"), {"SCTP", "TCP", "UDP"});
  const json::Value* target = port.find("targetPort");
  if (target != nullptr && target->type() == json::Type::kInt)
    errors.port(at + ".targetPort", target->as_int());
  else if (target != nullptr && target->is_string())
    errors.invalid_each(at + ".targetPort", *target, check_port_name(target->as_string()));
  if (const json::Value* protocol = port.find("appProtocol"); protocol != nullptr && protocol->is_string())
    errors.invalid_each(at + ".appProtocol", *protocol, check_qualified_name(protocol->as_string()));
}

void validate_ports(const json::Value& spec, FieldErrors& errors) {
  const json::Array& ports = list_at(spec, "ports");
  std::set<std::string> names;
  for (std::size_t i = 0; i < ports.size(); ++i)
    validate_port(ports[i], ports.size() > 1, names, indexed("spec.ports", i), errors);
}

// After the type is known: node ports, and the same port twice.
void validate_port_numbers(const json::Value& spec, FieldErrors& errors) {
  const json::Array& ports = list_at(spec, "ports");
  std::set<std::string> node_ports;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string at = indexed("spec.ports", i) + ".nodePort";
    const std::int64_t number = ports[i].get_int("nodePort");
    if (number == 0) continue;
    if (spec.get_string("type") == "ClusterIP")
      errors.forbidden(at, "may not be used when `type` is 'ClusterIP'");
    if (!node_ports.insert(ports[i].get_string("protocol") + "/" + std::to_string(number)).second)
      errors.duplicate(at, static_cast<long>(number));
  }
  std::set<std::string> numbers;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string protocol = ports[i].get_string("protocol");
    const auto number = static_cast<long>(ports[i].get_int("port"));
    if (numbers.insert(protocol + "/" + std::to_string(number)).second) continue;
    errors.duplicate(indexed("spec.ports", i),
                     json::Value::object({{"protocol", protocol}, {"port", number}}));
  }
}

void validate_affinity(const json::Value& spec, FieldErrors& errors) {
  const std::string affinity = spec.get_string("sessionAffinity");
  errors.one_of("spec.sessionAffinity", affinity, {"ClientIP", "None"});
  const json::Value* config = object_at(spec, "sessionAffinityConfig");
  const std::string path = "spec.sessionAffinityConfig";
  if (affinity == "None" && config != nullptr)
    return errors.forbidden(path, "must not be set when session affinity is None");
  if (affinity != "ClientIP") return;
  constexpr const char* kWhen = "when session affinity type is ClientIP";
  if (config == nullptr) return errors.required(path, kWhen);
  const json::Value* client = object_at(*config, "clientIP");
  if (client == nullptr) return errors.required(path + ".clientIP", kWhen);
  const std::optional<std::int64_t> timeout = int_at(*client, "timeoutSeconds");
  if (!timeout) return errors.required(path + ".clientIP.timeoutSeconds", kWhen);
  if (*timeout <= 0 || *timeout > 86400) {
    errors.invalid(path + ".clientIP.timeoutSeconds", static_cast<long>(*timeout),
                   "must be greater than 0 and less than 86400");
  }
}

void validate_families(const json::Value& spec, FieldErrors& errors) {
  std::set<std::string> seen;
  const json::Array& families = list_at(spec, "ipFamilies");
  for (std::size_t i = 0; i < families.size(); ++i) {
    if (!families[i].is_string()) continue;
    const std::string at = indexed("spec.ipFamilies", i);
    const std::string& family = families[i].as_string();
    if (family != "IPv4" && family != "IPv6") errors.not_supported(at, family, {"IPv4", "IPv6"});
    if (!seen.insert(family).second) errors.duplicate(at, family);
  }
  const json::Value* policy = spec.find("ipFamilyPolicy");
  if (policy != nullptr && policy->is_string()) {
    const std::string& text = policy->as_string();
    if (text != "PreferDualStack" && text != "RequireDualStack" && text != "SingleStack")
      errors.not_supported("spec.ipFamilyPolicy", text,
                           {"PreferDualStack", "RequireDualStack", "SingleStack"});
  }
  const json::Array& ips = list_at(spec, "clusterIPs");
  for (std::size_t i = 0; i < ips.size(); ++i) {
    if (!ips[i].is_string()) continue;
    if (i == 0 && ips[i].as_string() == "None") {
      if (ips.size() > 1)
        errors.invalid("spec.clusterIPs", json::Value(ips), "'None' must be the first and only value");
      continue;
    }
    errors.invalid_each(indexed("spec.clusterIPs", i), ips[i], check_ip(ips[i].as_string()));
  }
  if (ips.size() > 2) errors.invalid("spec.clusterIPs", json::Value(ips), "may only hold up to 2 values");
}

void validate_external_ips(const json::Value& spec, FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& ip : list_at(spec, "externalIPs")) {
    const std::string at = indexed("spec.externalIPs", index++);
    if (!ip.is_string()) continue;
    const NameErrors wrong = check_ip(ip.as_string());
    errors.invalid_each(at, ip, wrong);
    if (wrong.empty()) validate_non_special_ip(ip.as_string(), at, errors);
  }
}

void validate_load_balancer(const json::Value& spec, FieldErrors& errors) {
  const bool balanced = spec.get_string("type") == "LoadBalancer";
  const json::Array& ranges = list_at(spec, "loadBalancerSourceRanges");
  if (!ranges.empty() && !balanced) errors.forbidden("spec.LoadBalancerSourceRanges", kOnlyLoadBalancer);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (!ranges[i].is_string()) continue;
    validate_cidr(std::string(trim(ranges[i].as_string())), indexed("spec.LoadBalancerSourceRanges", i),
                  errors);
  }
  if (spec.find("allocateLoadBalancerNodePorts") != nullptr && !balanced)
    errors.forbidden("spec.allocateLoadBalancerNodePorts", kOnlyLoadBalancer);
  const json::Value* name = spec.find("loadBalancerClass");
  if (name == nullptr || !name->is_string()) return;
  if (balanced)
    errors.invalid_each("spec.loadBalancerClass", *name, check_qualified_name(name->as_string()));
  else
    errors.forbidden("spec.loadBalancerClass", kOnlyLoadBalancer);
}

void validate_traffic(const json::Value& spec, FieldErrors& errors) {
  const std::string outside = spec.get_string("externalTrafficPolicy");
  if (reachable_from_outside(spec)) {
    errors.one_of("spec.externalTrafficPolicy", outside, {"Cluster", "Local"});
  } else if (!outside.empty()) {
    errors.invalid("spec.externalTrafficPolicy", outside,
                   "may only be set for externally-accessible services");
  }
  const std::int64_t check = spec.get_int("healthCheckNodePort");
  if (spec.get_string("type") == "LoadBalancer" && outside == "Local") {
    if (check == 0)
      errors.required("spec.healthCheckNodePort");
    else
      errors.port("spec.healthCheckNodePort", check);
  } else if (check != 0) {
    errors.invalid("spec.healthCheckNodePort", static_cast<long>(check),
                   "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
  }
  const std::string type = spec.get_string("type");
  const json::Value* inside = spec.find("internalTrafficPolicy");
  const bool needed = type == "NodePort" || type == "LoadBalancer" || type == "ClusterIP";
  if (inside != nullptr || needed) {
    errors.one_of("spec.internalTrafficPolicy", spec.get_string("internalTrafficPolicy"),
                  {"Cluster", "Local"});
  }
  const json::Value* spread = spec.find("trafficDistribution");
  if (spread != nullptr && spread->is_string()) {
    const std::string& text = spread->as_string();
    if (text != "PreferClose" && text != "PreferSameNode" && text != "PreferSameZone") {
      errors.not_supported("spec.trafficDistribution", text,
                           {"PreferClose", "PreferSameNode", "PreferSameZone"});
    }
  }
}

}  // namespace

void validate_service(const json::Value& object, FieldErrors& errors) {
  static const json::Value empty = json::Value::object();
  const json::Value* found = object_at(object, "spec");
  const json::Value& spec = found == nullptr ? empty : *found;
  validate_type(spec, errors);
  validate_ports(spec, errors);
  validate_labels(spec.find("selector"), "spec.selector", errors);
  validate_affinity(spec, errors);
  if (spec.get_string("type") != "ExternalName") validate_families(spec, errors);
  validate_external_ips(spec, errors);
  errors.one_of("spec.type", spec.get_string("type"),
                {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"});
  validate_port_numbers(spec, errors);
  validate_load_balancer(spec, errors);
  validate_traffic(spec, errors);
}

void validate_service_update(const json::Value& old_spec, const json::Value& spec, FieldErrors& errors) {
  const std::string type = spec.get_string("type");
  const std::string old_type = old_spec.get_string("type");
  if (type != "ExternalName" && old_type != "ExternalName") {
    const std::string before = old_spec.get_string("clusterIP");
    const std::string now = spec.get_string("clusterIP");
    if (!before.empty() && before != now)
      errors.invalid("spec.clusterIPs[0]", json::Value::array({json::Value(now)}), "may not change once set");
    const json::Array& families = list_at(old_spec, "ipFamilies");
    if (!headless(old_spec) && !headless(spec) && !families.empty() &&
        !(list_at(spec, "ipFamilies") == families)) {
      errors.invalid("spec.ipFamilies[0]", json::Value(list_at(spec, "ipFamilies")),
                     "may not change once set");
    }
  }
  if (type != "LoadBalancer" || old_type != "LoadBalancer") return;
  const std::string name = spec.get_string("loadBalancerClass");
  if (name != old_spec.get_string("loadBalancerClass"))
    errors.invalid("spec.loadBalancerClass", name.empty() ? json::Value() : json::Value(name),
                   "may not change once set");
  const bool checked = old_spec.get_string("externalTrafficPolicy") == "Local" &&
                       spec.get_string("externalTrafficPolicy") == "Local";
  if (checked && spec.get_int("healthCheckNodePort") != old_spec.get_int("healthCheckNodePort"))
    errors.forbidden("spec.healthCheckNodePort", "field is immutable");
}

void validate_service_status(const json::Value& object, FieldErrors& errors) {
  const json::Value* balancer = object.find_path({"status", "loadBalancer"});
  if (balancer == nullptr) return;
  const json::Array& ingress = list_at(*balancer, "ingress");
  const std::string path = "status.loadBalancer.ingress";
  if (!ingress.empty() && object.get_string_path({"spec", "type"}) != "LoadBalancer")
    return errors.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'");
  for (std::size_t i = 0; i < ingress.size(); ++i) {
    const std::string at = indexed(path, i);
    const std::string ip = ingress[i].get_string("ip");
    const std::string mode = ingress[i].get_string("ipMode");
    if (!ip.empty()) errors.invalid_each(at + ".ip", ip, check_ip(ip));
    if (mode.empty() && !ip.empty()) errors.required(at + ".ipMode", "must be specified when `ip` is set");
    if (!mode.empty() && ip.empty())
      errors.forbidden(at + ".ipMode", "may not be specified when `ip` is not set");
    else if (!mode.empty())
      errors.one_of(at + ".ipMode", mode, {"Proxy", "VIP"});
    const std::string host = ingress[i].get_string("hostname");
    if (host.empty()) continue;
    errors.invalid_each(at + ".hostname", host, check_dns1123_subdomain(host));
    if (check_ip(host).empty())
      errors.invalid(at + ".hostname", host, "must be a DNS name, not an IP address");
  }
}

}  // namespace coxswain::api
