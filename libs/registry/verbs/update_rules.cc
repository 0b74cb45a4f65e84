// What any update must obey, whether it came as PUT, PATCH, status or scale.
#include <algorithm>

#include "libs/registry/shape.h"
#include "libs/registry/verbs/write.h"
#include "libs/registry/zero_structs.h"

namespace coxswain::registry {
namespace {

void copy_member(const json::Value& from, json::Value& to, std::string_view key) {
  const json::Value* value = from.find(key);
  if (value == nullptr) {
    to.erase(key);
  } else {
    to.set(key, *value);
  }
}

// Members that only the server sets keep their old values.
void restore_metadata(const json::Value& old, json::Value& object) {
  const json::Value* before = old.find("metadata");
  json::Value& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = json::Value::object();
  for (const char* key : {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp",
                          "deletionGracePeriodSeconds", "generation", "generateName", "resourceVersion"}) {
    copy_member(*before, metadata, key);
  }
  metadata.erase("managedFields");
  metadata.erase("selfLink");
}

// The status subresource: everything but status, labels, annotations and finalizers stays.
json::Value status_update(const json::Value& old, const json::Value& object) {
  json::Value result = old;
  copy_member(object, result, "status");
  json::Value& metadata = result["metadata"];
  if (const json::Value* from = object.find("metadata")) {
    for (const char* key : {"labels", "annotations", "finalizers"}) copy_member(*from, metadata, key);
  }
  return result;
}

bool has_subresource(const api::schema::Resource& resource, std::string_view name) {
  return std::find(resource.subresources.begin(), resource.subresources.end(), name) !=
         resource.subresources.end();
}

bool same_spec(const json::Value& a, const json::Value& b) {
  const auto rest = [](const json::Value& value) {
    json::Value copy = value;
    copy.erase("metadata");
    copy.erase("status");
    return copy;
  };
  return rest(a) == rest(b);
}

bool same_annotations(const json::Value& a, const json::Value& b) {
  static const json::Value none = json::Value::object();
  const json::Value* before = a.find_path({"metadata", "annotations"});
  const json::Value* now = b.find_path({"metadata", "annotations"});
  return (before == nullptr ? none : *before) == (now == nullptr ? none : *now);
}

// creationTimestamp may be left out, not changed.
void check_birth(const json::Value& old, const json::Value& object, Causes& causes) {
  const std::string now = object.get_string_path({"metadata", "creationTimestamp"});
  if (now.empty() || now == old.get_string_path({"metadata", "creationTimestamp"})) return;
  causes.push_back({"FieldValueInvalid",
                    "Invalid value: " + json::write(json::Value(now)) + ": field is immutable",
                    "metadata.creationTimestamp"});
}

bool finalizers_empty(const json::Value& object) {
  const json::Value* finalizers = object.find_path({"metadata", "finalizers"});
  return finalizers == nullptr || !finalizers->is_array() || finalizers->as_array().empty();
}

// A marked object whose last reason to stay is gone.
bool ready_to_go(const Strategy& strategy, const json::Value& object) {
  const json::Value* metadata = object.find("metadata");
  if (metadata->find("deletionTimestamp") == nullptr ||
      metadata->get_int("deletionGracePeriodSeconds") != 0) {
    return false;
  }
  if (!finalizers_empty(object)) return false;
  return strategy.may_be_removed == nullptr || strategy.may_be_removed(object);
}

void check_finalizers(const json::Value& old, const json::Value& object, Causes& causes) {
  if (old.find_path({"metadata", "deletionTimestamp"}) == nullptr) return;
  const json::Value* now = object.find_path({"metadata", "finalizers"});
  const json::Value* before = old.find_path({"metadata", "finalizers"});
  if (now == nullptr || !now->is_array()) return;
  for (const json::Value& finalizer : now->as_array()) {
    const bool known = before != nullptr && before->is_array() &&
                       std::find(before->as_array().begin(), before->as_array().end(), finalizer) !=
                           before->as_array().end();
    if (known || !finalizer.is_string()) continue;
    causes.push_back({"FieldValueForbidden",
                      "Forbidden: no new finalizers can be added if the object is being deleted, found new "
                      "finalizers []string{\"" +
                          finalizer.as_string() + "\"}",
                      "metadata.finalizers"});
  }
}

api::ApiResult<void> check_preconditions(const Call& call, const json::Value& old,
                                         const json::Value& object) {
  const std::string uid = object.get_string_path({"metadata", "uid"});
  const std::string old_uid = old.get_string_path({"metadata", "uid"});
  if (!uid.empty() && uid != old_uid) {
    return api::conflict(
        call.group_resource(), call.info.name,
        "Precondition failed: UID in precondition: " + uid + ", UID in object meta: " + old_uid);
  }
  return {};
}

void run_strategy(Call& call, const json::Value& old, json::Value& object, bool status_only, Causes& causes,
                  store::Txn& txn, api::ApiResult<void>& claims) {
  const Strategy& strategy = *call.strategy;
  const Context context = call.context();
  if (status_only) {
    if (strategy.prepare_status_update != nullptr) strategy.prepare_status_update(context, old, object);
  } else {
    if (has_subresource(*call.resource, "status")) copy_member(old, object, "status");
    if (strategy.prepare_update != nullptr) strategy.prepare_update(context, old, object);
  }
  add_zero_structs(*call.resource->type, object);
  check_metadata(*call.resource, strategy, object, causes);
  check_schema(*call.resource, object, causes);
  check_finalizers(old, object, causes);
  if (!status_only && causes.empty()) claims = settle_claims(call, &old, &object, txn);
  if (status_only) {
    if (strategy.validate_status_update != nullptr)
      strategy.validate_status_update(context, old, object, causes);
  } else if (strategy.validate_update != nullptr) {
    strategy.validate_update(context, old, object, causes);
  } else if (strategy.validate_create != nullptr) {
    strategy.validate_create(context, object, causes);
  }
}

Attempt fail(const CallPtr& call, const api::Status& status) {
  respond_status(call, status);
  return answered();
}

}  // namespace

Attempt plan_update(const CallPtr& call, const store::EntryPtr& current, const json::Value& old,
                    json::Value object, bool status_only) {
  Attempt attempt;
  if (api::ApiResult<void> ok = check_preconditions(*call, old, object); !ok.ok())
    return fail(call, ok.error());
  Causes causes;
  check_birth(old, object, causes);
  restore_metadata(old, object);
  if (status_only) object = status_update(old, object);
  api::ApiResult<void> claims;
  run_strategy(*call, old, object, status_only, causes, attempt.txn, claims);
  if (!causes.empty()) return fail(call, invalid_object(*call, object, std::move(causes)));
  if (!claims.ok()) return fail(call, claims.error());
  const bool annotated = call->strategy->generation_of_annotations && !same_annotations(old, object);
  if (call->strategy->has_generation && !status_only && (annotated || !same_spec(old, object))) {
    const std::int64_t generation = old.find("metadata")->get_int("generation");
    object["metadata"].set("generation", generation + 1);
  }
  if (ready_to_go(*call->strategy, object)) {
    if (call->dry_run) {
      respond_object(call, 200, object);
      return answered();
    }
    attempt.txn = {};
    plan_removal(*call, current, object, attempt.txn);
    attempt.done = [call, object](const store::TxnResult&) { respond_object(call, 200, object); };
    return attempt;
  }
  auto stored = std::make_shared<json::Value>(storage_form(*call->strategy, object));
  Encoded encoded = encode(*stored);
  json::Value old_stored = decode_stored(*current);
  if (json::Value* metadata = old_stored.find("metadata")) metadata->erase("resourceVersion");
  if (same_content(encoded, *current) || old_stored == *stored) {
    respond_entry(call, 200, current);
    return answered();
  }
  if (call->dry_run) {
    respond_object(call, 200, object);
    return answered();
  }
  attempt.txn.compares.insert(attempt.txn.compares.begin(),
                              {std::string(current->key), current->mod_revision});
  attempt.txn.ops.insert(attempt.txn.ops.begin(), {store::Op::Type::kPut, std::string(current->key),
                                                   std::move(encoded.bytes), encoded.splice_at});
  attempt.done = [call, stored](const store::TxnResult& result) {
    respond_entry(call, 200, publish(*call, result, *stored));
  };
  return attempt;
}

}  // namespace coxswain::registry
