// ConfigMaps, Secrets, Leases, ServiceAccounts, Endpoints and EndpointSlices: data with few rules.
#include <map>

#include "libs/api/validation/validation.h"
#include "libs/common/base/strings.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {
namespace {

std::int64_t size_of(const json::Value& object, const char* key) {
  const json::Value* members = object.find(key);
  return members != nullptr && members->is_object() ? static_cast<std::int64_t>(members->as_object().size())
                                                    : 0;
}

// A kind whose rules look at the object alone, and at both for updates.
using Rules = void (*)(const json::Value& object, api::FieldErrors& errors);

template <Rules kRules>
void validate(const Context&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  kRules(object, errors);
}

template <Rules kRules>
void validate_data_update(const Context&, const json::Value& old, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_data_update(old, object, errors);
  kRules(object, errors);
}

void validate_slice(const Context&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_endpoint_slice(nullptr, object, errors);
}

void validate_slice_update(const Context&, const json::Value& old, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_endpoint_slice(&old, object, errors);
}

// Ports are TCP unless they say otherwise, and have a name, be it empty.
void default_slice(json::Value& object) {
  json::Value* ports = object.find("ports");
  if (ports == nullptr || !ports->is_array()) return;
  for (json::Value& port : ports->as_array()) {
    if (!port.is_object()) continue;
    if (port.find("name") == nullptr) port.set("name", "");
    if (port.get_string("protocol").empty()) port.set("protocol", "TCP");
  }
}

void default_endpoints(json::Value& object) {
  json::Value* subsets = object.find("subsets");
  if (subsets == nullptr || !subsets->is_array()) return;
  for (json::Value& subset : subsets->as_array()) {
    json::Value* ports = subset.find("ports");
    if (ports == nullptr || !ports->is_array()) continue;
    for (json::Value& port : ports->as_array()) {
      if (port.is_object() && port.get_string("protocol").empty()) port.set("protocol", "TCP");
    }
  }
}

void validate_revision_update(const Context&, const json::Value& old, const json::Value& object,
                              Causes& out) {
  api::FieldErrors errors(out);
  api::validate_controller_revision(object, errors);
  errors.immutable("data", old.find("data"), object.find("data"));
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
    json::Value& data = object["data"];
    if (!data.is_object()) data = json::Value::object();
    std::map<std::string, json::Value*> places;  // an object's own look-up is linear
    for (json::Member& member : data.as_object()) places.emplace(member.first, &member.second);
    std::vector<json::Member> fresh;
    for (const json::Member& member : copy.as_object()) {
      if (!member.second.is_string()) continue;
      const auto known = places.find(member.first);
      if (known != places.end())
        *known->second = base64_encode(member.second.as_string());
      else
        fresh.push_back({member.first, base64_encode(member.second.as_string())});
    }
    // After the last use of `places`: appending moves members.
    for (json::Member& member : fresh)
      data.as_object().append(std::move(member.first), std::move(member.second));
  }
  object.erase("stringData");
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

std::string first_few(const std::vector<std::string>& items, const char* none) {
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < 3; ++i) text += (i == 0 ? "" : ",") + items[i];
  if (items.size() > 3) return text + " + " + std::to_string(items.size() - 3) + " more...";
  return text.empty() ? none : text;
}

std::string host_port(const std::string& ip, std::int64_t port) {
  const bool v6 = ip.find(':') != std::string::npos;
  return (v6 ? "[" + ip + "]" : ip) + ":" + std::to_string(port);
}

json::Value endpoints_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column != "Endpoints") return nullptr;
  std::vector<std::string> items;
  for (const json::Value& subset : api::list_at(object, "subsets")) {
    const json::Array& addresses = api::list_at(subset, "addresses");
    const json::Array& ports = api::list_at(subset, "ports");
    if (ports.empty()) {  // a headless Service
      for (const json::Value& address : addresses) items.push_back(address.get_string("ip"));
    }
    for (const json::Value& port : ports) {
      for (const json::Value& address : addresses)
        items.push_back(host_port(address.get_string("ip"), port.get_int("port")));
    }
  }
  return first_few(items, "<none>");
}

json::Value slice_cell(const json::Value& object, std::string_view column, std::int64_t) {
  std::vector<std::string> items;
  if (column == "Ports") {
    for (const json::Value& port : api::list_at(object, "ports")) {
      const bool numbered = port.find("port") != nullptr;
      const bool named = port.find("name") != nullptr;
      items.push_back(numbered ? std::to_string(port.get_int("port"))
                               : (named ? port.get_string("name") : "*"));
    }
    return first_few(items, "<unset>");
  }
  if (column != "Endpoints") return nullptr;
  for (const json::Value& endpoint : api::list_at(object, "endpoints")) {
    for (const json::Value& address : api::list_at(endpoint, "addresses"))
      items.push_back(address.is_string() ? address.as_string() : "");
  }
  return first_few(items, "<unset>");
}

json::Value revision_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column == "Revision") return object.get_int("revision");
  if (column != "Controller") return nullptr;
  const json::Value* owners = object.find_path({"metadata", "ownerReferences"});
  if (owners != nullptr && owners->is_array()) {
    for (const json::Value& owner : owners->as_array()) {
      if (!owner.get_bool("controller")) continue;
      const std::string version = owner.get_string("apiVersion");
      const std::size_t slash = version.find('/');
      const std::string group = slash == std::string::npos ? "" : "." + version.substr(0, slash);
      return to_lower(owner.get_string("kind") + group) + "/" + owner.get_string("name");
    }
  }
  return "<none>";
}

}  // namespace

const Strategy& config_map_strategy() {
  static const Strategy strategy = {.validate_create = validate<api::validate_config_map>,
                                    .validate_update = validate_data_update<api::validate_config_map>,
                                    .table_cell = config_map_cell};
  return strategy;
}
const Strategy& secret_strategy() {
  static const Strategy strategy = {.default_object = default_secret,
                                    .validate_create = validate<api::validate_secret>,
                                    .validate_update = validate_data_update<api::validate_secret>,
                                    .table_cell = secret_cell};
  return strategy;
}
const Strategy& lease_strategy() {
  static const Strategy strategy = {.allow_create_on_update = true,
                                    .allow_unconditional_update = false,
                                    .validate_create = validate<api::validate_lease>,
                                    .table_cell = lease_cell};
  return strategy;
}
const Strategy& service_account_strategy() {
  static const Strategy strategy = {.table_cell = service_account_cell};
  return strategy;
}
const Strategy& endpoints_strategy() {
  static const Strategy strategy = {.allow_create_on_update = true,
                                    .default_object = default_endpoints,
                                    .validate_create = validate<api::validate_endpoints>,
                                    .table_cell = endpoints_cell};
  return strategy;
}
const Strategy& endpoint_slice_strategy() {
  static const Strategy strategy = {.has_generation = true,
                                    .default_object = default_slice,
                                    .validate_create = validate_slice,
                                    .validate_update = validate_slice_update,
                                    .table_cell = slice_cell};
  return strategy;
}
const Strategy& controller_revision_strategy() {
  static const Strategy strategy = {.validate_create = validate<api::validate_controller_revision>,
                                    .validate_update = validate_revision_update,
                                    .table_cell = revision_cell};
  return strategy;
}

}  // namespace coxswain::registry
