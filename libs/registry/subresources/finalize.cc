// namespaces/finalize: the namespace controller says that everything inside is gone.
#include "libs/api/validation/validation.h"
#include "libs/registry/shape.h"
#include "libs/registry/verbs/write.h"

namespace coxswain::registry {
namespace {

Attempt plan(const CallPtr& call, const json::Value& wanted) {
  Attempt attempt;
  const Result<store::EntryPtr> current = call->core.store.get(call->key());
  if (!current.ok()) {
    respond_status(call, api::not_found(call->group_resource(), call->info.name));
    return answered();
  }
  const std::string revision = wanted.get_string_path({"metadata", "resourceVersion"});
  if (!revision.empty() && revision != std::to_string((*current)->mod_revision)) {
    respond_status(call,
                   api::conflict(call->group_resource(), call->info.name,
                                 "the object has been modified; please apply your changes to the latest "
                                 "version and try again"));
    return answered();
  }
  Causes causes;
  api::FieldErrors errors(causes);
  api::validate_namespace_finalizers(wanted, true, errors);
  if (!causes.empty()) {
    respond_status(call, invalid_object(*call, wanted, std::move(causes)));
    return answered();
  }
  json::Value object = decode_stored(**current);
  const json::Value* finalizers = wanted.find_path({"spec", "finalizers"});
  if (finalizers != nullptr && finalizers->is_array() && !finalizers->as_array().empty()) {
    object["spec"].set("finalizers", *finalizers);
  } else {
    object["spec"].erase("finalizers");
  }
  const json::Value* held = object.find_path({"metadata", "finalizers"});
  const bool gone = object.find_path({"metadata", "deletionTimestamp"}) != nullptr &&
                    object.find_path({"spec", "finalizers"}) == nullptr &&
                    (held == nullptr || !held->is_array() || held->as_array().empty());
  if (call->dry_run) {
    respond_object(call, 200, object);
    return answered();
  }
  if (gone) {
    plan_removal(*call, *current, object, attempt.txn);
    attempt.done = [call, object](const store::TxnResult&) { respond_object(call, 200, object); };
    return attempt;
  }
  Encoded encoded = encode(storage_form(*call->strategy, std::move(object)));
  attempt.txn.compares.push_back({std::string((*current)->key), (*current)->mod_revision});
  attempt.txn.ops.push_back(
      {store::Op::Type::kPut, std::string((*current)->key), std::move(encoded.bytes), encoded.splice_at});
  attempt.done = [call](const store::TxnResult& result) { respond_entry(call, 200, result.entries.front()); };
  return attempt;
}

}  // namespace

void handle_finalize(const CallPtr& call) {
  api::ApiResult<json::Value> body = read_body(call);
  if (!body.ok()) return respond_status(call, body.error());
  auto wanted = std::make_shared<json::Value>(std::move(*body));
  run_write(call, [call, wanted] { return plan(call, *wanted); });
}

}  // namespace coxswain::registry
