// Where a pod wants to be: node affinity, pod (anti-)affinity, topology spread.
#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

constexpr const char* kRequiredKey = "requiredDuringSchedulingIgnoredDuringExecution";
constexpr const char* kPreferredKey = "preferredDuringSchedulingIgnoredDuringExecution";

void validate_label_requirement(const json::Value& requirement, bool check_values, const std::string& path,
                                FieldErrors& errors) {
  const std::string op = requirement.get_string("operator");
  const json::Array& values = list_at(requirement, "values");
  if (op == "In" || op == "NotIn") {
    if (values.empty())
      errors.required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (op == "Exists" || op == "DoesNotExist") {
    if (!values.empty())
      errors.forbidden(path + ".values",
                       "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  } else if (op == "Gt" || op == "Lt") {
    if (values.size() != 1)
      errors.required(path + ".values", "must be specified single value when `operator` is 'Lt' or 'Gt'");
  } else {
    errors.invalid(path + ".operator", op, "not a valid selector operator");
  }
  const std::string key = requirement.get_string("key");
  errors.invalid_each(path + ".key", key, check_qualified_name(key));
  for (std::size_t i = 0; check_values && i < values.size(); ++i) {
    if (values[i].is_string())
      errors.invalid_each(indexed(path + ".values", i), values[i], check_label_value(values[i].as_string()));
  }
}

void validate_field_requirement(const json::Value& requirement, const std::string& path,
                                FieldErrors& errors) {
  const std::string op = requirement.get_string("operator");
  const json::Array& values = list_at(requirement, "values");
  if (op != "In" && op != "NotIn") {
    errors.invalid(path + ".operator", op, "not a valid selector operator");
  } else if (values.size() != 1) {
    errors.required(path + ".values",
                    "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
  }
  const std::string key = requirement.get_string("key");
  if (key != "metadata.name") return errors.invalid(path + ".key", key, "not a valid field selector key");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].is_string()) continue;
    errors.invalid_each(indexed(path + ".values", i), values[i],
                        check_dns1123_subdomain(values[i].as_string()));
  }
}

void validate_node_term(const json::Value& term, bool check_values, const std::string& path,
                        FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& requirement : list_at(term, "matchExpressions")) {
    validate_label_requirement(requirement, check_values, indexed(path + ".matchExpressions", index++),
                               errors);
  }
  index = 0;
  for (const json::Value& requirement : list_at(term, "matchFields"))
    validate_field_requirement(requirement, indexed(path + ".matchFields", index++), errors);
}

void validate_weight(const json::Value& term, const std::string& path, FieldErrors& errors) {
  const std::int64_t weight = term.get_int("weight");
  if (weight <= 0 || weight > 100)
    errors.invalid(path + ".weight", static_cast<long>(weight), "must be in the range 1-100");
}

void validate_node_affinity(const json::Value& affinity, const std::string& path, FieldErrors& errors) {
  if (const json::Value* required = object_at(affinity, kRequiredKey)) {
    const std::string at = path + "." + kRequiredKey + ".nodeSelectorTerms";
    const json::Array& terms = list_at(*required, "nodeSelectorTerms");
    if (terms.empty()) errors.required(at, "must have at least one node selector term");
    for (std::size_t i = 0; i < terms.size(); ++i) validate_node_term(terms[i], true, indexed(at, i), errors);
  }
  const json::Array& preferred = list_at(affinity, kPreferredKey);
  for (std::size_t i = 0; i < preferred.size(); ++i) {
    const std::string at = indexed(path + "." + kPreferredKey, i);
    validate_weight(preferred[i], at, errors);
    // Values that no label can have are let through here, as upstream does.
    if (const json::Value* term = object_at(preferred[i], "preference"))
      validate_node_term(*term, false, at + ".preference", errors);
  }
}

bool selects_key(const json::Value* selector, const std::string& key) {
  if (selector == nullptr) return false;
  if (const json::Value* labels = object_at(*selector, "matchLabels");
      labels != nullptr && labels->find(key) != nullptr) {
    return true;
  }
  for (const json::Value& expression : list_at(*selector, "matchExpressions")) {
    if (expression.get_string("key") == key) return true;
  }
  return false;
}

void validate_label_keys(const json::Value& term, const char* list, const std::string& path,
                         FieldErrors& errors) {
  const json::Array& keys = list_at(term, list);
  if (keys.empty()) return;
  if (object_at(term, "labelSelector") == nullptr) {
    return errors.forbidden(path + "." + list, "must not be specified when labelSelector is not set");
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].is_string())
      errors.invalid_each(indexed(path + "." + list, i), keys[i], check_qualified_name(keys[i].as_string()));
  }
}

void validate_pod_term(const json::Value& term, const std::string& path, FieldErrors& errors) {
  for (const char* selector : {"labelSelector", "namespaceSelector"}) {
    if (const json::Value* value = object_at(term, selector))
      validate_label_selector(*value, path + "." + selector, errors);
  }
  for (const json::Value& ns : list_at(term, "namespaces")) {
    if (ns.is_string()) errors.invalid_each(path + ".namespace", ns, check_dns1123_label(ns.as_string()));
  }
  validate_label_keys(term, "matchLabelKeys", path, errors);
  validate_label_keys(term, "mismatchLabelKeys", path, errors);
  const json::Array& mismatch = list_at(term, "mismatchLabelKeys");
  std::size_t index = 0;
  for (const json::Value& key : list_at(term, "matchLabelKeys")) {
    const std::string at = indexed(path + ".matchLabelKeys", index++);
    for (const json::Value& other : mismatch) {
      if (other == key) errors.invalid(at, key, "exists in both matchLabelKeys and mismatchLabelKeys");
    }
  }
  const std::string topology = term.get_string("topologyKey");
  if (topology.empty()) errors.required(path + ".topologyKey", "can not be empty");
  errors.invalid_each(path + ".topologyKey", topology, check_qualified_name(topology));
}

