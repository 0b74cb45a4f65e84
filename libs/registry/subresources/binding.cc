// pods/binding (and POST .../bindings): gives a pod its node, once.
#include "libs/registry/shape.h"
#include "libs/registry/verbs/write.h"

namespace coxswain::registry {
namespace {

Attempt fail(const CallPtr& call, const api::Status& status) {
  respond_status(call, status);
  return answered();
}

void set_scheduled(json::Value& pod, std::int64_t now_unix_ms) {
  json::Value condition = json::Value::object({{"type", "PodScheduled"},
                                               {"status", "True"},
                                               {"lastProbeTime", nullptr},
                                               {"lastTransitionTime", format_rfc3339(now_unix_ms)}});
  json::Value& conditions = pod["status"]["conditions"];
  if (!conditions.is_array()) conditions = json::Value::array();
  for (json::Value& existing : conditions.as_array()) {
    if (existing.get_string("type") != "PodScheduled") continue;
    if (existing.get_string("status") != "True") existing = std::move(condition);
    return;
  }
  conditions.push_back(std::move(condition));
}

void merge_annotations(const json::Value& binding, json::Value& pod) {
  const json::Value* annotations = binding.find_path({"metadata", "annotations"});
  if (annotations == nullptr || !annotations->is_object()) return;
  for (const json::Member& annotation : annotations->as_object()) {
    pod["metadata"]["annotations"].set(annotation.first, annotation.second);
  }
}

Attempt plan(const CallPtr& call, const json::Value& binding) {
  Attempt attempt;
  const Result<store::EntryPtr> current = call->core.store.get(call->key());
  if (!current.ok()) return fail(call, api::not_found({"", "pods"}, call->info.name));
  json::Value pod = decode_stored(**current);
  const auto refuse = [&](const std::string& why) {
    return fail(call, api::conflict({"", "pods/binding"}, call->info.name, why));
  };
  const std::string uid = binding.get_string_path({"metadata", "uid"});
  if (!uid.empty() && uid != pod.get_string_path({"metadata", "uid"})) {
    return refuse("Precondition failed: UID in precondition: " + uid +
                  ", UID in object meta: " + pod.get_string_path({"metadata", "uid"}));
  }
  if (pod.find_path({"metadata", "deletionTimestamp"}) != nullptr) {
    return refuse("pod " + call->info.name + " is being deleted, cannot be assigned to a host");
  }
  const std::string bound = pod.get_string_path({"spec", "nodeName"});
  if (!bound.empty()) {
    return refuse("pod " + call->info.name + " is already assigned to node \"" + bound + "\"");
  }
  const json::Value* gates = pod.find_path({"spec", "schedulingGates"});
  if (gates != nullptr && gates->is_array() && !gates->as_array().empty()) {
    return refuse("pod " + call->info.name + " has non-empty .spec.schedulingGates");
  }
  pod["spec"].set("nodeName", binding.get_string_path({"target", "name"}));
  merge_annotations(binding, pod);
  set_scheduled(pod, call->now_unix_ms);
  if (call->dry_run) {
    respond_created(call);
    return answered();
  }
  auto stored = std::make_shared<json::Value>(storage_form(*call->strategy, std::move(pod)));
  Encoded encoded = encode(*stored);
  attempt.txn.compares.push_back({std::string((*current)->key), (*current)->mod_revision});
  attempt.txn.ops.push_back(
      {store::Op::Type::kPut, std::string((*current)->key), std::move(encoded.bytes), encoded.splice_at});
  attempt.done = [call, stored](const store::TxnResult& result) {
    publish(*call, result, *stored);
    respond_created(call);
  };
  return attempt;
}

}  // namespace

void handle_binding(const CallPtr& call) {
  api::ApiResult<json::Value> body = read_side_body(call, "io.k8s.api.core.v1.Binding");
  if (!body.ok()) return respond_status(call, body.error());
  auto binding = std::make_shared<json::Value>(std::move(*body));
  const std::string name = binding->get_string_path({"metadata", "name"});
  if (call->info.name.empty()) call->info.name = name;
  if (!name.empty() && name != call->info.name) {
    return respond_status(call, api::bad_request("name in URL does not match name in Binding object"));
  }
  const std::string kind = binding->get_string_path({"target", "kind"});
  Causes causes;
  if (!kind.empty() && kind != "Node") {
    causes.push_back({"FieldValueNotSupported",
                      "Unsupported value: \"" + kind + "\": supported values: \"Node\"", "target.kind"});
  }
  if (binding->get_string_path({"target", "name"}).empty()) {
    causes.push_back({"FieldValueRequired", "Required value", "target.name"});
  }
  if (!causes.empty()) {
    return respond_status(call, api::invalid({"", "Binding"}, call->info.name, std::move(causes)));
  }
  call->resource = api::schema::find_resource("", "v1", "pods");
  call->strategy = &find_strategy("", "Pod");
  run_write(call, [call, binding] { return plan(call, *binding); });
}

}  // namespace coxswain::registry
