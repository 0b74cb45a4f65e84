// Pods.
#include <algorithm>

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
  for (const json::Member& limit : copy.as_object()) {
    json::Value& requests = container["resources"]["requests"];
    if (!requests.is_object()) requests = json::Value::object();
    if (requests.find(limit.first) == nullptr) requests.set(limit.first, limit.second);
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

void prepare_create(const Context&, json::Value& object) {
  if (object.find("spec") == nullptr) object.set("spec", json::Value::object());
  const std::string qos = qos_class(*object.find("spec"));
  object.set("status", json::Value::object({{"phase", "Pending"}, {"qosClass", qos}}));
  json::Value& spec = object["spec"];  // after the last new member: references move
  if (spec.get_string("serviceAccountName").empty()) {
    spec.set("serviceAccountName", "default");
    spec.set("serviceAccount", "default");
  }
  add_toleration(spec, "node.kubernetes.io/not-ready");
  add_toleration(spec, "node.kubernetes.io/unreachable");
  if (spec.find("priority") == nullptr) spec.set("priority", 0);
  if (spec.get_string("preemptionPolicy").empty()) spec.set("preemptionPolicy", "PreemptLowerPriority");
}

void validate_create(const Context&, const json::Value& object, Causes& out) {
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

std::string init_reason(const json::Value& object) {
  const json::Value* statuses = object.find_path({"status", "initContainerStatuses"});
  const json::Value* specs = object.find_path({"spec", "initContainers"});
  if (statuses == nullptr || !statuses->is_array() || specs == nullptr || !specs->is_array()) return {};
  std::size_t done = 0;
  for (const json::Value& status : statuses->as_array()) {
    const json::Value* terminated = status.find_path({"state", "terminated"});
    if (terminated != nullptr && terminated->get_int("exitCode") == 0) {
      ++done;
      continue;
    }
    if (status.get_bool("started") && status.find_path({"state", "running"}) != nullptr) {  // a sidecar
      ++done;
      continue;
    }
    if (terminated != nullptr) {
      const std::string reason = terminated->get_string("reason");
      return "Init:" +
             (reason.empty() ? "ExitCode:" + std::to_string(terminated->get_int("exitCode")) : reason);
    }
    const std::string waiting = status.get_string_path({"state", "waiting", "reason"});
    if (!waiting.empty() && waiting != "PodInitializing") return "Init:" + waiting;
    return "Init:" + std::to_string(done) + "/" + std::to_string(specs->as_array().size());
  }
  return {};
}

Counts count(const json::Value& object) {
  Counts counts;
  const json::Value* containers = object.find_path({"spec", "containers"});
  if (containers != nullptr && containers->is_array())
    counts.total = static_cast<std::int64_t>(containers->as_array().size());
  counts.reason = object.get_string_path({"status", "reason"});
  if (counts.reason.empty()) counts.reason = object.get_string_path({"status", "phase"});
  const json::Value* gates = object.find_path({"spec", "schedulingGates"});
  if (gates != nullptr && gates->is_array() && !gates->as_array().empty()) counts.reason = "SchedulingGated";
  const std::string init = init_reason(object);
  bool running = false;
  const json::Value* statuses = object.find_path({"status", "containerStatuses"});
  if (statuses != nullptr && statuses->is_array()) {
    for (auto at = statuses->as_array().rbegin(); at != statuses->as_array().rend(); ++at) {
      counts.restarts += at->get_int("restartCount");
      std::int64_t finished = 0;
      if (parse_rfc3339(at->get_string_path({"lastState", "terminated", "finishedAt"}), &finished)) {
        counts.last_restart_unix_ms = std::max(counts.last_restart_unix_ms, finished);
      }
      if (at->get_bool("ready")) {
        ++counts.ready;
        running = true;
      }
      if (!init.empty()) continue;
      const std::string waiting = at->get_string_path({"state", "waiting", "reason"});
      const json::Value* terminated = at->find_path({"state", "terminated"});
      if (!waiting.empty()) {
        counts.reason = waiting;
      } else if (terminated != nullptr) {
        counts.reason = terminated->get_string("reason");
        if (counts.reason.empty())
          counts.reason = "ExitCode:" + std::to_string(terminated->get_int("exitCode"));
      }
    }
  }
  if (!init.empty()) counts.reason = init;
  if (counts.reason == "Completed" && running) counts.reason = "Running";
  if (object.find_path({"metadata", "deletionTimestamp"}) != nullptr) {
    counts.reason = object.get_string_path({"status", "reason"}) == "NodeLost" ? "Unknown" : "Terminating";
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
  if (column == "IP") return or_none(object.get_string_path({"status", "podIP"}));
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
                                    .validate_status_update = validate_status,
                                    .grace_period_seconds = grace_period_seconds,
                                    .selectable_fields = selectable_fields,
                                    .table_cell = table_cell};
  return strategy;
}

}  // namespace coxswain::registry