void validate_pod_affinity(const json::Value& affinity, const std::string& path, FieldErrors& errors) {
  const json::Array& required = list_at(affinity, kRequiredKey);
  for (std::size_t i = 0; i < required.size(); ++i)
    validate_pod_term(required[i], indexed(path + "." + kRequiredKey, i), errors);
  const json::Array& preferred = list_at(affinity, kPreferredKey);
  static const json::Value empty = json::Value::object();
  for (std::size_t i = 0; i < preferred.size(); ++i) {
    const std::string at = indexed(path + "." + kPreferredKey, i);
    validate_weight(preferred[i], at, errors);
    const json::Value* term = object_at(preferred[i], "podAffinityTerm");
    validate_pod_term(term == nullptr ? empty : *term, at + ".podAffinityTerm", errors);
  }
}

void validate_domains(const json::Value& constraint, const std::string& path, FieldErrors& errors) {
  const std::optional<std::int64_t> domains = int_at(constraint, "minDomains");
  if (!domains) return;
  const std::string action = constraint.get_string("whenUnsatisfiable");
  if (*domains <= 0)
    errors.invalid(path + ".minDomains", static_cast<long>(*domains), "must be greater than zero");
  if (action != "DoNotSchedule") {
    errors.invalid(path + ".minDomains", static_cast<long>(*domains),
                   "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not " + action);
  }
}

void validate_spread_keys(const json::Value& constraint, const std::string& path, FieldErrors& errors) {
  const json::Array& keys = list_at(constraint, "matchLabelKeys");
  if (keys.empty()) return;
  const json::Value* selector = object_at(constraint, "labelSelector");
  if (selector == nullptr) {
    errors.forbidden(path + ".matchLabelKeys", "must not be specified when labelSelector is not set");
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!keys[i].is_string()) continue;
    const std::string at = indexed(path + ".matchLabelKeys", i);
    errors.invalid_each(at, keys[i], check_qualified_name(keys[i].as_string()));
    if (selects_key(selector, keys[i].as_string()))
      errors.invalid(at, keys[i], "exists in both matchLabelKeys and labelSelector");
  }
}

// What makes a constraint one of a kind.
std::string identity(const json::Value& constraint) {
  return "{" + constraint.get_string("topologyKey") + ", " + constraint.get_string("whenUnsatisfiable") + "}";
}

// `repeated`: another of the same kind follows.
void validate_constraint(const json::Value& constraint, bool repeated, const std::string& path,
                         FieldErrors& errors) {
  const std::int64_t skew = constraint.get_int("maxSkew");
  if (skew <= 0) errors.invalid(path + ".maxSkew", static_cast<long>(skew), "must be greater than zero");
  const std::string key = constraint.get_string("topologyKey");
  if (key.empty()) errors.required(path + ".topologyKey", "can not be empty");
  const std::string action = constraint.get_string("whenUnsatisfiable");
  if (action != "DoNotSchedule" && action != "ScheduleAnyway")
    errors.not_supported(path + ".whenUnsatisfiable", action, {"DoNotSchedule", "ScheduleAnyway"});
  if (repeated) errors.duplicate(path + ".{topologyKey, whenUnsatisfiable}", identity(constraint));
  validate_domains(constraint, path, errors);
  for (const char* policy : {"nodeAffinityPolicy", "nodeTaintsPolicy"}) {
    const json::Value* value = constraint.find(policy);
    if (value == nullptr || !value->is_string()) continue;
    if (value->as_string() != "Honor" && value->as_string() != "Ignore")
      errors.not_supported(path + "." + policy, value->as_string(), {"Honor", "Ignore"});
  }
  validate_spread_keys(constraint, path, errors);
  if (const json::Value* selector = object_at(constraint, "labelSelector"))
    validate_label_selector(*selector, path + ".labelSelector", errors);
}

}  // namespace

void validate_affinity(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  const json::Value* affinity = object_at(spec, "affinity");
  if (affinity == nullptr) return;
  const std::string at = path + ".affinity";
  if (const json::Value* node = object_at(*affinity, "nodeAffinity"))
    validate_node_affinity(*node, at + ".nodeAffinity", errors);
  for (const char* kind : {"podAffinity", "podAntiAffinity"}) {
    if (const json::Value* pod = object_at(*affinity, kind))
      validate_pod_affinity(*pod, at + "." + kind, errors);
  }
}

void validate_topology_spread(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  const json::Array& constraints = list_at(spec, "topologySpreadConstraints");
  std::map<std::string, std::size_t> last;
  for (std::size_t i = 0; i < constraints.size(); ++i) last[identity(constraints[i])] = i;
  for (std::size_t i = 0; i < constraints.size(); ++i) {
    validate_constraint(constraints[i], last[identity(constraints[i])] > i,
                        indexed(path + ".topologySpreadConstraints", i), errors);
  }
}

}  // namespace coxswain::api
