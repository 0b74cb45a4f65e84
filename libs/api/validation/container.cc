// The rules that all containers of a pod share: names, ports, environment; the rest is in mounts.cc,
// handlers.cc, resources.cc and security_context.cc.
#include <algorithm>

#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

void validate_ports(const json::Value& container, const std::string& path, FieldErrors& errors) {
  std::set<std::string> names;
  std::size_t index = 0;
  for (const json::Value& port : list_at(container, "ports")) {
    const std::string at = indexed(path + ".ports", index++);
    if (const std::string name = port.get_string("name"); !name.empty()) {
      const NameErrors wrong = check_port_name(name);
      errors.invalid_each(at + ".name", name, wrong);
      if (wrong.empty() && !names.insert(name).second) errors.duplicate(at + ".name", name);
    }
    const std::int64_t number = port.get_int("containerPort");
    if (number == 0)
      errors.required(at + ".containerPort");
    else
      errors.port(at + ".containerPort", number);
    if (port.get_int("hostPort") != 0) errors.port(at + ".hostPort", port.get_int("hostPort"));
    errors.one_of(at + ".protocol", port.get_string("protocol"), {"SCTP", "TCP", "UDP"});
  }
}

void validate_key_ref(const json::Value& reference, const std::string& path, FieldErrors& errors) {
  const std::string name = reference.get_string("name");
  errors.invalid_each(path + ".name", name, check_dns1123_subdomain(name));
  const std::string key = reference.get_string("key");
  if (key.empty())
    errors.required(path + ".key");
  else
    errors.invalid_each(path + ".key", key, check_config_map_key(key));
}

void validate_value_from(const json::Value& variable, const std::string& path, FieldErrors& errors) {
  const json::Value* source = object_at(variable, "valueFrom");
  if (source == nullptr) return;
  int count = 0;
  if (const json::Value* reference = object_at(*source, "fieldRef")) {
    ++count;
    validate_field_ref(*reference, FieldRefUse::kEnvironment, path + ".fieldRef", errors);
  }
  if (const json::Value* reference = object_at(*source, "resourceFieldRef")) {
    ++count;
    validate_resource_field_ref(*reference, FieldRefUse::kEnvironment, path + ".resourceFieldRef", errors);
  }
  for (const char* kind : {"configMapKeyRef", "secretKeyRef"}) {
    const json::Value* reference = object_at(*source, kind);
    if (reference == nullptr) continue;
    ++count;
    validate_key_ref(*reference, path + "." + kind, errors);
  }
  if (object_at(*source, "fileKeyRef") != nullptr) ++count;
  if (count == 0) {
    errors.invalid(
        path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
  } else if (!variable.get_string("value").empty()) {
    errors.invalid(path, "", "may not be specified when `value` is not empty");
  } else if (count > 1) {
    errors.invalid(path, "", "may not have more than one field specified at a time");
  }
}

void validate_env(const json::Value& container, const std::string& path, FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& variable : list_at(container, "env")) {
    const std::string at = indexed(path + ".env", index++);
    const std::string name = variable.get_string("name");
    if (name.empty())
      errors.required(at + ".name");
    else
      errors.invalid_each(at + ".name", name, check_env_var_name(name));
    validate_value_from(variable, at + ".valueFrom", errors);
  }
}

void validate_env_from(const json::Value& container, const std::string& path, FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& source : list_at(container, "envFrom")) {
    const std::string at = indexed(path, index++);
    if (const std::string prefix = source.get_string("prefix"); !prefix.empty())
      errors.invalid_each(at + ".prefix", prefix, check_env_var_name(prefix));
    int count = 0;
    for (const char* kind : {"configMapRef", "secretRef"}) {
      const json::Value* reference = object_at(source, kind);
      if (reference == nullptr) continue;
      ++count;
      const std::string name = reference->get_string("name");
      if (name.empty())
        errors.required(at + "." + kind + ".name");
      else
        errors.invalid_each(at + "." + kind + ".name", name, check_dns1123_subdomain(name));
    }
    if (count == 0) errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
    if (count > 1) errors.invalid(path, "", "may not have more than one field specified at a time");
  }
}

void validate_resize_policy(const json::Value& container, const std::string& path, const PodScope& scope,
                            FieldErrors& errors) {
  std::set<std::string> seen;
  std::size_t index = 0;
  for (const json::Value& policy : list_at(container, "resizePolicy")) {
    const std::string resource = policy.get_string("resourceName");
    const std::string restart = policy.get_string("restartPolicy");
    const std::string at = indexed(path, index++);
    if (!seen.insert(resource).second) errors.duplicate(at, resource);
    errors.one_of(path, resource, {"cpu", "memory"});
    errors.one_of(path, restart, {"NotRequired", "RestartContainer"});
    if (scope.restart_policy == "Never" && restart != "NotRequired")
      errors.invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
  }
}

}  // namespace

void validate_container(const json::Value& container, const std::string& path, const PodScope& scope,
                        FieldErrors& errors) {
  const std::string name = container.get_string("name");
  if (name.empty())
    errors.required(path + ".name");
  else
    errors.invalid_each(path + ".name", name, check_dns1123_label(name));
  if (container.get_string("image").empty()) errors.required(path + ".image");
  errors.one_of(path + ".terminationMessagePolicy", container.get_string("terminationMessagePolicy"),
                {"FallbackToLogsOnError", "File"});
  validate_ports(container, path, errors);
  validate_env(container, path, errors);
  validate_env_from(container, path + ".envFrom", errors);
  validate_mounts(container, path, scope, errors);
  errors.one_of(path + ".imagePullPolicy", container.get_string("imagePullPolicy"),
                {"Always", "IfNotPresent", "Never"});
  if (const json::Value* resources = object_at(container, "resources"))
    validate_resources(*resources, path + ".resources", scope.claims, errors);
  validate_resize_policy(container, path + ".resizePolicy", scope, errors);
  validate_container_security(container, path, scope.host_users, errors);
}

}  // namespace coxswain::api
