// POST: names, metadata, admission, allocation, one transaction.
#include "libs/registry/shape.h"
#include "libs/registry/verbs/write.h"
#include "libs/registry/zero_structs.h"

namespace coxswain::registry {
namespace {

// 400 when the body contradicts the URL.
api::ApiResult<void> check_target(Call& call, json::Value& object) {
  json::Value& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = json::Value::object();
  if (call.resource->namespaced) {
    const std::string ns = metadata.get_string("namespace");
    if (!ns.empty() && ns != call.info.ns) {
      return api::bad_request(
          "the namespace of the provided object does not match the namespace sent on the request");
    }
    metadata.set("namespace", call.info.ns);
  } else {
    metadata.erase("namespace");
  }
  if (!metadata.get_string("resourceVersion").empty()) {
    return api::bad_request("resourceVersion should not be set on objects to be created");
  }
  return {};
}

void stamp(Call& call, json::Value& object) {
  json::Value& metadata = object["metadata"];
  for (const char* member : {"selfLink", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds",
                             "generation", "resourceVersion"}) {
    metadata.erase(member);
  }
  metadata.set("uid", make_uuid(call.core.random));
  metadata.set("creationTimestamp", format_rfc3339(call.now_unix_ms));
  if (call.strategy->has_generation) metadata.set("generation", 1);
  const std::string prefix = metadata.get_string("generateName");
  if (metadata.get_string("name").empty() && !prefix.empty()) {
    // Room for the suffix: names end at 63.
    metadata.set("name", prefix.substr(0, 58) + make_name_suffix(call.core.random));
  }
  call.info.name = metadata.get_string("name");
}

api::ApiResult<void> prepare(Call& call, json::Value& object, store::Txn& txn) {
  stamp(call, object);
  if (call.strategy->prepare_create != nullptr) call.strategy->prepare_create(call.context(), object);
  add_zero_structs(*call.resource->type, object);
  COX_RETURN_IF_ERROR(admit_namespace(call, txn));
  Causes causes;
  check_metadata(*call.resource, *call.strategy, object, causes);
  check_schema(*call.resource, object, causes);
  if (causes.empty()) COX_RETURN_IF_ERROR(settle_claims(call, nullptr, &object, txn));
  if (call.strategy->validate_create != nullptr)
    call.strategy->validate_create(call.context(), object, causes);
  if (!causes.empty()) return invalid_object(call, object, std::move(causes));
  return {};
}

Attempt plan(const CallPtr& call, const json::Value& decoded) {
  Attempt attempt;
  json::Value object = decoded;
  if (api::ApiResult<void> ready = prepare(*call, object, attempt.txn); !ready.ok()) {
    respond_status(call, ready.error());
    return answered();
  }
  const std::string key = object_key(*call->resource, call->info.ns, call->info.name);
  const bool generated = decoded.get_string_path({"metadata", "name"}).empty();
  const api::Status exists = api::already_exists(call->group_resource(), call->info.name);
  if (call->dry_run) {
    if (call->core.store.get(key).ok())
      respond_status(call, exists);
    else
      respond_object(call, 201, object);
    return answered();
  }
  auto stored = std::make_shared<json::Value>(storage_form(*call->strategy, std::move(object)));
  Encoded encoded = encode(*stored);
  attempt.txn.compares.insert(attempt.txn.compares.begin(), {key, 0});
  attempt.txn.ops.insert(attempt.txn.ops.begin(),
                         {store::Op::Type::kPut, key, std::move(encoded.bytes), encoded.splice_at});
  attempt.done = [call, stored](const store::TxnResult& result) {
    respond_entry(call, 201, publish(*call, result, *stored));
  };
  attempt.conflict = [call, generated, exists](const store::TxnResult& result) {
    if (result.failed_compare != 0 || generated) return true;  // namespace or claim moved: plan again
    respond_status(call, exists);
    return false;
  };
  return attempt;
}

}  // namespace

void handle_create(const CallPtr& call) {
  api::ApiResult<json::Value> body = read_body(call);
  if (!body.ok()) return respond_status(call, body.error());
  auto object = std::make_shared<json::Value>(std::move(*body));
  if (api::ApiResult<void> target = check_target(*call, *object); !target.ok()) {
    return respond_status(call, target.error());
  }
  apply_defaults(*call->resource, *call->strategy, *object);
  run_write(call, [call, object] { return plan(call, *object); });
}

}  // namespace coxswain::registry
