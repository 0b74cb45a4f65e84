// securityContext of pods and containers.
#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

void validate_id(const json::Value& context, const char* key, const std::string& path, FieldErrors& errors) {
  const std::optional<std::int64_t> id = int_at(context, key);
  if (id && (*id < 0 || *id > INT32_MAX)) {
    errors.invalid(path + "." + key, static_cast<long>(*id), "must be between 0 and 2147483647, inclusive");
  }
}

void validate_seccomp(const json::Value& context, const std::string& path, FieldErrors& errors) {
  const json::Value* profile = object_at(context, "seccompProfile");
  if (profile == nullptr) return;
  const std::string at = path + ".seccompProfile";
  const std::string type = profile->get_string("type");
  if (type.empty())
    errors.required(at + ".type", "type is required when seccompProfile is set");
  else
    errors.one_of(at + ".type", type, {"Localhost", "RuntimeDefault", "Unconfined"});
  const json::Value* file = profile->find("localhostProfile");
  if (type == "Localhost") {
    if (file == nullptr)
      errors.required(at + ".localhostProfile", "must be set when seccomp type is Localhost");
    else
      validate_descending_path(profile->get_string("localhostProfile"), at + ".localhostProfile", errors);
  } else if (file != nullptr) {
    errors.invalid(at + ".localhostProfile", *profile, "can only be set when seccomp type is Localhost");
  }
}

void validate_app_armor(const json::Value& context, const std::string& path, FieldErrors& errors) {
  const json::Value* profile = object_at(context, "appArmorProfile");
  if (profile == nullptr) return;
  const std::string at = path + ".appArmorProfile";
  const std::string type = profile->get_string("type");
  const json::Value* file = profile->find("localhostProfile");
  if (type == "Localhost") {
    const std::string name = profile->get_string("localhostProfile");
    if (trim(name).empty() && trim(name).size() == name.size())
      errors.required(at + ".localhostProfile", "must be set when AppArmor type is Localhost");
    else if (trim(name).size() != name.size())
      errors.invalid(at + ".localhostProfile", name, "must not be padded with whitespace");
    if (name.size() > 4095) errors.too_long(at + ".localhostProfile", 4095);
  } else if (type == "RuntimeDefault" || type == "Unconfined") {
    if (file != nullptr)
      errors.invalid(at + ".localhostProfile", *file, "can only be set when AppArmor type is Localhost");
  } else if (type.empty()) {
    errors.required(at + ".type", "type is required when appArmorProfile is set");
  } else {
    errors.not_supported(at + ".type", type, {"Localhost", "RuntimeDefault", "Unconfined"});
  }
}

// Dots or slashes between segments of lower case letters, digits, '-' and '_'.
bool sysctl_name(const std::string& name) {
  if (name.empty() || name.size() > 253) return false;
  const auto edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  std::size_t start = 0;
  for (std::size_t i = 0; i <= name.size(); ++i) {
    if (i < name.size() && name[i] != '.' && name[i] != '/') {
      if (!edge(name[i]) && name[i] != '-' && name[i] != '_') return false;
      continue;
    }
    if (i == start || !edge(name[start]) || !edge(name[i - 1])) return false;
    start = i + 1;
  }
  return true;
}

void validate_sysctls(const json::Value& context, const json::Value& spec, const std::string& path,
                      FieldErrors& errors) {
  std::set<std::string> names;
  std::size_t index = 0;
  for (const json::Value& sysctl : list_at(context, "sysctls")) {
    const std::string at = indexed(path + ".sysctls", index++) + ".name";
    const std::string name = sysctl.get_string("name");
    if (name.empty()) {
      errors.required(at);
    } else if (!sysctl_name(name)) {
      errors.invalid(at, name,
                     "must have at most 253 characters and match regex "
                     "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
    } else if (names.count(name) != 0) {
      errors.duplicate(at, name);
    }
    if (true_at(spec, "hostNetwork") && name.rfind("net.", 0) == 0)
      errors.invalid(at, name, "may not be specified when 'hostNetwork' is true");
    const bool ipc = name.rfind("kernel.shm", 0) == 0 || name.rfind("kernel.msg", 0) == 0 ||
                     name == "kernel.sem" || name.rfind("fs.mqueue.", 0) == 0;
    if (true_at(spec, "hostIPC") && ipc)
      errors.invalid(at, name, "may not be specified when 'hostIPC' is true");
    names.insert(name);
  }
}

// Names that are there but not listed; empty ones included.
void known_value(const json::Value& context, const char* key, const std::string& path,
                 std::initializer_list<std::string_view> supported, FieldErrors& errors) {
  const json::Value* value = context.find(key);
  if (value == nullptr || !value->is_string()) return;
  for (const std::string_view word : supported) {
    if (word == value->as_string()) return;
  }
  errors.not_supported(path + "." + key, value->as_string(), supported);
}

}  // namespace

void validate_container_security(const json::Value& container, const std::string& path, bool host_users,
                                 FieldErrors& errors) {
  const json::Value* context = object_at(container, "securityContext");
  if (context == nullptr) return;
  const std::string at = path + ".securityContext";
  validate_id(*context, "runAsUser", at, errors);
  validate_id(*context, "runAsGroup", at, errors);
  known_value(*context, "procMount", at, {"Default", "Unmasked"}, errors);
  if (host_users && context->get_string("procMount") == "Unmasked")
    errors.invalid(at + ".procMount", "Unmasked", "`hostUsers` must be false to use `Unmasked`");
  validate_seccomp(*context, at, errors);
  const json::Value* escalation = context->find("allowPrivilegeEscalation");
  if (escalation != nullptr && *escalation == json::Value(false)) {
    if (true_at(*context, "privileged")) {
      errors.invalid(at, *context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    }
    const json::Value* capabilities = object_at(*context, "capabilities");
    if (capabilities != nullptr) {
      for (const json::Value& capability : list_at(*capabilities, "add")) {
        if (!(capability == json::Value("CAP_SYS_ADMIN"))) continue;
        errors.invalid(at, *context,
                       "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
      }
    }
  }
  validate_app_armor(*context, at, errors);
}

void validate_pod_security(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  const json::Value* context = object_at(spec, "securityContext");
  const std::string at = path + ".securityContext";
  if (context != nullptr) {
    for (const char* key : {"fsGroup", "runAsUser", "runAsGroup"}) validate_id(*context, key, at, errors);
    std::size_t index = 0;
    for (const json::Value& group : list_at(*context, "supplementalGroups")) {
      const std::string place = indexed(at + ".supplementalGroups", index++);
      if (group.type() == json::Type::kInt && (group.as_int() < 0 || group.as_int() > INT32_MAX))
        errors.invalid(place, group, "must be between 0 and 2147483647, inclusive");
    }
  }
  if (true_at(spec, "shareProcessNamespace") && true_at(spec, "hostPID")) {
    errors.invalid(at + ".shareProcessNamespace", true,
                   "ShareProcessNamespace and HostPID cannot both be enabled");
  }
  if (context == nullptr) return;
  validate_sysctls(*context, spec, at, errors);
  known_value(*context, "fsGroupChangePolicy", at, {"Always", "OnRootMismatch"}, errors);
  validate_seccomp(*context, at, errors);
  validate_app_armor(*context, at, errors);
  known_value(*context, "supplementalGroupsPolicy", at, {"Merge", "Strict"}, errors);
  known_value(*context, "seLinuxChangePolicy", at, {"MountOption", "Recursive"}, errors);
}

}  // namespace coxswain::api
