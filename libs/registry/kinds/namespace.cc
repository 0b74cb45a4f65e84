// Namespaces: phase, and the finalizer that the namespace controller takes off when all is gone.
#include "libs/api/validation/validation.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {
namespace {

void prepare_create(const Context&, json::Value& object) {
  object.set("status", json::Value::object({{"phase", "Active"}}));
  json::Value& finalizers = object["spec"]["finalizers"];
  if (!finalizers.is_array()) finalizers = json::Value::array();
  for (const json::Value& finalizer : finalizers.as_array()) {
    if (finalizer == json::Value("kubernetes")) return;
  }
  finalizers.push_back("kubernetes");
}

void default_object(json::Value& object) {
  const std::string name = object.get_string_path({"metadata", "name"});
  if (!name.empty()) object["metadata"]["labels"].set("kubernetes.io/metadata.name", name);
}

void prepare_update(const Context&, const json::Value& old, json::Value& object) {
  // spec.finalizers change through the finalize subresource only.
  if (const json::Value* spec = old.find("spec")) object.set("spec", *spec);
}

void on_terminating(const Context&, json::Value& object) { object["status"].set("phase", "Terminating"); }

// What the cluster cannot be without.
const char* forbids_deletion(const json::Value& object) {
  const std::string name = object.get_string_path({"metadata", "name"});
  const bool immortal = name == "default" || name == "kube-system" || name == "kube-public";
  return immortal ? "this namespace may not be deleted" : nullptr;
}

bool may_be_removed(const json::Value& object) {
  const json::Value* finalizers = object.find_path({"spec", "finalizers"});
  return finalizers == nullptr || !finalizers->is_array() || finalizers->as_array().empty();
}

void validate_create(const Context&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_namespace_finalizers(object, false, errors);
}

void validate_update(const Context&, const json::Value&, const json::Value&, Causes&) {
}  // nothing may change

void validate_status(const Context&, const json::Value&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_namespace_status(object, errors);
}

}  // namespace

const Strategy& namespace_strategy() {
  static const Strategy strategy = {.name_rule = NameRule::kDnsLabel,
                                    .default_object = default_object,
                                    .prepare_create = prepare_create,
                                    .validate_create = validate_create,
                                    .prepare_update = prepare_update,
                                    .validate_update = validate_update,
                                    .validate_status_update = validate_status,
                                    .forbids_deletion = forbids_deletion,
                                    .on_terminating = on_terminating,
                                    .may_be_removed = may_be_removed};
  return strategy;
}

}  // namespace coxswain::registry
