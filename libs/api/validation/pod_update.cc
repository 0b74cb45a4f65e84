// What may change in a pod that exists: its spec, and its status.
#include <algorithm>

#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

constexpr const char* kUpdatable =
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
    "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)";

bool same_count(const json::Value& before, const json::Value& now, const char* list, FieldErrors& errors) {
  if (list_at(before, list).size() == list_at(now, list).size()) return true;
  errors.forbidden(std::string("spec.") + list, "pod updates may not add or remove containers");
  return false;
}

// False: nothing after it is worth saying.
bool validate_deadline(const json::Value& before, const json::Value& now, FieldErrors& errors) {
  const std::optional<std::int64_t> old = int_at(before, "activeDeadlineSeconds");
  const std::optional<std::int64_t> next = int_at(now, "activeDeadlineSeconds");
  const std::string path = "spec.activeDeadlineSeconds";
  if (!next) {
    if (old) errors.invalid(path, nullptr, "must not update from a positive integer to nil value");
    return true;
  }
  if (*next < 0 || *next > INT32_MAX) {
    errors.invalid(path, static_cast<long>(*next), "must be between 0 and 2147483647, inclusive");
    return false;
  }
  if (!old || *old >= *next) return true;
  errors.invalid(path, static_cast<long>(*next), "must be less than or equal to previous value");
  return false;
}

void validate_added_tolerations(const json::Value& before, const json::Value& now, FieldErrors& errors) {
  // By text, whose order is the schema's members in any order: made the same for both by naming them.
  const auto identity = [](const json::Value& toleration) {
    json::Value named = json::Value::array();
    for (const char* key : {"key", "operator", "value", "effect"})
      named.push_back(toleration.get_string(key));
    return json::write(named);
  };
  std::set<std::string> kept;
  for (const json::Value& toleration : list_at(now, "tolerations")) kept.insert(identity(toleration));
  for (const json::Value& old : list_at(before, "tolerations")) {
    if (kept.count(identity(old)) == 0) {
      return errors.forbidden("spec.tolerations",
                              "existing toleration can not be modified except its tolerationSeconds");
    }
  }
}

void validate_removed_gates(const json::Value& before, const json::Value& now, FieldErrors& errors) {
  std::set<std::string> old;
  for (const json::Value& gate : list_at(before, "schedulingGates")) old.insert(gate.get_string("name"));
  std::size_t index = 0;
  for (const json::Value& gate : list_at(now, "schedulingGates")) {
    const std::string at = indexed("spec.schedulingGates", index++) + ".name";
    const std::string name = gate.get_string("name");
    if (old.count(name) == 0)
      errors.forbidden(at, "only deletion is allowed, but found new scheduling gate '" + name + "'");
  }
}

