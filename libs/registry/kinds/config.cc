// ConfigMaps, Secrets, Leases, ServiceAccounts, Endpoints and EndpointSlices: data with few rules.
#include "libs/common/base/strings.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {
namespace {

std::int64_t size_of(const json::Value& object, const char* key) {
  const json::Value* members = object.find(key);
  return members != nullptr && members->is_object() ? static_cast<std::int64_t>(members->as_object().size())
                                                    : 0;
}

void validate_keys(const json::Value& object, const char* key, Causes& out) {
  const json::Value* members = object.find(key);
  if (members == nullptr || !members->is_object()) return;
  for (const json::Member& member : members->as_object()) {
    bool ok =
        !member.first.empty() && member.first.size() <= 253 && member.first != "." && member.first != "..";
    for (const char c : member.first) {
      ok = ok && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                  c == '_' || c == '.');
    }
    if (ok) continue;
    out.push_back({"FieldValueInvalid",
                   "Invalid value: \"" + member.first +
                       "\": a valid config key must consist of alphanumeric characters, "
                       "'-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for "
                       "validation is '[-._a-zA-Z0-9]+')",
                   std::string(key) + "[" + member.first + "]"});
  }
}

void validate_config_map(const Context&, const json::Value& object, Causes& out) {
  validate_keys(object, "data", out);
  validate_keys(object, "binaryData", out);
}

void refuse_change_of_immutable(const json::Value& old, const json::Value& object, Causes& out) {
  if (!old.get_bool("immutable")) return;
  const json::Value null;
  const auto part = [&](const json::Value& from, const char* key) {
    return from.find(key) == nullptr ? null : *from.find(key);
  };
  for (const char* key : {"immutable", "data", "binaryData"}) {
    if (part(old, key) == part(object, key)) continue;
    out.push_back({"FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", key});
  }
}

void update_config_map(const Context& context, const json::Value& old, const json::Value& object,
                       Causes& out) {
  validate_config_map(context, object, out);
  refuse_change_of_immutable(old, object, out);
}

json::Value config_map_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column == "Data") return size_of(object, "data") + size_of(object, "binaryData");
  return nullptr;
}

// stringData is write-only: it lands in data, encoded.
void default_secret(json::Value& object) {
  if (object.get_string("type").empty()) object.set("type", "Opaque");
  const json::Value* text = object.find("stringData");
  if (text == nullptr) return;
  const json::Value copy = *text;
  if (copy.is_object()) {
    for (const json::Member& member : copy.as_object()) {
      if (member.second.is_string())
        object["data"].set(member.first, base64_encode(member.second.as_string()));
    }
  }
  object.erase("stringData");
}

void validate_secret(const Context&, const json::Value& object, Causes& out) {
  validate_keys(object, "data", out);
  const json::Value* data = object.find("data");
  if (data == nullptr || !data->is_object()) return;
  for (const json::Member& member : data->as_object()) {
    if (member.second.is_string() && base64_decode(member.second.as_string())) continue;
    out.push_back({"FieldValueInvalid", "Invalid value: \"<secret contents redacted>\": must be base64",
                   "data[" + member.first + "]"});
  }
}

void update_secret(const Context& context, const json::Value& old, const json::Value& object, Causes& out) {
  validate_secret(context, object, out);
  if (old.get_string("type") != object.get_string("type")) {
    out.push_back({"FieldValueInvalid",
                   "Invalid value: \"" + object.get_string("type") + "\": field is immutable", "type"});
  }
  refuse_change_of_immutable(old, object, out);
}

json::Value secret_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column == "Data") return size_of(object, "data");
  return nullptr;
}

json::Value lease_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column == "Holder") return object.get_string_path({"spec", "holderIdentity"});
  return nullptr;
}

json::Value service_account_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column != "Secrets") return nullptr;
  const json::Value* secrets = object.find("secrets");
  return secrets != nullptr && secrets->is_array() ? static_cast<std::int64_t>(secrets->as_array().size())
                                                   : 0;
}

std::string first_few(const std::vector<std::string>& items) {
  if (items.empty()) return "<none>";
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < 3; ++i) text += (i == 0 ? "" : ",") + items[i];
  if (items.size() > 3) text += " + " + std::to_string(items.size() - 3) + " more...";
  return text;
}

json::Value endpoints_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column != "Endpoints") return nullptr;
  std::vector<std::string> items;
  const json::Value* subsets = object.find("subsets");
  if (subsets == nullptr || !subsets->is_array()) return "<none>";
  for (const json::Value& subset : subsets->as_array()) {
    const json::Value* addresses = subset.find("addresses");
    const json::Value* ports = subset.find("ports");
    if (addresses == nullptr || !addresses->is_array()) continue;
    for (const json::Value& address : addresses->as_array()) {
      if (ports == nullptr || !ports->is_array() || ports->as_array().empty()) {
        items.push_back(address.get_string("ip"));
        continue;
      }
      for (const json::Value& port : ports->as_array()) {
        items.push_back(address.get_string("ip") + ":" + std::to_string(port.get_int("port")));
      }
    }
  }
  return first_few(items);
}

json::Value slice_cell(const json::Value& object, std::string_view column, std::int64_t) {
  std::vector<std::string> items;
  const bool ports = column == "Ports";
  if (!ports && column != "Endpoints") return nullptr;
  const json::Value* list = object.find(ports ? "ports" : "endpoints");
  if (list == nullptr || !list->is_array()) return ports ? "<unset>" : "<unset>";
  for (const json::Value& item : list->as_array()) {
    if (ports) {
      items.push_back(item.find("port") == nullptr ? "*" : std::to_string(item.get_int("port")));
      continue;
    }
    const json::Value* addresses = item.find("addresses");
    if (addresses == nullptr || !addresses->is_array()) continue;
    for (const json::Value& address : addresses->as_array())
      items.push_back(address.is_string() ? address.as_string() : "");
  }
  return items.empty() ? "<unset>" : first_few(items);
}

json::Value revision_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column == "Revision") return object.get_int("revision");
  if (column != "Controller") return nullptr;
  const json::Value* owners = object.find_path({"metadata", "ownerReferences"});
  if (owners != nullptr && owners->is_array()) {
    for (const json::Value& owner : owners->as_array()) {
      if (owner.get_bool("controller"))
        return to_lower(owner.get_string("kind")) + "/" + owner.get_string("name");
    }
  }
  return "<none>";
}

}  // namespace

const Strategy& config_map_strategy() {
  static const Strategy strategy = {.validate_create = validate_config_map,
                                    .validate_update = update_config_map,
                                    .table_cell = config_map_cell};
  return strategy;
}
const Strategy& secret_strategy() {
  static const Strategy strategy = {.default_object = default_secret,
                                    .validate_create = validate_secret,
                                    .validate_update = update_secret,
                                    .table_cell = secret_cell};
  return strategy;
}
const Strategy& lease_strategy() {
  static const Strategy strategy = {
      .allow_create_on_update = true, .allow_unconditional_update = false, .table_cell = lease_cell};
  return strategy;
}
const Strategy& service_account_strategy() {
  static const Strategy strategy = {.table_cell = service_account_cell};
  return strategy;
}
const Strategy& endpoints_strategy() {
  static const Strategy strategy = {.allow_create_on_update = true, .table_cell = endpoints_cell};
  return strategy;
}
const Strategy& endpoint_slice_strategy() {
  static const Strategy strategy = {.has_generation = true, .table_cell = slice_cell};
  return strategy;
}
const Strategy& controller_revision_strategy() {
  static const Strategy strategy = {.table_cell = revision_cell};
  return strategy;
}

}  // namespace coxswain::registry
