// Pods and pod templates, part by part, in Kubernetes' order.
#include <algorithm>

#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

constexpr const char* kNotForInit = "may not be set for init containers without restartPolicy=Always";

// Two containers that run at the same time must not want the same port of the host.
void validate_host_ports(const json::Value& container, const std::string& path, std::set<std::string>& taken,
                         FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& port : list_at(container, "ports")) {
    const std::string at = indexed(path + ".ports", index++) + ".hostPort";
    const std::int64_t number = port.get_int("hostPort");
    if (number == 0) continue;
    const std::string key =
        port.get_string("protocol") + "/" + port.get_string("hostIP") + "/" + std::to_string(number);
    if (!taken.insert(key).second) errors.duplicate(at, key);
  }
}

void validate_containers(const json::Value& spec, const std::string& path, const PodScope& scope,
                         FieldErrors& errors) {
  const json::Array& containers = list_at(spec, "containers");
  if (containers.empty()) return errors.required(path + ".containers");
  std::set<std::string> names;
  for (std::size_t i = 0; i < containers.size(); ++i) {
    const std::string at = indexed(path + ".containers", i);
    validate_container(containers[i], at, scope, errors);
    const std::string name = containers[i].get_string("name");
    if (!names.insert(name).second) errors.duplicate(at + ".name", name);
    validate_handlers(containers[i], at, scope, errors);
    if (containers[i].find("restartPolicy") != nullptr)
      errors.forbidden(at + ".restartPolicy", "may not be set for non-init containers");
  }
  std::set<std::string> host_ports;
  for (std::size_t i = 0; i < containers.size(); ++i)
    validate_host_ports(containers[i], indexed(path + ".containers", i), host_ports, errors);
}

void validate_init_containers(const json::Value& spec, const std::string& path, const PodScope& scope,
                              FieldErrors& errors) {
  std::set<std::string> names;
  for (const json::Value& container : list_at(spec, "containers")) names.insert(container.get_string("name"));
  std::size_t index = 0;
  for (const json::Value& container : list_at(spec, "initContainers")) {
    const std::string at = indexed(path + ".initContainers", index++);
    validate_container(container, at, scope, errors);
    const json::Value* restart = container.find("restartPolicy");
    if (restart != nullptr && !(*restart == json::Value("Always")))
      errors.not_supported(at + ".restartPolicy", container.get_string("restartPolicy"), {"Always"});
    const std::string name = container.get_string("name");
    if (!name.empty() && !names.insert(name).second) errors.duplicate(at + ".name", name);
    std::set<std::string> host_ports;  // init containers run one by one
    validate_host_ports(container, at, host_ports, errors);
    if (restart != nullptr && *restart == json::Value("Always")) {
      validate_handlers(container, at, scope, errors);
    } else {
      for (const char* member : {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"}) {
        if (object_at(container, member) != nullptr) errors.forbidden(at + "." + member, kNotForInit);
      }
    }
  }
}

void validate_host_network(const json::Value& spec, const std::string& path, const PodScope& scope,
                           FieldErrors& errors) {
  if (!true_at(spec, "hostNetwork")) return;
  std::size_t index = 0;
  for (const json::Value& container : list_at(spec, "containers")) {
    const std::string at = indexed(path + ".containers", index++);
    std::size_t place = 0;
    for (const json::Value& port : list_at(container, "ports")) {
      const std::string where = indexed(at + ".ports", place++) + ".hostPort";
      const std::int64_t host = port.get_int("hostPort");
      if ((scope.is_pod || host != 0) && host != port.get_int("containerPort")) {
        errors.invalid(where, static_cast<long>(host),
                       "must match `containerPort` when `hostNetwork` is true");
      }
    }
  }
}

void validate_gates(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& gate : list_at(spec, "readinessGates")) {
    const std::string type = gate.get_string("conditionType");
    errors.invalid_each(indexed(path + ".readinessGates", index++) + ".conditionType", type,
                        check_qualified_name(type));
  }
  std::set<std::string> seen;
  index = 0;
  for (const json::Value& gate : list_at(spec, "schedulingGates")) {
    const std::string at = indexed(path + ".schedulingGates", index++);
    const std::string name = gate.get_string("name");
    errors.invalid_each(at, name, check_qualified_name(name));
    if (!seen.insert(name).second) errors.duplicate(at, name);
  }
}

