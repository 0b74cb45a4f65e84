// Steps that create, update, patch and delete share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/registry/core.h"
#include "libs/registry/documents.h"
#include "libs/registry/object.h"

namespace coxswain::registry {

// Reads the request's body by its Content-Type: 415, 400.
api::ApiResult<json::Value> read_body(const CallPtr& call);
// A body that is not an object of the resource: Binding, Eviction, Scale, ... `type` is its OpenAPI name.
// Must be an object of that kind, or of none, whose members have the right types: 415, 400. Empty: `{}`.
api::ApiResult<json::Value> read_side_body(const CallPtr& call, std::string_view type);
api::ApiResult<FieldValidation> field_validation(const Call& call);

// The namespace must exist, and not be going away. Its state is made a compare of `txn`, so that
// nothing slips into a namespace that is being emptied.
api::ApiResult<void> admit_namespace(const Call& call, store::Txn& txn);

// The document as stored: to_storage applied, managedFields dropped.
json::Value storage_form(const Strategy& strategy, json::Value object);

// Runs the strategy's allocate and puts taken and dropped claims into `txn`; `old` and/or `object` may
// be null (create, delete).
api::ApiResult<void> settle_claims(Call& call, const json::Value* old, json::Value* object, store::Txn& txn);

// After a successful put of ops[0]: attaches filters' data and hands back the entry.
store::EntryPtr publish(const Call& call, const store::TxnResult& result, const json::Value& stored);

// One object update, from the object as it is now to `object` (served form, defaults applied):
// metadata restored, strategy, checks, no-op and finalizer logic. Fills `attempt`, or answers.
// `status_only`: the status subresource.
Attempt plan_update(const CallPtr& call, const store::EntryPtr& current, const json::Value& old,
                    json::Value object, bool status_only);

Attempt answered();  // an attempt that wants nothing more

api::Status invalid_object(const Call& call, const json::Value& object, Causes causes);

// Deletion after the last finalizer went: the last words are the final object.
void plan_removal(Call& call, const store::EntryPtr& current, const json::Value& final_object,
                  store::Txn& txn);

}  // namespace coxswain::registry