// The spec without what may change.
json::Value frozen(const json::Value& source, bool gated) {
  json::Value spec = source;
  for (const char* key :
       {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"}) {
    spec.erase(key);
  }
  for (const char* list : {"containers", "initContainers"}) {
    json::Value* containers = spec.find(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (json::Value& container : containers->as_array()) container.erase("image");
  }
  if (!gated) return spec;
  spec.erase("nodeSelector");
  if (json::Value* affinity = spec.find("affinity"); affinity != nullptr && affinity->is_object()) {
    affinity->erase("nodeAffinity");
    if (affinity->as_object().empty()) spec.erase("affinity");
  }
  return spec;
}

bool contains_all(const json::Array& now, const json::Array& before) {
  return std::all_of(before.begin(), before.end(), [&](const json::Value& item) {
    return std::find(now.begin(), now.end(), item) != now.end();
  });
}

// A pod that waits behind a gate may be narrowed, never widened.
void validate_gated(const json::Value& before, const json::Value& now, FieldErrors& errors) {
  if (const json::Value* old = object_at(before, "nodeSelector")) {
    static const json::Value empty = json::Value::object();
    const json::Value* found = object_at(now, "nodeSelector");
    const json::Value& selector = found == nullptr ? empty : *found;
    for (const json::Member& label : old->as_object()) {
      const json::Value* value = selector.find(label.first);
      if (value != nullptr && *value == label.second) continue;
      errors.invalid("spec.nodeSelector", selector,
                     "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
      break;
    }
  }
  constexpr std::string_view kKey = "requiredDuringSchedulingIgnoredDuringExecution";
  const auto terms = [&](const json::Value& spec) -> const json::Array& {
    static const json::Array none;
    const json::Value* required = spec.find_path({"affinity", "nodeAffinity", kKey});
    return required == nullptr ? none : list_at(*required, "nodeSelectorTerms");
  };
  const json::Array& old_terms = terms(before);
  const json::Array& new_terms = terms(now);
  const std::string path = "spec.affinity.nodeAffinity." + std::string(kKey) + ".nodeSelectorTerms";
  if (old_terms.empty()) return;
  if (old_terms.size() != new_terms.size()) {
    return errors.invalid(path, json::Value(new_terms),
                          "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
  }
  for (std::size_t i = 0; i < old_terms.size(); ++i) {
    if (contains_all(list_at(new_terms[i], "matchExpressions"), list_at(old_terms[i], "matchExpressions")) &&
        contains_all(list_at(new_terms[i], "matchFields"), list_at(old_terms[i], "matchFields")))
      continue;
    errors.invalid(indexed(path, i), new_terms[i], "only additions are allowed (no mutations or deletions)");
  }
}

std::string state_of(const json::Value& status) {
  for (const char* state : {"terminated", "running", "waiting"}) {
    if (const json::Value* value = status.find_path({"state", state}); value != nullptr && value->is_object())
      return state;
  }
  return {};
}

bool is_sidecar(const json::Value& pod, const std::string& name) {
  const json::Value* spec = object_at(pod, "spec");
  if (spec == nullptr) return false;
  for (const json::Value& container : list_at(*spec, "initContainers")) {
    if (container.get_string("name") == name) return container.get_string("restartPolicy") == "Always";
  }
  return false;
}

// A container that has ended for good stays ended.
void validate_states(const json::Value& old, const json::Value& pod, const char* list, FieldErrors& errors) {
  const std::string policy = old.get_string_path({"spec", "restartPolicy"});
  if (policy == "Always") return;
  const json::Value* before = object_at(old, "status");
  const json::Value* now = object_at(pod, "status");
  if (before == nullptr || now == nullptr) return;
  std::size_t index = 0;
  for (const json::Value& status : list_at(*before, list)) {
    const std::string at = indexed(std::string("status.") + list, index++) + ".state";
    if (state_of(status) != "terminated") continue;
    const json::Value* code = status.find_path({"state", "terminated", "exitCode"});
    const bool failed = code != nullptr && !(*code == json::Value(0));
    if (failed && policy == "OnFailure") continue;
    const std::string name = status.get_string("name");
    if (std::string_view(list) == "initContainerStatuses" && is_sidecar(old, name)) continue;
    for (const json::Value& other : list_at(*now, list)) {
      if (other.get_string("name") == name && state_of(other) != "terminated")
        errors.forbidden(at, "may not be transitioned to non-terminated state");
    }
  }
}

void validate_ips(const json::Value& status, const char* list, FieldErrors& errors) {
  const json::Array& ips = list_at(status, list);
  const std::string path = std::string("status.") + list;
  std::set<std::string> seen;
  int v4 = 0;
  for (std::size_t i = 0; i < ips.size(); ++i) {
    const std::string ip = ips[i].get_string("ip");
    errors.invalid_each(indexed(path, i), ip, check_ip(ip));
    if (!seen.insert(ip).second) errors.duplicate(indexed(path, i), ips[i]);
    v4 += is_ipv4(ip) ? 1 : 0;
  }
  if (ips.size() > 2 || (ips.size() == 2 && v4 != 1)) {
    errors.invalid(path, json::Value(ips), "may specify no more than one IP for each IP family");
  }
}

}  // namespace

void validate_pod_update(const json::Value& old_spec, const json::Value& spec, FieldErrors& errors) {
  if (!same_count(old_spec, spec, "containers", errors)) return;
  if (!same_count(old_spec, spec, "initContainers", errors)) return;
  if (!validate_deadline(old_spec, spec, errors)) return;
  validate_added_tolerations(old_spec, spec, errors);
  validate_removed_gates(old_spec, spec, errors);
  const bool gated = !list_at(old_spec, "schedulingGates").empty();
  if (gated) validate_gated(old_spec, spec, errors);
  const std::int64_t grace = spec.get_int("terminationGracePeriodSeconds", 30);
  const std::int64_t old_grace = old_spec.get_int("terminationGracePeriodSeconds", 30);
  const bool grace_fits = grace == old_grace || (old_grace < 0 && grace == 1);
  if (grace_fits && frozen(old_spec, gated) == frozen(spec, gated)) return;
  errors.forbidden("spec", kUpdatable);
}

void validate_pod_status(const json::Value& old, const json::Value& pod, FieldErrors& errors) {
  const json::Value* status = object_at(pod, "status");
  if (status == nullptr) return;
  std::size_t index = 0;
  for (const json::Value& condition : list_at(*status, "conditions")) {
    const std::string type = condition.get_string("type");
    errors.invalid_each(indexed("metadata.conditions", index++) + ".Type", type, check_qualified_name(type));
  }
  const std::string nominated = status->get_string("nominatedNodeName");
  if (!nominated.empty() && nominated != old.get_string_path({"status", "nominatedNodeName"}))
    errors.invalid_each("status.nominatedNodeName", nominated, check_dns1123_subdomain(nominated));
  errors.immutable("status.qosClass", old.find_path({"status", "qosClass"}), status->find("qosClass"));
  validate_states(old, pod, "containerStatuses", errors);
  validate_states(old, pod, "initContainerStatuses", errors);
  validate_ips(*status, "podIPs", errors);
  const json::Array& hosts = list_at(*status, "hostIPs");
  if (!hosts.empty() && hosts[0].get_string("ip") != status->get_string("hostIP"))
    errors.invalid("status.hostIPs[0].ip", hosts[0].get_string("ip"), "must be equal to `hostIP`");
  validate_ips(*status, "hostIPs", errors);
}

}  // namespace coxswain::api
