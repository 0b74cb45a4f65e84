// Deployments, ReplicaSets and ControllerRevisions.
#include "libs/api/meta/int_or_string.h"
#include "libs/api/meta/selector.h"
#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

const json::Value& spec_of(const json::Value& object) {
  static const json::Value empty = json::Value::object();
  const json::Value* spec = object_at(object, "spec");
  return spec == nullptr ? empty : *spec;
}

// True when there is a selector that can be matched.
bool validate_selector(const json::Value& spec, FieldErrors& errors) {
  const json::Value* selector = object_at(spec, "selector");
  if (selector == nullptr) {
    errors.required("spec.selector");
    return false;
  }
  validate_label_selector(*selector, "spec.selector", errors);
  const json::Value* labels = object_at(*selector, "matchLabels");
  const bool empty =
      (labels == nullptr || labels->as_object().empty()) && list_at(*selector, "matchExpressions").empty();
  if (empty) errors.invalid("spec.selector", *selector, "empty selector is invalid for deployment");
  return !empty;
}

void validate_template(const json::Value& spec, bool selectable, FieldErrors& errors) {
  static const json::Value empty = json::Value::object();
  const std::string path = "spec.template";
  const json::Value* found = object_at(spec, "template");
  const json::Value& pod = found == nullptr ? empty : *found;
  if (selectable) {
    const json::Value* labels = pod.find_path({"metadata", "labels"});
    const Result<LabelSelector> selector = LabelSelector::from_json(*spec.find("selector"));
    if (!selector.ok())
      errors.invalid("spec.selector", *spec.find("selector"), "invalid label selector");
    else if (!selector->matches(labels)) {
      errors.invalid(path + ".metadata.labels", labels == nullptr ? empty : *labels,
                     "`selector` does not match template `labels`");
    }
  }
  validate_pod_template(pod, path, errors);
  const json::Value& pod_spec = spec_of(pod);
  const std::string restart = pod_spec.get_string("restartPolicy");
  if (restart != "Always") errors.not_supported(path + ".spec.restartPolicy", restart, {"Always"});
  if (pod_spec.find("activeDeadlineSeconds") != nullptr) {
    errors.forbidden(path + ".spec.activeDeadlineSeconds",
                     "activeDeadlineSeconds in ReplicaSet is not Supported");
  }
}

void validate_int_or_percent(const json::Value* value, const std::string& path, FieldErrors& errors) {
  if (value == nullptr) return;
  if (value->type() == json::Type::kInt) return errors.non_negative(path, value->as_int());
  if (value->is_string() && !is_percent(value->as_string())) {
    errors.invalid(path, *value,
                   "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  "
                   "or '93%', regex used for validation is '[0-9]+%')");
  }
}

// The number itself, or that of the percentage; what is neither counts as 0, as upstream.
std::int64_t magnitude(const json::Value* value) {
  if (value == nullptr) return 0;
  if (value->type() == json::Type::kInt) return value->as_int();
  return value->is_string() && is_percent(value->as_string()) ? scaled_value(*value, 100, false).value_or(0)
                                                              : 0;
}

void validate_rolling(const json::Value& rolling, const std::string& path, FieldErrors& errors) {
  const json::Value* unavailable = rolling.find("maxUnavailable");
  const json::Value* surge = rolling.find("maxSurge");
  validate_int_or_percent(unavailable, path + ".maxUnavailable", errors);
  validate_int_or_percent(surge, path + ".maxSurge", errors);
  const json::Value none;
  const json::Value& shown = unavailable == nullptr ? none : *unavailable;
  if (magnitude(unavailable) == 0 && magnitude(surge) == 0)
    errors.invalid(path + ".maxUnavailable", shown, "may not be 0 when `maxSurge` is 0");
  if (shown.is_string() && is_percent(shown.as_string()) && magnitude(&shown) > 100)
    errors.invalid(path + ".maxUnavailable", shown, "must not be greater than 100%");
}

void validate_strategy(const json::Value& spec, FieldErrors& errors) {
  const std::string path = "spec.strategy";
  static const json::Value empty = json::Value::object();
  const json::Value* found = object_at(spec, "strategy");
  const json::Value& strategy = found == nullptr ? empty : *found;
  const std::string type = strategy.get_string("type");
  const json::Value* rolling = object_at(strategy, "rollingUpdate");
  if (type == "Recreate") {
    if (rolling != nullptr) {
      errors.forbidden(path + ".rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
    }
  } else if (type == "RollingUpdate") {
    if (rolling == nullptr)
      errors.required(path + ".rollingUpdate", "this should be defaulted and never be nil");
    else
      validate_rolling(*rolling, path + ".rollingUpdate", errors);
  } else {
    errors.not_supported(path + ".type", type, {"Recreate", "RollingUpdate"});
  }
}

}  // namespace

void validate_deployment(const json::Value& object, FieldErrors& errors) {
  const json::Value& spec = spec_of(object);
  errors.non_negative("spec.replicas", spec.get_int("replicas"));
  validate_template(spec, validate_selector(spec, errors), errors);
  validate_strategy(spec, errors);
  const std::int64_t ready = spec.get_int("minReadySeconds");
  errors.non_negative("spec.minReadySeconds", ready);
  errors.non_negative("spec.revisionHistoryLimit", spec.get_int("revisionHistoryLimit"));
  const std::optional<std::int64_t> deadline = int_at(spec, "progressDeadlineSeconds");
  if (!deadline) return;
  errors.non_negative("spec.progressDeadlineSeconds", *deadline);
  if (*deadline <= ready) {
    errors.invalid("spec.progressDeadlineSeconds", static_cast<long>(*deadline),
                   "must be greater than minReadySeconds");
  }
}

void validate_replica_set(const json::Value& object, FieldErrors& errors) {
  const json::Value& spec = spec_of(object);
  errors.non_negative("spec.replicas", spec.get_int("replicas"));
  errors.non_negative("spec.minReadySeconds", spec.get_int("minReadySeconds"));
  validate_template(spec, validate_selector(spec, errors), errors);
}

void validate_workload_status(const json::Value& old, const json::Value& object, FieldErrors& errors) {
  const json::Value* status = object_at(object, "status");
  if (status == nullptr) return;
  for (const char* key : {"observedGeneration", "replicas", "updatedReplicas", "fullyLabeledReplicas",
                          "readyReplicas", "availableReplicas", "unavailableReplicas", "collisionCount"}) {
    errors.non_negative(std::string("status.") + key, status->get_int(key));
  }
  const std::int64_t replicas = status->get_int("replicas");
  for (const char* key : {"updatedReplicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"}) {
    const std::int64_t count = status->get_int(key);
    if (count > replicas) {
      errors.invalid(std::string("status.") + key, static_cast<long>(count),
                     "cannot be greater than status.replicas");
    }
  }
  const std::int64_t available = status->get_int("availableReplicas");
  if (available > status->get_int("readyReplicas")) {
    errors.invalid("status.availableReplicas", static_cast<long>(available),
                   "cannot be greater than readyReplicas");
  }
  const json::Value* before = object_at(old, "status");
  const std::int64_t collisions = status->get_int("collisionCount");
  if (before != nullptr && collisions < before->get_int("collisionCount")) {
    errors.invalid("status.collisionCount", static_cast<long>(collisions), "cannot be decremented");
  }
}

void validate_controller_revision(const json::Value& object, FieldErrors& errors) {
  if (object.find("data") == nullptr || object.find("data")->is_null())
    errors.required("data", "data is mandatory");
  errors.non_negative("revision", object.get_int("revision"));
}

}  // namespace coxswain::api
