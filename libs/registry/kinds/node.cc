// Nodes.
#include <set>

#include "libs/api/validation/validation.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {
namespace {

std::string address(const json::Value& object, const char* type) {
  const json::Value* addresses = object.find_path({"status", "addresses"});
  if (addresses != nullptr && addresses->is_array()) {
    for (const json::Value& item : addresses->as_array()) {
      if (item.get_string("type") == type) return item.get_string("address");
    }
  }
  return "<none>";
}

std::string status_text(const json::Value& object) {
  std::string text = "Unknown";
  const json::Value* conditions = object.find_path({"status", "conditions"});
  if (conditions != nullptr && conditions->is_array()) {
    for (const json::Value& condition : conditions->as_array()) {
      if (condition.get_string("type") != "Ready") continue;
      text = condition.get_string("status") == "True" ? "Ready" : "NotReady";
    }
  }
  const json::Value* spec = object.find("spec");
  if (spec != nullptr && spec->get_bool("unschedulable")) text += ",SchedulingDisabled";
  return text;
}

std::string roles(const json::Value& object) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  const json::Value* labels = object.find_path({"metadata", "labels"});
  if (labels != nullptr && labels->is_object()) {
    for (const json::Member& label : labels->as_object()) {
      if (label.first.rfind(kPrefix, 0) == 0 && label.first.size() > kPrefix.size())
        roles.insert(label.first.substr(kPrefix.size()));
      if (label.first == "kubernetes.io/role" && label.second.is_string() &&
          !label.second.as_string().empty())
        roles.insert(label.second.as_string());
    }
  }
  std::string text;
  for (const std::string& role : roles) text += (text.empty() ? "" : ",") + role;
  return text.empty() ? "<none>" : text;
}

json::Value table_cell(const json::Value& object, std::string_view column, std::int64_t) {
  const auto info = [&](const char* key) -> json::Value {
    const std::string value = object.get_string_path({"status", "nodeInfo", key});
    return value.empty() ? "<unknown>" : value;
  };
  if (column == "Status") return status_text(object);
  if (column == "Roles") return roles(object);
  if (column == "Internal-IP") return address(object, "InternalIP");
  if (column == "External-IP") return address(object, "ExternalIP");
  if (column == "OS-Image") return info("osImage");
  if (column == "Kernel-Version") return info("kernelVersion");
  if (column == "Container-Runtime") return info("containerRuntimeVersion");
  return nullptr;
}

void selectable_fields(const json::Value& object, FieldValues& out) {
  const json::Value* spec = object.find("spec");
  out.emplace_back("spec.unschedulable",
                   spec != nullptr && spec->get_bool("unschedulable") ? "true" : "false");
}

// podCIDR and the first of podCIDRs are one thing, by two names.
void default_object(json::Value& object) {
  json::Value* spec = object.find("spec");
  if (spec == nullptr || !spec->is_object()) return;
  const std::string cidr = spec->get_string("podCIDR");
  const json::Value* list = spec->find("podCIDRs");
  const bool empty = list == nullptr || !list->is_array() || list->as_array().empty();
  if (!cidr.empty() && empty)
    spec->set("podCIDRs", json::Value::array({cidr}));
  else if (cidr.empty() && !empty && list->as_array()[0].is_string())
    spec->set("podCIDR", std::string(list->as_array()[0].as_string()));
}

void validate_create(const Context&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_node(object, errors);
}

void validate_update(const Context&, const json::Value& old, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_node_update(old, object, errors);
}

}  // namespace

const Strategy& node_strategy() {
  static const Strategy strategy = {.default_object = default_object,
                                    .validate_create = validate_create,
                                    .validate_update = validate_update,
                                    .validate_status_update = validate_update,
                                    .selectable_fields = selectable_fields,
                                    .table_cell = table_cell};
  return strategy;
}

}  // namespace coxswain::registry
