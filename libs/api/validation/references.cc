// References from a pod to its own fields, and the paths of files in volumes.
#include "libs/api/meta/quantity.h"
#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

using Words = std::initializer_list<std::string_view>;

// What the downward API knows at all; the uses below allow fewer.
constexpr std::string_view kKnownFields[] = {
    "metadata.annotations", "metadata.labels", "metadata.name",      "metadata.namespace",
    "metadata.uid",         "spec.nodeName",   "spec.restartPolicy", "spec.serviceAccountName",
    "spec.schedulerName",   "status.phase",    "status.hostIP",      "status.hostIPs",
    "status.podIP",         "status.podIPs"};

// `metadata.labels['x']` -> path and subscript; nothing when there is no subscript.
std::optional<std::pair<std::string, std::string>> split_subscript(const std::string& text) {
  if (text.size() < 4 || text.compare(text.size() - 2, 2, "']") != 0) return std::nullopt;
  const std::size_t open = text.find("['");
  if (open == std::string::npos || open == 0) return std::nullopt;
  return std::make_pair(text.substr(0, open), text.substr(open + 2, text.size() - open - 4));
}

bool known_field(const std::string& path) {
  for (const std::string_view field : kKnownFields) {
    if (field == path) return true;
  }
  return false;
}

bool has_word(Words words, std::string_view word) {
  for (const std::string_view item : words) {
    if (item == word) return true;
  }
  return false;
}

bool starts_with(const std::string& text, std::string_view prefix) { return text.rfind(prefix, 0) == 0; }

bool huge_pages(const std::string& resource) {
  return starts_with(resource, "limits.hugepages-") || starts_with(resource, "requests.hugepages-");
}

void validate_divisor(const std::string& resource, const json::Value& reference, const std::string& path,
                      FieldErrors& errors) {
  const json::Value* value = reference.find("divisor");
  if (value == nullptr) return;
  const auto quantity = Quantity::parse(value->is_string() ? value->as_string() : json::write(*value));
  if (!quantity.ok() || quantity->is_zero()) return;
  const std::string divisor = quantity->to_string();
  const std::string kind =
      resource.substr(resource.find('.') == std::string::npos ? 0 : resource.find('.') + 1);
  if (kind == "cpu") {
    if (divisor != "1m" && divisor != "1") {
      errors.invalid(path + ".divisor", resource,
                     "only divisor's values 1m and 1 are supported with the cpu resource");
    }
    return;
  }
  const char* name = kind == "memory"              ? "memory"
                     : kind == "ephemeral-storage" ? "local ephemeral storage"
                     : huge_pages(resource)        ? "hugepages"
                                                   : nullptr;
  if (name == nullptr) return;
  const Words sizes = {"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"};
  if (has_word(sizes, divisor)) return;
  errors.invalid(path + ".divisor", resource,
                 "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
                 "supported with the " +
                     std::string(name) + " resource");
}

}  // namespace

std::optional<std::int64_t> int_at(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  if (value == nullptr || value->type() != json::Type::kInt) return std::nullopt;
  return value->as_int();
}
const json::Value* object_at(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value != nullptr && value->is_object() ? value : nullptr;
}
bool true_at(const json::Value& object, std::string_view key) { return object.get_bool(key); }

void validate_field_ref(const json::Value& reference, FieldRefUse use, const std::string& path,
                        FieldErrors& errors) {
  const std::string version = reference.get_string("apiVersion");
  if (version.empty()) return errors.required(path + ".apiVersion");
  const std::string field = reference.get_string("fieldPath");
  if (field.empty()) return errors.required(path + ".fieldPath");
  const auto subscripted = split_subscript(field);
  const std::string base = subscripted ? subscripted->first : field;
  const auto bad = [&](const std::string& why) {
    errors.invalid(path + ".fieldPath", field, "error converting fieldPath: " + why);
  };
  if (version != "v1") return bad("unsupported pod version: " + version);
  const bool of_map = base == "metadata.annotations" || base == "metadata.labels";
  if (subscripted && !of_map) return bad("field label does not support subscript: " + field);
  if (!known_field(base)) return bad("field label not supported: " + field);
  if (subscripted) {
    const std::string& key = subscripted->second;
    errors.invalid_each(
        path, base == "metadata.annotations" ? to_lower(key) : key,
        base == "metadata.annotations" ? check_annotation_key(key) : check_qualified_name(key));
    return;
  }
  const Words in_env = {
      "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
      "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs"};
  const Words in_volume = {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
                           "metadata.uid"};
  const Words& allowed = use == FieldRefUse::kEnvironment ? in_env : in_volume;
  if (!has_word(allowed, base)) errors.not_supported(path + ".fieldPath", base, allowed);
}

void validate_resource_field_ref(const json::Value& reference, FieldRefUse use, const std::string& path,
                                 FieldErrors& errors) {
  const Words allowed = {"limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
                         "requests.cpu", "requests.ephemeral-storage", "requests.memory"};
  const std::string resource = reference.get_string("resource");
  if (use == FieldRefUse::kVolume && reference.get_string("containerName").empty())
    errors.required(path + ".containerName");
  else if (resource.empty())
    errors.required(path + ".resource");
  else if (!has_word(allowed, resource) && !huge_pages(resource))
    errors.not_supported(path + ".resource", resource, allowed);
  validate_divisor(resource, reference, path, errors);
}

void validate_no_backsteps(const std::string& target, const std::string& path, FieldErrors& errors) {
  for (const std::string& part : split(target, '/')) {
    if (part == "..") return errors.invalid(path, target, "must not contain '..'");
  }
}

void validate_descending_path(const std::string& target, const std::string& path, FieldErrors& errors) {
  if (!target.empty() && target.front() == '/') errors.invalid(path, target, "must be a relative path");
  validate_no_backsteps(target, path, errors);
}

void validate_non_reserved_path(const std::string& target, const std::string& path, FieldErrors& errors) {
  validate_descending_path(target, path, errors);
  if (starts_with(target, "..") && !starts_with(target, "../") && target != "..")
    errors.invalid(path, target, "must not start with '..'");
}

}  // namespace coxswain::api
