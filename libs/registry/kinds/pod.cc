// Pods.
#include <algorithm>
#include <set>

#include "libs/api/meta/human_duration.h"
#include "libs/api/meta/quantity.h"
#include "libs/api/validation/validation.h"
#include "libs/common/base/clock.h"
#include "libs/registry/kinds/pod_template.h"
#include "libs/registry/strategy.h"
#include "libs/registry/table.h"

namespace coxswain::registry {
namespace {

// A limit without a request is also the request.
void default_requests(json::Value& container) {
  const json::Value* limits = container.find_path({"resources", "limits"});
  if (limits == nullptr || !limits->is_object()) return;
  const json::Value copy = *limits;
  json::Value& requests = container["resources"]["requests"];
  if (!requests.is_object()) requests = json::Value::object();
  std::set<std::string> asked;  // an object's own look-up is linear
  for (const json::Member& request : requests.as_object()) asked.insert(request.first);
  for (const json::Member& limit : copy.as_object()) {
    if (asked.count(limit.first) == 0) requests.as_object().append(limit.first, limit.second);
  }
}

// In the host's network a container port is a host port.
void default_host_ports(json::Value& container) {
  json::Value* ports = container.find("ports");
  if (ports == nullptr || !ports->is_array()) return;
  for (json::Value& port : ports->as_array()) {
    if (port.is_object() && port.get_int("hostPort") == 0)
      port.set("hostPort", port.get_int("containerPort"));
  }
}

void default_object(json::Value& object) {
  json::Value* spec = object.find("spec");
  if (spec == nullptr || !spec->is_object()) return;
  default_pod_spec(*spec);
  if (spec->find("enableServiceLinks") == nullptr) spec->set("enableServiceLinks", true);
  for (const char* list : {"initContainers", "containers"}) {
    json::Value* containers = spec->find(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (json::Value& container : containers->as_array()) {
      if (!container.is_object()) continue;
      default_requests(container);
      if (spec->get_bool("hostNetwork")) default_host_ports(container);
    }
  }
}

bool positive(const json::Value* amount) {
  if (amount == nullptr || !amount->is_string()) return false;
  const auto quantity = api::Quantity::parse(amount->as_string());
  return quantity.ok() && quantity->sign() > 0;
}

// Guaranteed: every container has equal cpu and memory limits and requests; BestEffort: none has any.
std::string qos_class(const json::Value& spec) {
  bool any = false;
  bool guaranteed = true;
  for (const char* list : {"initContainers", "containers"}) {
    const json::Value* containers = spec.find(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (const json::Value& container : containers->as_array()) {
      for (const char* resource : {"cpu", "memory"}) {
        const json::Value* limit = container.find_path({"resources", "limits", resource});
        const json::Value* request = container.find_path({"resources", "requests", resource});
        any = any || positive(limit) || positive(request);
        guaranteed = guaranteed && positive(limit) && (request == nullptr || *request == *limit);
      }
    }
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

void add_toleration(json::Value& spec, const char* key) {
  json::Value& tolerations = spec["tolerations"];
  if (!tolerations.is_array()) tolerations = json::Value::array();
  for (const json::Value& toleration : tolerations.as_array()) {
    const std::string own = toleration.get_string("key");
    const std::string effect = toleration.get_string("effect");
    if ((own == key || own.empty()) && (effect == "NoExecute" || effect.empty())) return;
  }
  tolerations.push_back(json::Value::object(
      {{"key", key}, {"operator", "Exists"}, {"effect", "NoExecute"}, {"tolerationSeconds", 300}}));
}

void prepare_create(const Context& context, json::Value& object) {
  if (object.find("spec") == nullptr) object.set("spec", json::Value::object());
  const std::string qos = qos_class(*object.find("spec"));
  object.set("status", json::Value::object({{"phase", "Pending"}, {"qosClass", qos}}));
  json::Value& spec = object["spec"];  // after the last new member: references move
  if (!api::list_at(spec, "schedulingGates").empty()) {
    object.find("status")->set(
        "conditions", json::Value::array({json::Value::object(
                          {{"type", "PodScheduled"},
                           {"status", "False"},
                           {"lastProbeTime", nullptr},
                           {"lastTransitionTime", format_rfc3339(context.now_unix_ms)},
                           {"reason", "SchedulingGated"},
                           {"message", "Scheduling is blocked due to non-empty scheduling gates"}})}));
  }
  if (spec.get_string("serviceAccountName").empty()) {
    spec.set("serviceAccountName", "default");
    spec.set("serviceAccount", "default");
  }
  add_toleration(spec, "node.kubernetes.io/not-ready");
  add_toleration(spec, "node.kubernetes.io/unreachable");
  if (spec.find("priority") == nullptr) spec.set("priority", 0);
  if (spec.get_string("preemptionPolicy").empty()) spec.set("preemptionPolicy", "PreemptLowerPriority");
}

void validate_create(const Context& context, const json::Value& object, Causes& out) {
  warn_of_pod_spec(context, object.find("spec"), "spec");
  api::FieldErrors errors(out);
  api::validate_new_pod(object, errors);
}

void validate_update(const Context&, const json::Value& old, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_pod(object, errors);
  const json::Value* before = old.find("spec");
  const json::Value* now = object.find("spec");
  if (before != nullptr && now != nullptr) api::validate_pod_update(*before, *now, errors);
}

// A writer of status may leave the quality of service out; it cannot change.
void prepare_status(const Context&, const json::Value& old, json::Value& object) {
  const std::string qos = old.get_string_path({"status", "qosClass"});
  if (!qos.empty() && object.get_string_path({"status", "qosClass"}).empty())
    object["status"].set("qosClass", qos);
}

void validate_status(const Context&, const json::Value& old, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_pod_status(old, object, errors);
}

std::int64_t grace_period_seconds(const json::Value& object, std::optional<std::int64_t> requested) {
  const std::string phase = object.get_string_path({"status", "phase"});
  if (object.get_string_path({"spec", "nodeName"}).empty() || phase == "Failed" || phase == "Succeeded")
    return 0;
  if (requested) return *requested;
  const json::Value* spec = object.find("spec");
  return spec->get_int("terminationGracePeriodSeconds", 30);
}

struct Counts {
  std::int64_t ready = 0;
  std::int64_t total = 0;
  std::int64_t restarts = 0;
  std::string reason;
  std::int64_t last_restart_unix_ms = 0;
};

const json::Array& list_in(const json::Value& object, const char* section, const char* list) {
  static const json::Value none;
  const json::Value* part = object.find(section);
  return api::list_at(part == nullptr ? none : *part, list);
}

bool sidecar(const json::Value& object, const std::string& name) {
  for (const json::Value& container : list_in(object, "spec", "initContainers")) {
    if (container.get_string("name") == name) return container.get_string("restartPolicy") == "Always";
  }
  return false;
}

const json::Value* state(const json::Value& status, const char* name) {
  const json::Value* value = status.find_path({"state", name});
  return value != nullptr && value->is_object() ? value : nullptr;
}

// "Error", "Signal:9" or "ExitCode:1".
std::string end_of(const json::Value& terminated) {
  const std::string reason = terminated.get_string("reason");
  if (!reason.empty()) return reason;
  const std::int64_t signal = terminated.get_int("signal");
  return signal != 0 ? "Signal:" + std::to_string(signal)
                     : "ExitCode:" + std::to_string(terminated.get_int("exitCode"));
}

void count_restarts(const json::Value& status, Counts& counts) {
  counts.restarts += status.get_int("restartCount");
  std::int64_t finished = 0;
  if (parse_rfc3339(status.get_string_path({"lastState", "terminated", "finishedAt"}), &finished))
    counts.last_restart_unix_ms = std::max(counts.last_restart_unix_ms, finished);
}

bool has_condition(const json::Value& object, std::string_view type) {
  for (const json::Value& condition : list_in(object, "status", "conditions")) {
    if (condition.get_string("type") == type && condition.get_string("status") == "True") return true;
  }
  return false;
}

// The first init container that is not through names the pod's state. Empty: all are through. `sidecars`
// gets the restarts of those that go on beside the pod.
std::string count_init(const json::Value& object, Counts& counts, Counts& sidecars) {
  std::size_t index = 0;
  for (const json::Value& status : list_in(object, "status", "initContainerStatuses")) {
    const std::size_t place = index++;
    const bool restartable = sidecar(object, status.get_string("name"));
    count_restarts(status, counts);
    if (restartable) count_restarts(status, sidecars);
    const json::Value* terminated = state(status, "terminated");
    if (terminated != nullptr && terminated->get_int("exitCode") == 0) continue;
    if (restartable && status.get_bool("started")) {
      if (status.get_bool("ready")) ++counts.ready;
      continue;
    }
    if (terminated != nullptr) return "Init:" + end_of(*terminated);
    const std::string waiting = status.get_string_path({"state", "waiting", "reason"});
    if (!waiting.empty() && waiting != "PodInitializing") return "Init:" + waiting;
    return "Init:" + std::to_string(place) + "/" +
           std::to_string(list_in(object, "spec", "initContainers").size());
  }
  return {};
}

void count_containers(const json::Value& object, Counts& counts) {
  bool running = false;
  const json::Array& statuses = list_in(object, "status", "containerStatuses");
  for (auto status = statuses.rbegin(); status != statuses.rend(); ++status) {
    count_restarts(*status, counts);
    const std::string waiting = status->get_string_path({"state", "waiting", "reason"});
    if (!waiting.empty()) {
      counts.reason = waiting;
    } else if (const json::Value* terminated = state(*status, "terminated")) {
      counts.reason = end_of(*terminated);
    } else if (status->get_bool("ready") && state(*status, "running") != nullptr) {
      running = true;
      ++counts.ready;
    }
  }
  if (counts.reason == "Completed" && running)
    counts.reason = has_condition(object, "Ready") ? "Running" : "NotReady";
}

Counts count(const json::Value& object) {
  Counts counts;
  counts.total = static_cast<std::int64_t>(list_in(object, "spec", "containers").size());
  for (const json::Value& container : list_in(object, "spec", "initContainers"))
    counts.total += container.get_string("restartPolicy") == "Always" ? 1 : 0;
  const std::string phase = object.get_string_path({"status", "phase"});
  const std::string why = object.get_string_path({"status", "reason"});
  counts.reason = why.empty() ? phase : why;
  for (const json::Value& condition : list_in(object, "status", "conditions")) {
    if (condition.get_string("type") == "PodScheduled" && condition.get_string("reason") == "SchedulingGated")
      counts.reason = "SchedulingGated";
  }
  Counts sidecars;
  const std::string init = count_init(object, counts, sidecars);
  if (!init.empty()) counts.reason = init;
  if (init.empty() || has_condition(object, "Initialized")) {
    counts.restarts = sidecars.restarts;
    counts.last_restart_unix_ms = sidecars.last_restart_unix_ms;
    count_containers(object, counts);
  }
  if (object.find_path({"metadata", "deletionTimestamp"}) != nullptr) {
    if (why == "NodeLost")
      counts.reason = "Unknown";
    else if (phase != "Succeeded" && phase != "Failed")
      counts.reason = "Terminating";
  }
  return counts;
}

// "1/2": gates whose condition is true.
json::Value readiness_gates(const json::Value& object) {
  const json::Value* spec = object.find("spec");
  if (spec == nullptr || api::list_at(*spec, "readinessGates").empty()) return "<none>";
  const json::Array& gates = api::list_at(*spec, "readinessGates");
  const json::Value* status = object.find("status");
  std::size_t open = 0;
  for (const json::Value& gate : gates) {
    if (status == nullptr) break;
    for (const json::Value& condition : api::list_at(*status, "conditions")) {
      if (condition.get_string("type") != gate.get_string("conditionType")) continue;
      open += condition.get_string("status") == "True" ? 1 : 0;
      break;
    }
  }
  return std::to_string(open) + "/" + std::to_string(gates.size());
}

json::Value or_none(std::string text) { return text.empty() ? "<none>" : text; }

json::Value table_cell(const json::Value& object, std::string_view column, std::int64_t now_unix_ms) {
  if (column == "Ready") {
    const Counts counts = count(object);
    return std::to_string(counts.ready) + "/" + std::to_string(counts.total);
  }
  if (column == "Status") return count(object).reason;
  if (column == "Restarts") {
    const Counts counts = count(object);
    std::string text = std::to_string(counts.restarts);
    if (counts.restarts > 0 && counts.last_restart_unix_ms > 0) {
      text += " (" + api::human_duration(now_unix_ms - counts.last_restart_unix_ms) + " ago)";
    }
    return text;
  }
  if (column == "IP") {
    const json::Array& ips = list_in(object, "status", "podIPs");
    return or_none(ips.empty() ? object.get_string_path({"status", "podIP"}) : ips[0].get_string("ip"));
  }
  if (column == "Node") return or_none(object.get_string_path({"spec", "nodeName"}));
  if (column == "Readiness Gates") return readiness_gates(object);
  if (column == "Nominated Node") return or_none(object.get_string_path({"status", "nominatedNodeName"}));
  return nullptr;
}

void selectable_fields(const json::Value& object, FieldValues& out) {
  const auto text = [&](const char* section, const char* key) {
    out.emplace_back(std::string(section) + "." + key, object.get_string_path({section, key}));
  };
  text("spec", "nodeName");
  text("spec", "restartPolicy");
  text("spec", "schedulerName");
  text("spec", "serviceAccountName");
  text("status", "phase");
  text("status", "podIP");
  text("status", "nominatedNodeName");
  const json::Value* spec = object.find("spec");
  out.emplace_back("spec.hostNetwork", spec != nullptr && spec->get_bool("hostNetwork") ? "true" : "false");
}

}  // namespace

const Strategy& pod_strategy() {
  static const Strategy strategy = {.has_generation = true,
                                    .default_object = default_object,
                                    .prepare_create = prepare_create,
                                    .validate_create = validate_create,
                                    .validate_update = validate_update,
                                    .prepare_status_update = prepare_status,
                                    .validate_status_update = validate_status,
                                    .grace_period_seconds = grace_period_seconds,
                                    .selectable_fields = selectable_fields,
                                    .table_cell = table_cell};
  return strategy;
}

}  // namespace coxswain::registry
