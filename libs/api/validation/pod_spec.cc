#include <algorithm>
#include <set>

#include "libs/api/validation/validation.h"

namespace coxswain::api {
namespace {

std::vector<std::string> validate_volumes(const json::Value& spec, const std::string& path,
                                          FieldErrors& errors) {
  std::vector<std::string> names;
  std::size_t index = 0;
  for (const json::Value& volume : list_at(spec, "volumes")) {
    const std::string at = indexed(path + ".volumes", index++);
    const std::string name = volume.get_string("name");
    if (name.empty())
      errors.required(at + ".name");
    else
      errors.invalid_each(at + ".name", name, check_dns1123_label(name));
    if (std::find(names.begin(), names.end(), name) != names.end()) errors.duplicate(at + ".name", name);
    names.push_back(name);
    if (!volume.is_object()) continue;
    int sources = 0;
    for (const json::Member& member : volume.as_object()) {
      if (member.first == "name" || !member.second.is_object()) continue;
      if (++sources > 1) errors.forbidden(at + "." + member.first, "may not specify more than 1 volume type");
    }
    if (sources == 0) errors.required(at, "must specify a volume type");
    if (const json::Value* map = volume.find("configMap");
        map != nullptr && map->get_string("name").empty()) {
      errors.required(at + ".configMap.name");
    }
    if (const json::Value* secret = volume.find("secret");
        secret != nullptr && secret->get_string("secretName").empty()) {
      errors.required(at + ".secret.secretName");
    }
    if (const json::Value* host = volume.find("hostPath");
        host != nullptr && host->get_string("path").empty()) {
      errors.required(at + ".hostPath.path");
    }
  }
  return names;
}

void validate_containers(const json::Value& spec, const std::string& path,
                         const std::vector<std::string>& volumes, FieldErrors& errors) {
  if (list_at(spec, "containers").empty()) errors.required(path + ".containers");
  std::set<std::string> names;
  for (const char* list : {"containers", "initContainers"}) {
    std::size_t index = 0;
    for (const json::Value& container : list_at(spec, list)) {
      const std::string at = indexed(path + "." + list, index++);
      const std::string name = container.get_string("name");
      if (name.empty())
        errors.required(at + ".name");
      else
        errors.invalid_each(at + ".name", name, check_dns1123_label(name));
      if (!name.empty() && !names.insert(name).second) errors.duplicate(at + ".name", name);
      validate_container(container, at, volumes, errors);
      const bool init = std::string_view(list) == "initContainers";
      const bool sidecar = container.get_string("restartPolicy") == "Always";
      if (!init || sidecar) continue;
      for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
        if (container.find(probe) != nullptr)
          errors.forbidden(at + "." + probe,
                           "may not be set for init containers without restartPolicy=Always");
      }
      if (container.find("lifecycle") != nullptr)
        errors.forbidden(at + ".lifecycle",
                         "may not be set for init containers without restartPolicy=Always");
    }
  }
}

void validate_tolerations(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& toleration : list_at(spec, "tolerations")) {
    const std::string at = indexed(path + ".tolerations", index++);
    const std::string key = toleration.get_string("key");
    const std::string op = toleration.get_string("operator");
    const std::string effect = toleration.get_string("effect");
    if (!key.empty()) errors.invalid_each(at + ".key", key, check_qualified_name(key));
    if (key.empty() && op != "Exists") {
      errors.invalid(
          at + ".operator", op,
          "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    }
    if (toleration.find("tolerationSeconds") != nullptr && effect != "NoExecute") {
      errors.invalid(at + ".effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (op == "Exists") {
      if (!toleration.get_string("value").empty())
        errors.invalid(at + ".operator", toleration, "value must be empty when `operator` is 'Exists'");
    } else if (op.empty() || op == "Equal") {
      errors.invalid_each(at + ".operator", toleration.get_string("value"),
                          check_label_value(toleration.get_string("value")));
    } else {
      errors.not_supported(at + ".operator", op, {"Equal", "Exists"});
    }
    if (!effect.empty())
      errors.one_of(at + ".effect", effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"});
  }
}

void validate_names(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  const auto check = [&](const char* key, NameCheck rule) {
    if (const std::string value = spec.get_string(key); !value.empty())
      errors.invalid_each(path + "." + key, value, rule(value));
  };
  check("serviceAccountName", check_dns1123_subdomain);
  check("nodeName", check_dns1123_subdomain);
  check("schedulerName", check_qualified_name);
  check("hostname", check_dns1123_label);
  check("subdomain", check_dns1123_label);
  check("priorityClassName", check_dns1123_subdomain);
}

// A pod's spec without what may change.
json::Value frozen(const json::Value& source) {
  json::Value spec = source;
  for (const char* key :
       {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"})
    spec.erase(key);
  for (const char* list : {"containers", "initContainers"}) {
    json::Value* containers = spec.find(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (json::Value& container : containers->as_array()) container.erase("image");
  }
  return spec;
}

}  // namespace

void validate_pod_spec(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  const std::vector<std::string> volumes = validate_volumes(spec, path, errors);
  validate_containers(spec, path, volumes, errors);
  errors.one_of(path + ".restartPolicy", spec.get_string("restartPolicy"), {"Always", "OnFailure", "Never"});
  errors.one_of(path + ".dnsPolicy", spec.get_string("dnsPolicy"),
                {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"});
  validate_labels(spec.find("nodeSelector"), path + ".nodeSelector", errors);
  validate_tolerations(spec, path, errors);
  validate_names(spec, path, errors);
  if (const json::Value* deadline = spec.find("activeDeadlineSeconds");
      deadline != nullptr && deadline->type() == json::Type::kInt) {
    if (deadline->as_int() < 1 || deadline->as_int() > INT32_MAX) {
      errors.invalid(path + ".activeDeadlineSeconds", *deadline,
                     "must be between 1 and 2147483647, inclusive");
    }
  }
  errors.non_negative(path + ".terminationGracePeriodSeconds", spec.get_int("terminationGracePeriodSeconds"));
}

void validate_pod_template(const json::Value& pod_template, const std::string& path, FieldErrors& errors) {
  if (const json::Value* metadata = pod_template.find("metadata")) {
    validate_labels(metadata->find("labels"), path + ".metadata.labels", errors);
    validate_annotations(metadata->find("annotations"), path + ".metadata.annotations", errors);
  }
  static const json::Value empty = json::Value::object();
  const json::Value* spec = pod_template.find("spec");
  validate_pod_spec(spec == nullptr ? empty : *spec, path + ".spec", errors);
}

void validate_pod_update(const json::Value& old_spec, const json::Value& spec, FieldErrors& errors) {
  const json::Array& now = list_at(spec, "tolerations");
  for (const json::Value& toleration : list_at(old_spec, "tolerations")) {
    const auto same = [&](const json::Value& other) {
      json::Value a = toleration;
      json::Value b = other;
      a.erase("tolerationSeconds");
      b.erase("tolerationSeconds");
      return a == b;
    };
    if (std::none_of(now.begin(), now.end(), same)) {
      errors.forbidden("spec.tolerations",
                       "existing toleration can not be modified except its tolerationSeconds");
      break;
    }
  }
  const std::int64_t grace = spec.get_int("terminationGracePeriodSeconds", 30);
  const std::int64_t old_grace = old_spec.get_int("terminationGracePeriodSeconds", 30);
  const bool grace_fits = grace == old_grace || (old_grace < 0 && grace == 1);
  const json::Value* deadline = spec.find("activeDeadlineSeconds");
  const json::Value* old_deadline = old_spec.find("activeDeadlineSeconds");
  if (old_deadline != nullptr && old_deadline->type() == json::Type::kInt) {
    if (deadline == nullptr)
      errors.invalid("spec.activeDeadlineSeconds", nullptr,
                     "must not update from a positive integer to nil value");
    else if (deadline->type() == json::Type::kInt && deadline->as_int() > old_deadline->as_int()) {
      errors.invalid("spec.activeDeadlineSeconds", *deadline, "must be less than or equal to previous value");
    }
  }
  if (grace_fits && frozen(old_spec) == frozen(spec)) return;
  errors.forbidden(
      "spec",
      "pod updates may not change fields other than `spec.containers[*].image`,"
      "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
      "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
      "previously negative)");
}

}  // namespace coxswain::api
