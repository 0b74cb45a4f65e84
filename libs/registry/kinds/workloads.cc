// Deployments and ReplicaSets: the kinds that carry a pod template and a replica count.
#include "libs/api/validation/validation.h"
#include "libs/registry/kinds/pod_template.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {
namespace {

void default_template(json::Value& object) {
  json::Value& spec = object["spec"];
  if (!spec.is_object()) return;
  if (spec.find("replicas") == nullptr) spec.set("replicas", 1);
  if (json::Value* pod = spec.find_path({"template", "spec"})) default_pod_spec(*pod);
}

void default_deployment(json::Value& object) {
  default_template(object);
  json::Value& spec = object["spec"];
  if (!spec.is_object()) return;
  if (spec.find("revisionHistoryLimit") == nullptr) spec.set("revisionHistoryLimit", 10);
  if (spec.find("progressDeadlineSeconds") == nullptr) spec.set("progressDeadlineSeconds", 600);
  json::Value& strategy = spec["strategy"];
  if (strategy.is_null()) strategy = json::Value::object();
  if (!strategy.is_object()) return;
  if (strategy.get_string("type").empty()) strategy.set("type", "RollingUpdate");
  if (strategy.get_string("type") != "RollingUpdate") return;
  json::Value& rolling = strategy["rollingUpdate"];
  if (rolling.is_null()) rolling = json::Value::object();
  if (!rolling.is_object()) return;
  if (rolling.find("maxUnavailable") == nullptr) rolling.set("maxUnavailable", "25%");
  if (rolling.find("maxSurge") == nullptr) rolling.set("maxSurge", "25%");
}

void prepare_create(const Context&, json::Value& object) { object.set("status", json::Value::object()); }

using Rules = void (*)(const json::Value& object, api::FieldErrors& errors);

template <Rules kRules>
void validate(const Context& context, const json::Value& object, Causes& out) {
  warn_of_pod_spec(context, object.find_path({"spec", "template", "spec"}), "spec.template.spec");
  api::FieldErrors errors(out);
  kRules(object, errors);
}

template <Rules kRules>
void validate_update(const Context& context, const json::Value& old, const json::Value& object, Causes& out) {
  static const json::Value none;
  const json::Value* before = old.find_path({"spec", "template"});
  const json::Value* now = object.find_path({"spec", "template"});
  // Said once, when it is written: not at every later change of scale.
  if (!((before == nullptr ? none : *before) == (now == nullptr ? none : *now)))
    warn_of_pod_spec(context, object.find_path({"spec", "template", "spec"}), "spec.template.spec");
  api::FieldErrors errors(out);
  kRules(object, errors);
  errors.immutable("spec.selector", old.find_path({"spec", "selector"}),
                   object.find_path({"spec", "selector"}));
}

void validate_status(const Context&, const json::Value& old, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_workload_status(old, object, errors);
}

std::int64_t number(const json::Value& object, const char* section, const char* key) {
  const json::Value* part = object.find(section);
  return part == nullptr ? 0 : part->get_int(key);
}

json::Value common_cell(const json::Value& object, std::string_view column) {
  if (column == "Containers") return container_list(object.find_path({"spec", "template", "spec"}), "name");
  if (column == "Images") return container_list(object.find_path({"spec", "template", "spec"}), "image");
  if (column == "Selector") return selector_cell(object.find_path({"spec", "selector"}));
  return nullptr;
}

json::Value deployment_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column == "Ready") {
    return std::to_string(number(object, "status", "readyReplicas")) + "/" +
           std::to_string(number(object, "spec", "replicas"));
  }
  if (column == "Up-to-date") return number(object, "status", "updatedReplicas");
  if (column == "Available") return number(object, "status", "availableReplicas");
  return common_cell(object, column);
}

json::Value replica_set_cell(const json::Value& object, std::string_view column, std::int64_t) {
  if (column == "Desired") return number(object, "spec", "replicas");
  if (column == "Current") return number(object, "status", "replicas");
  if (column == "Ready") return number(object, "status", "readyReplicas");
  return common_cell(object, column);
}

}  // namespace

const Strategy& deployment_strategy() {
  static const Strategy strategy = {.has_generation = true,
                                    .generation_of_annotations = true,
                                    .default_object = default_deployment,
                                    .prepare_create = prepare_create,
                                    .validate_create = validate<api::validate_deployment>,
                                    .validate_update = validate_update<api::validate_deployment>,
                                    .validate_status_update = validate_status,
                                    .table_cell = deployment_cell};
  return strategy;
}

const Strategy& replica_set_strategy() {
  static const Strategy strategy = {.has_generation = true,
                                    .default_object = default_template,
                                    .prepare_create = prepare_create,
                                    .validate_create = validate<api::validate_replica_set>,
                                    .validate_update = validate_update<api::validate_replica_set>,
                                    .validate_status_update = validate_status,
                                    .table_cell = replica_set_cell};
  return strategy;
}

}  // namespace coxswain::registry