void validate_host_users(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  const json::Value* users = spec.find("hostUsers");
  if (users == nullptr || !(*users == json::Value(false))) return;
  constexpr const char* kWhy = "when `pod.Spec.HostUsers` is false";
  if (true_at(spec, "hostNetwork")) errors.forbidden(path + ".hostNetwork", kWhy);
  if (true_at(spec, "hostPID")) errors.forbidden(path + ".HostPID", kWhy);
  if (true_at(spec, "hostIPC")) errors.forbidden(path + ".HostIPC", kWhy);
}

void validate_names(const json::Value& spec, const std::string& path, FieldErrors& errors,
                    std::initializer_list<std::pair<const char*, NameCheck>> rules) {
  for (const auto& [key, rule] : rules) {
    if (const std::string value = spec.get_string(key); !value.empty())
      errors.invalid_each(path + "." + key, value, rule(value));
  }
}

void validate_host_aliases(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& alias : list_at(spec, "hostAliases")) {
    const std::string at = indexed(path + ".hostAliases", index++);
    const std::string ip = alias.get_string("ip");
    errors.invalid_each(at + ".ip", ip, check_ip(ip));
    const json::Array& names = list_at(alias, "hostnames");
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i].is_string())
        errors.invalid_each(indexed(at + ".hostnames", i), names[i],
                            check_dns1123_subdomain(names[i].as_string()));
    }
  }
}

