// Nodes, Namespaces and Leases.
#include <set>

#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

// The path is metadata's, as upstream has it.
void validate_taints(const json::Value& node, FieldErrors& errors) {
  const json::Value* spec = object_at(node, "spec");
  if (spec == nullptr) return;
  std::set<std::string> seen;
  std::size_t index = 0;
  for (const json::Value& taint : list_at(*spec, "taints")) {
    const std::string at = indexed("metadata.taints", index++);
    const std::string key = taint.get_string("key");
    const std::string value = taint.get_string("value");
    const std::string effect = taint.get_string("effect");
    errors.invalid_each(at + ".key", key, check_qualified_name(key));
    if (const NameErrors wrong = check_label_value(value); !wrong.empty())
      errors.invalid(at + ".value", value, join(wrong, ";"));
    validate_taint_effect(effect, false, at + ".effect", errors);
    if (!seen.insert(effect + "/" + key).second)
      errors.duplicate(at, taint, "taints must be unique by key and effect pair");
  }
}

void validate_amounts(const json::Value& node, FieldErrors& errors) {
  const json::Value* status = object_at(node, "status");
  if (status == nullptr) return;
  for (const char* part : {"capacity", "allocatable"}) {
    const json::Value* amounts = object_at(*status, part);
    if (amounts == nullptr) continue;
    for (const json::Member& amount : amounts->as_object()) {
      validate_quantity(amount.first, amount.second, std::string("status.") + part + "." + amount.first,
                        errors);
    }
  }
}

const json::Array& pod_cidrs(const json::Value& node) {
  static const json::Array none;
  const json::Value* spec = object_at(node, "spec");
  return spec == nullptr ? none : list_at(*spec, "podCIDRs");
}

}  // namespace

void validate_node(const json::Value& object, FieldErrors& errors) {
  validate_taints(object, errors);
  validate_amounts(object, errors);
  const json::Array& cidrs = pod_cidrs(object);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < cidrs.size(); ++i) {
    if (!cidrs[i].is_string()) continue;
    const std::string at = indexed("spec.podCIDRs", i);
    validate_cidr(cidrs[i].as_string(), at, errors);
    if (!seen.insert(cidrs[i].as_string()).second) errors.duplicate(at, cidrs[i]);
  }
  const auto v6 = [](const json::Value& cidr) {
    return cidr.is_string() && cidr.as_string().find(':') != std::string::npos;
  };
  if (cidrs.size() > 2 || (cidrs.size() == 2 && v6(cidrs[0]) == v6(cidrs[1])))
    errors.invalid("spec.podCIDRs", json::Value(cidrs),
                   "may specify no more than one CIDR for each IP family");
}

void validate_node_update(const json::Value& old, const json::Value& object, FieldErrors& errors) {
  validate_amounts(object, errors);
  const json::Value* status = object_at(object, "status");
  const json::Array& addresses =
      status == nullptr ? list_at(json::Value(), "") : list_at(*status, "addresses");
  std::set<std::string> seen;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (!seen.insert(addresses[i].get_string("type") + "/" + addresses[i].get_string("address")).second)
      errors.duplicate(indexed("status.addresses", i), addresses[i]);
  }
  const json::Array& before = pod_cidrs(old);
  if (!before.empty() && !(pod_cidrs(object) == before)) {
    errors.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
  }
  const std::string provider = old.get_string_path({"spec", "providerID"});
  if (!provider.empty() && provider != object.get_string_path({"spec", "providerID"}))
    errors.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid");
  validate_taints(object, errors);
}

void validate_namespace_finalizers(const json::Value& object, bool per_element, FieldErrors& errors) {
  const json::Value* spec = object_at(object, "spec");
  if (spec == nullptr) return;
  std::size_t index = 0;
  for (const json::Value& finalizer : list_at(*spec, "finalizers")) {
    const std::string at = per_element ? indexed("spec.finalizers", index++) : "spec.finalizers";
    if (finalizer.is_string()) validate_finalizer(finalizer.as_string(), at, at, errors);
  }
}

void validate_namespace_status(const json::Value& object, FieldErrors& errors) {
  const std::string phase = object.get_string_path({"status", "phase"});
  if (object.find_path({"metadata", "deletionTimestamp"}) == nullptr) {
    if (phase != "Active")
      errors.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty");
  } else if (phase != "Terminating") {
    errors.invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
  }
}

void validate_lease(const json::Value& object, FieldErrors& errors) {
  const json::Value* spec = object_at(object, "spec");
  if (spec == nullptr) return;
  const std::optional<std::int64_t> duration = int_at(*spec, "leaseDurationSeconds");
  if (duration && *duration <= 0)
    errors.invalid("spec.leaseDurationSeconds", static_cast<long>(*duration), "must be greater than 0");
  const std::optional<std::int64_t> transitions = int_at(*spec, "leaseTransitions");
  if (transitions && *transitions < 0) {
    errors.invalid("spec.leaseTransitions", static_cast<long>(*transitions),
                   "must be greater than or equal to 0");
  }
  const std::string strategy = spec->get_string("strategy");
  if (strategy.find('/') != std::string::npos)
    errors.invalid_each("spec.strategy.strategy", strategy, check_qualified_name(strategy));
  else if (spec->find("strategy") != nullptr && strategy != "OldestEmulationVersion")
    errors.not_supported("spec.strategy.strategy", strategy, {"OldestEmulationVersion"});
  if (!spec->get_string("preferredHolder").empty() && strategy.empty())
    errors.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined");
}

}  // namespace coxswain::api
