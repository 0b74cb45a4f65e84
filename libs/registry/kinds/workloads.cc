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

bool selects(const json::Value& selector, const json::Value& labels) {
  const json::Value* match = selector.find("matchLabels");
  if (match == nullptr || !match->is_object()) return true;
  for (const json::Member& label : match->as_object()) {
    const json::Value* value = labels.find(label.first);
    if (value == nullptr || !(*value == label.second)) return false;
  }
  return true;
}

void validate(const Context&, const json::Value& object, Causes& out) {
  const json::Value* spec = object.find("spec");
  if (spec == nullptr || !spec->is_object()) {
    out.push_back({"FieldValueRequired", "Required value", "spec"});
    return;
  }
  if (spec->get_int("replicas") < 0) {
    out.push_back({"FieldValueInvalid",
                   "Invalid value: " + std::to_string(spec->get_int("replicas")) +
                       ": must be greater than or equal to 0",
                   "spec.replicas"});
  }
  const json::Value* selector = spec->find("selector");
  const json::Value* labels = spec->find_path({"template", "metadata", "labels"});
  const json::Value empty = json::Value::object();
  if (selector == nullptr || !selector->is_object() ||
      (selector->find("matchLabels") == nullptr && selector->find("matchExpressions") == nullptr)) {
    out.push_back({"FieldValueRequired", "Required value", "spec.selector"});
  } else if (!selects(*selector, labels == nullptr ? empty : *labels)) {
    out.push_back({"FieldValueInvalid",
                   "Invalid value: " + json::write(labels == nullptr ? empty : *labels) +
                       ": `selector` does not match template `labels`",
                   "spec.template.metadata.labels"});
  }
  api::FieldErrors errors(out);
  if (selector != nullptr) api::validate_label_selector(*selector, "spec.selector", errors);
  for (const char* key : {"minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"}) {
    errors.non_negative(std::string("spec.") + key, spec->get_int(key));
  }
  const json::Value* pod_template = spec->find("template");
  api::validate_pod_template(pod_template == nullptr ? empty : *pod_template, "spec.template", errors);
  const json::Value* pod = spec->find_path({"template", "spec"});
  if (pod != nullptr && pod->get_string("restartPolicy", "Always") != "Always") {
    out.push_back(
        {"FieldValueNotSupported",
         "Unsupported value: \"" + pod->get_string("restartPolicy") + "\": supported values: \"Always\"",
         "spec.template.spec.restartPolicy"});
  }
}

void validate_update(const Context& context, const json::Value& old, const json::Value& object, Causes& out) {
  validate(context, object, out);
  const json::Value* before = old.find_path({"spec", "selector"});
  const json::Value* now = object.find_path({"spec", "selector"});
  if (before != nullptr && now != nullptr && !(*before == *now)) {
    out.push_back({"FieldValueInvalid", "Invalid value: " + json::write(*now) + ": field is immutable",
                   "spec.selector"});
  }
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
                                    .default_object = default_deployment,
                                    .prepare_create = prepare_create,
                                    .validate_create = validate,
                                    .validate_update = validate_update,
                                    .table_cell = deployment_cell};
  return strategy;
}

const Strategy& replica_set_strategy() {
  static const Strategy strategy = {.has_generation = true,
                                    .default_object = default_template,
                                    .prepare_create = prepare_create,
                                    .validate_create = validate,
                                    .validate_update = validate_update,
                                    .table_cell = replica_set_cell};
  return strategy;
}

}  // namespace coxswain::registry