void validate_claims(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  std::set<std::string> names;
  std::size_t index = 0;
  for (const json::Value& claim : list_at(spec, "resourceClaims")) {
    const std::string at = indexed(path + ".resourceClaims", index++);
    const std::string name = claim.get_string("name");
    if (name.empty())
      errors.required(at + ".name");
    else if (!names.insert(name).second)
      errors.duplicate(at + ".name", name);
    else
      errors.invalid_each(at + ".name", name, check_dns1123_label(name));
    const bool by_name = claim.find("resourceClaimName") != nullptr;
    const bool by_template = claim.find("resourceClaimTemplateName") != nullptr;
    if (by_name && by_template) {
      errors.invalid(at, claim,
                     "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
    } else if (!by_name && !by_template) {
      errors.invalid(at, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
    }
  }
}

void validate_rest(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  validate_host_users(spec, path, errors);
  validate_names(spec, path, errors,
                 {{"serviceAccountName", check_dns1123_subdomain}, {"nodeName", check_dns1123_subdomain}});
  if (const std::optional<std::int64_t> deadline = int_at(spec, "activeDeadlineSeconds");
      deadline && (*deadline < 1 || *deadline > INT32_MAX)) {
    errors.invalid(path + ".activeDeadlineSeconds", static_cast<long>(*deadline),
                   "must be between 1 and 2147483647, inclusive");
  }
  validate_names(spec, path, errors, {{"hostname", check_dns1123_label}, {"subdomain", check_dns1123_label}});
  validate_tolerations(spec, path, errors);
  validate_host_aliases(spec, path, errors);
  validate_names(
      spec, path, errors,
      {{"priorityClassName", check_dns1123_subdomain}, {"runtimeClassName", check_dns1123_subdomain}});
  if (const json::Value* policy = spec.find("preemptionPolicy"); policy != nullptr && policy->is_string())
    errors.one_of(path + ".preemptionPolicy", policy->as_string(), {"Never", "PreemptLowerPriority"});
  if (const json::Value* overhead = object_at(spec, "overhead")) {
    validate_resources(json::Value::object({{"limits", *overhead}}), path + ".overhead", {}, errors);
  }
  if (const json::Value* os = object_at(spec, "os")) {
    const std::string name = os->get_string("name");
    if (name.empty())
      errors.required(path + ".os.name", "cannot be empty");
    else
      errors.one_of(path + ".os", name, {"linux", "windows"});
  }
}

void validate_spec(const json::Value& spec, const std::string& path, const std::string& pod_name, bool is_pod,
                   FieldErrors& errors) {
  PodScope scope;
  scope.is_pod = is_pod;
  scope.grace_period_seconds = int_at(spec, "terminationGracePeriodSeconds");
  scope.restart_policy = spec.get_string("restartPolicy");
  const json::Value* users = spec.find("hostUsers");
  scope.host_users = users == nullptr || !(*users == json::Value(false));
  if (!scope.grace_period_seconds) errors.required(path + ".terminationGracePeriodSeconds");
  scope.volumes = validate_volumes(spec, path, pod_name, errors);
  for (const json::Value& claim : list_at(spec, "resourceClaims")) {
    if (!claim.get_string("name").empty()) scope.claims.insert(claim.get_string("name"));
  }
  validate_claims(spec, path, errors);
  validate_containers(spec, path, scope, errors);
  validate_init_containers(spec, path, scope, errors);
  validate_host_network(spec, path, scope, errors);
  errors.one_of(path + ".restartPolicy", scope.restart_policy, {"Always", "OnFailure", "Never"});
  errors.one_of(path + ".dnsPolicy", spec.get_string("dnsPolicy"),
                {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"});
  validate_labels(spec.find("nodeSelector"), path + ".nodeSelector", errors);
  validate_pod_security(spec, path, errors);
  validate_affinity(spec, path, errors);
  validate_pod_dns(spec, path, errors);
  validate_gates(spec, path, errors);
  validate_topology_spread(spec, path, errors);
  validate_rest(spec, path, errors);
}

const json::Value& spec_of(const json::Value& object) {
  static const json::Value empty = json::Value::object();
  const json::Value* spec = object_at(object, "spec");
  return spec == nullptr ? empty : *spec;
}

}  // namespace

void validate_pod(const json::Value& pod, FieldErrors& errors) {
  const json::Value& spec = spec_of(pod);
  validate_spec(spec, "spec", pod.get_string_path({"metadata", "name"}), true, errors);
  for (const char* list : {"containers", "initContainers"}) {
    std::size_t index = 0;
    for (const json::Value& container : list_at(spec, list)) {
      const std::string at = indexed(std::string("spec.") + list, index++) + ".image";
      const std::string image = container.get_string("image");
      if (trim(image).size() != image.size())
        errors.invalid(at, image, "must not have leading or trailing whitespace");
    }
  }
}

void validate_new_pod(const json::Value& pod, FieldErrors& errors) {
  validate_pod(pod, errors);
  const json::Value& spec = spec_of(pod);
  if (!list_at(spec, "ephemeralContainers").empty())
    errors.forbidden("spec.ephemeralContainers", "cannot be set on create");
  if (!spec.get_string("nodeName").empty() && !list_at(spec, "schedulingGates").empty())
    errors.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared");
}

void validate_pod_template(const json::Value& pod_template, const std::string& path, FieldErrors& errors) {
  if (const json::Value* metadata = object_at(pod_template, "metadata")) {
    validate_labels(metadata->find("labels"), path + ".labels", errors);
    validate_annotations(metadata->find("annotations"), path + ".annotations", errors);
  }
  const json::Value& spec = spec_of(pod_template);
  validate_spec(spec, path + ".spec", {}, false, errors);
  if (!list_at(spec, "ephemeralContainers").empty())
    errors.forbidden(path + ".spec.ephemeralContainers", "ephemeral containers not allowed in pod template");
}

}  // namespace coxswain::api
