// The rules of one container: names, ports, environment, mounts, probes, resources.
#include <algorithm>
#include <set>

#include "libs/api/meta/quantity.h"
#include "libs/api/validation/validation.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

void validate_ports(const json::Value& container, const std::string& path, FieldErrors& errors) {
  std::set<std::string> names;
  std::size_t index = 0;
  for (const json::Value& port : list_at(container, "ports")) {
    const std::string at = indexed(path + ".ports", index++);
    if (const std::string name = port.get_string("name"); !name.empty()) {
      errors.invalid_each(at + ".name", name, check_port_name(name));
      if (!names.insert(name).second) errors.duplicate(at + ".name", name);
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

void validate_value_from(const json::Value& variable, const std::string& path, FieldErrors& errors) {
  const json::Value* source = variable.find("valueFrom");
  if (source == nullptr || !source->is_object()) return;
  int count = 0;
  for (const char* kind : {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"}) {
    const json::Value* reference = source->find(kind);
    if (reference == nullptr) continue;
    ++count;
    const std::string name = kind;
    if (name == "configMapKeyRef" || name == "secretKeyRef") {
      const std::string key = reference->get_string("key");
      if (key.empty())
        errors.required(path + "." + name + ".key");
      else
        errors.invalid_each(path + "." + name + ".key", key, check_config_map_key(key));
    }
    if (name == "fieldRef" && reference->get_string("fieldPath").empty())
      errors.required(path + ".fieldRef.fieldPath");
    if (name == "resourceFieldRef" && reference->get_string("resource").empty())
      errors.required(path + ".resourceFieldRef.resource");
  }
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
  index = 0;
  for (const json::Value& source : list_at(container, "envFrom")) {
    const std::string at = indexed(path + ".envFrom", index++);
    const json::Value* map = source.find("configMapRef");
    const json::Value* secret = source.find("secretRef");
    if (map == nullptr && secret == nullptr)
      errors.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`");
    if (map != nullptr && secret != nullptr)
      errors.invalid(at, "", "may not have more than one field specified at a time");
    if (map != nullptr && map->get_string("name").empty()) errors.required(at + ".configMapRef.name");
    if (secret != nullptr && secret->get_string("name").empty()) errors.required(at + ".secretRef.name");
  }
}

void validate_mounts(const json::Value& container, const std::string& path,
                     const std::vector<std::string>& volumes, FieldErrors& errors) {
  std::set<std::string> places;
  std::size_t index = 0;
  for (const json::Value& mount : list_at(container, "volumeMounts")) {
    const std::string at = indexed(path + ".volumeMounts", index++);
    const std::string name = mount.get_string("name");
    if (name.empty())
      errors.required(at + ".name");
    else if (std::find(volumes.begin(), volumes.end(), name) == volumes.end())
      errors.not_found(at + ".name", name);
    const std::string place = mount.get_string("mountPath");
    if (place.empty())
      errors.required(at + ".mountPath");
    else if (!places.insert(place).second)
      errors.invalid(at + ".mountPath", place, "must be unique");
    const std::string sub = mount.get_string("subPath");
    if (!sub.empty() && sub[0] == '/') errors.invalid(at + ".subPath", sub, "must be a relative path");
    for (const std::string& part : split(sub, '/')) {
      if (part == "..") errors.invalid(at + ".subPath", sub, "must not contain '..'");
    }
  }
}

void validate_target_port(const json::Value* port, const std::string& path, FieldErrors& errors) {
  if (port == nullptr) return errors.invalid(path, 0, "must be between 1 and 65535, inclusive");
  if (port->type() == json::Type::kInt)
    errors.port(path, port->as_int());
  else if (port->is_string())
    errors.invalid_each(path, *port, check_port_name(port->as_string()));
}

// The action of a probe or a lifecycle hook.
void validate_handler(const json::Value& handler, const std::string& path, FieldErrors& errors) {
  int count = 0;
  for (const char* kind : {"exec", "httpGet", "tcpSocket", "grpc", "sleep"}) {
    const json::Value* action = handler.find(kind);
    if (action == nullptr || !action->is_object()) continue;
    const std::string at = path + "." + kind;
    if (++count > 1) {
      errors.forbidden(at, "may not specify more than 1 handler type");
      continue;
    }
    const std::string name = kind;
    if (name == "exec" && list_at(*action, "command").empty()) errors.required(at + ".command");
    if (name == "tcpSocket") validate_target_port(action->find("port"), at + ".port", errors);
    if (name == "grpc") errors.port(at + ".port", action->get_int("port"));
    if (name == "httpGet") {
      if (action->get_string("path").empty()) errors.required(at + ".path");
      validate_target_port(action->find("port"), at + ".port", errors);
      errors.one_of(at + ".scheme", action->get_string("scheme"), {"HTTP", "HTTPS"});
    }
  }
  if (count == 0) errors.required(path, "must specify a handler type");
}

void validate_probe(const json::Value& container, const char* kind, const std::string& path,
                    FieldErrors& errors) {
  const json::Value* probe = container.find(kind);
  if (probe == nullptr || !probe->is_object()) return;
  const std::string at = path + "." + kind;
  validate_handler(*probe, at, errors);
  for (const char* key :
       {"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"}) {
    errors.non_negative(at + "." + key, probe->get_int(key));
  }
  if (std::string_view(kind) != "readinessProbe" && probe->get_int("successThreshold", 1) > 1) {
    errors.invalid(at + ".successThreshold", static_cast<long>(probe->get_int("successThreshold")),
                   "must be 1");
  }
  if (const json::Value* grace = probe->find("terminationGracePeriodSeconds");
      grace != nullptr && grace->type() == json::Type::kInt) {
    if (std::string_view(kind) == "readinessProbe") {
      errors.invalid(at + ".terminationGracePeriodSeconds", *grace, "must not be set for readinessProbes");
    } else if (grace->as_int() <= 0) {
      errors.invalid(at + ".terminationGracePeriodSeconds", *grace, "must be greater than 0");
    }
  }
}

bool standard_resource(const std::string& name) {
  return name == "cpu" || name == "memory" || name == "ephemeral-storage" || name.rfind("hugepages-", 0) == 0;
}

void validate_amounts(const json::Value* amounts, const std::string& path, FieldErrors& errors) {
  if (amounts == nullptr || !amounts->is_object()) return;
  for (const json::Member& amount : amounts->as_object()) {
    const std::string at = keyed(path, amount.first);
    if (amount.first.find('/') == std::string::npos) {
      if (!standard_resource(amount.first)) {
        errors.invalid(at, amount.first, "must be a standard resource type or fully qualified");
        errors.invalid(at, amount.first, "must be a standard resource for containers");
      }
    } else {
      errors.invalid_each(at, amount.first, check_qualified_name(amount.first));
    }
    const std::string text =
        amount.second.is_string() ? amount.second.as_string() : json::write(amount.second);
    const auto quantity = Quantity::parse(text);
    if (!quantity.ok())
      errors.invalid(at, amount.second, quantity.error().message);
    else if (quantity->sign() < 0)
      errors.invalid(at, amount.second, "must be greater than or equal to 0");
  }
}

void validate_resources(const json::Value& container, const std::string& path, FieldErrors& errors) {
  const json::Value* resources = container.find("resources");
  if (resources == nullptr || !resources->is_object()) return;
  const json::Value* limits = resources->find("limits");
  const json::Value* requests = resources->find("requests");
  validate_amounts(limits, path + ".resources.limits", errors);
  validate_amounts(requests, path + ".resources.requests", errors);
  if (requests == nullptr || !requests->is_object() || limits == nullptr) return;
  for (const json::Member& request : requests->as_object()) {
    const json::Value* limit = limits->find(request.first);
    if (limit == nullptr || !limit->is_string() || !request.second.is_string()) continue;
    const auto wanted = Quantity::parse(request.second.as_string());
    const auto most = Quantity::parse(limit->as_string());
    if (wanted.ok() && most.ok() && *wanted > *most) {
      errors.invalid(path + ".resources.requests", request.second,
                     "must be less than or equal to " + request.first + " limit of " + most->to_string());
    }
  }
}

}  // namespace

void validate_container(const json::Value& container, const std::string& path,
                        const std::vector<std::string>& volumes, FieldErrors& errors) {
  const std::string image = container.get_string("image");
  if (image.empty())
    errors.required(path + ".image");
  else if (trim(image).size() != image.size())
    errors.invalid(path + ".image", image, "must not have leading or trailing whitespace");
  errors.one_of(path + ".imagePullPolicy", container.get_string("imagePullPolicy"),
                {"Always", "IfNotPresent", "Never"});
  errors.one_of(path + ".terminationMessagePolicy", container.get_string("terminationMessagePolicy"),
                {"FallbackToLogsOnError", "File"});
  validate_ports(container, path, errors);
  validate_env(container, path, errors);
  validate_mounts(container, path, volumes, errors);
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"})
    validate_probe(container, probe, path, errors);
  if (const json::Value* lifecycle = container.find("lifecycle")) {
    for (const char* hook : {"postStart", "preStop"}) {
      if (const json::Value* handler = lifecycle->find(hook))
        validate_handler(*handler, path + ".lifecycle." + hook, errors);
    }
  }
  validate_resources(container, path, errors);
}

}  // namespace coxswain::api
