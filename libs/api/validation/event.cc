// Events, in their stored (core/v1) form. Those written through events.k8s.io obey stricter rules.
#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

bool has_time(const json::Value& event, const char* key) { return !event.get_string(key).empty(); }

void at_most(const json::Value& event, const char* key, std::size_t limit, FieldErrors& errors) {
  if (event.get_string(key).size() > limit)
    errors.invalid(key, "", "can have at most " + std::to_string(limit) + " characters");
}

void required_text(const json::Value& event, const char* key, std::size_t limit, FieldErrors& errors) {
  if (event.get_string(key).empty()) errors.required(key);
  at_most(event, key, limit, errors);
}

// Old events agree with the namespace of what they are about; new ones say who reports what.
void validate_always(const json::Value& event, FieldErrors& errors) {
  const std::string ns = event.get_string_path({"metadata", "namespace"});
  const std::string involved = event.get_string_path({"involvedObject", "namespace"});
  const auto mismatch = [&] {
    errors.invalid("involvedObject.namespace", involved, "does not match event.namespace");
  };
  if (!has_time(event, "eventTime")) {
    if (involved.empty() ? (!ns.empty() && ns != "default") : ns != involved) mismatch();
  } else {
    if (involved.empty() && ns != "default" && ns != "kube-system") mismatch();
    const std::string controller = event.get_string("reportingComponent");
    if (controller.empty()) errors.required("reportingController");
    errors.invalid_each("reportingController", controller, check_qualified_name(controller));
    required_text(event, "reportingInstance", 128, errors);
    required_text(event, "action", 128, errors);
    required_text(event, "reason", 128, errors);
    at_most(event, "message", 1024, errors);
  }
  errors.invalid_each("namespace", ns, check_dns1123_subdomain(ns));
}

void validate_series(const json::Value& event, FieldErrors& errors) {
  const json::Value* series = object_at(event, "series");
  if (series == nullptr) return;
  if (series->get_int("count") < 2) errors.invalid("series.count", "", "should be at least 2");
  if (!has_time(*series, "lastObservedTime")) errors.required("series.lastObservedTime");
}

void validate_new(const json::Value& event, FieldErrors& errors) {
  const std::string name = event.get_string_path({"metadata", "name"});
  if (!name.empty()) errors.invalid_each("metadata.name", name, check_dns1123_subdomain(name));
  validate_series(event, errors);
  if (!has_time(event, "eventTime")) errors.required("eventTime");
  const std::string type = event.get_string("type");
  if (type != "Normal" && type != "Warning") errors.invalid("type", "", "has invalid value: " + type);
  for (const char* key : {"firstTimestamp", "lastTimestamp"}) {
    if (has_time(event, key)) errors.invalid(key, "", "needs to be unset");
  }
  if (event.get_int("count") != 0) errors.invalid("count", "", "needs to be unset");
  const json::Value* source = object_at(event, "source");
  if (source != nullptr &&
      (!source->get_string("component").empty() || !source->get_string("host").empty())) {
    errors.invalid("source", "", "needs to be unset");
  }
}

void validate_change(const json::Value& old, const json::Value& event, FieldErrors& errors) {
  static const json::Value none;
  const json::Value* before = old.find("series");
  const json::Value* now = event.find("series");
  if (!((before == nullptr ? none : *before) == (now == nullptr ? none : *now)))
    validate_series(event, errors);
  for (const char* key : {"involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp",
                          "count", "type", "eventTime", "action", "related", "reportingInstance"}) {
    errors.immutable(key, old.find(key), event.find(key));
  }
  errors.immutable("reportingController", old.find("reportingComponent"), event.find("reportingComponent"));
}

}  // namespace

void validate_event(const json::Value* old, const json::Value& event, bool strict, FieldErrors& errors) {
  validate_always(event, errors);
  if (!strict) return;
  if (old == nullptr)
    validate_new(event, errors);
  else
    validate_change(*old, event, errors);
}

}  // namespace coxswain::api
