// ConfigMaps and Secrets.
#include <unordered_set>

#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

constexpr std::size_t kMaxDataBytes = 1024 * 1024;
constexpr const char* kHidden = "<secret contents redacted>";

// Sizes are those of the decoded bytes: four characters of base64 are three bytes, less the padding.
std::size_t decoded_size(const std::string& text) {
  std::size_t size = text.size() / 4 * 3;
  for (std::size_t i = text.size(); i > 0 && text[i - 1] == '=' && size > 0; --i) --size;
  return size;
}

void validate_keys(const json::Value* data, const std::string& path, FieldErrors& errors) {
  if (data == nullptr) return;
  for (const json::Member& member : data->as_object())
    errors.invalid_each(keyed(path, member.first), member.first, check_config_map_key(member.first));
}

bool has_key(const json::Value* data, const char* key) {
  return data != nullptr && data->find(key) != nullptr;
}

void require_key(const json::Value* data, const char* key, FieldErrors& errors) {
  if (!has_key(data, key)) errors.required(keyed("data", key));
}

// A member that must hold a JSON object.
void require_json(const json::Value* data, const char* key, FieldErrors& errors) {
  if (!has_key(data, key)) return errors.required(keyed("data", key));
  const std::optional<std::string> text = base64_decode(data->get_string(key));
  if (!text) return;  // said already
  const Result<json::Value> parsed = json::parse(*text);
  if (!parsed.ok())
    errors.invalid(keyed("data", key), kHidden, parsed.error().message);
  else if (!parsed->is_object())
    errors.invalid(keyed("data", key), kHidden, "must be a JSON object");
}

void validate_type(const json::Value& object, const json::Value* data, FieldErrors& errors) {
  const std::string type = object.get_string("type");
  if (type == "kubernetes.io/service-account-token") {
    const char* key = "kubernetes.io/service-account.name";
    if (object.get_string_path({"metadata", "annotations", key}).empty())
      errors.required(keyed("metadata.annotations", key));
  } else if (type == "kubernetes.io/dockercfg") {
    require_json(data, ".dockercfg", errors);
  } else if (type == "kubernetes.io/dockerconfigjson") {
    require_json(data, ".dockerconfigjson", errors);
  } else if (type == "kubernetes.io/basic-auth") {
    if (has_key(data, "username") || has_key(data, "password")) return;
    require_key(data, "username", errors);
    require_key(data, "password", errors);
  } else if (type == "kubernetes.io/ssh-auth") {
    if (data == nullptr || data->get_string("ssh-privatekey").empty())
      errors.required(keyed("data", "ssh-privatekey"));
  } else if (type == "kubernetes.io/tls") {
    require_key(data, "tls.crt", errors);
    require_key(data, "tls.key", errors);
  }
}

bool same_member(const json::Value& old, const json::Value& object, const char* key) {
  static const json::Value empty = json::Value::object();
  const json::Value* before = old.find(key);
  const json::Value* now = object.find(key);
  return (before == nullptr ? empty : *before) == (now == nullptr ? empty : *now);
}

}  // namespace

void validate_config_map(const json::Value& object, FieldErrors& errors) {
  const json::Value* data = object_at(object, "data");
  const json::Value* binary = object_at(object, "binaryData");
  validate_keys(data, "data", errors);
  std::size_t bytes = 0;
  std::unordered_set<std::string_view> binary_keys;  // an object's own look-up is linear
  if (binary != nullptr) {
    for (const json::Member& member : binary->as_object()) binary_keys.insert(member.first);
  }
  if (data != nullptr) {
    for (const json::Member& member : data->as_object()) {
      if (binary_keys.count(member.first) != 0) {
        errors.invalid(keyed("data", member.first), member.first, "duplicate of key present in binaryData");
      }
      bytes += member.second.is_string() ? member.second.as_string().size() : 0;
    }
  }
  validate_keys(binary, "binaryData", errors);
  if (binary != nullptr) {
    for (const json::Member& member : binary->as_object())
      bytes += member.second.is_string() ? decoded_size(member.second.as_string()) : 0;
  }
  if (bytes > kMaxDataBytes) errors.too_long("", kMaxDataBytes);
}

void validate_secret(const json::Value& object, FieldErrors& errors) {
  const json::Value* data = object_at(object, "data");
  validate_keys(data, "data", errors);
  std::size_t bytes = 0;
  if (data != nullptr) {
    for (const json::Member& member : data->as_object())
      bytes += member.second.is_string() ? decoded_size(member.second.as_string()) : 0;
  }
  if (bytes > kMaxDataBytes) errors.too_long("data", kMaxDataBytes);
  validate_type(object, data, errors);
}

void validate_data_update(const json::Value& old, const json::Value& object, FieldErrors& errors) {
  if (object.get_string("kind") == "Secret" || old.find("type") != nullptr)
    errors.immutable("type", old.find("type"), object.find("type"));
  if (!old.get_bool("immutable")) return;
  constexpr const char* kWhy = "field is immutable when `immutable` is set";
  if (!object.get_bool("immutable")) errors.forbidden("immutable", kWhy);
  for (const char* key : {"data", "binaryData"}) {
    if (!same_member(old, object, key)) errors.forbidden(key, kWhy);
  }
}

}  // namespace coxswain::api
