#include "libs/registry/verbs/write.h"

#include <algorithm>

#include "libs/registry/library.h"
#include "libs/registry/shape.h"

namespace coxswain::registry {

Attempt answered() {
  Attempt attempt;
  attempt.answered = true;
  return attempt;
}

api::ApiResult<json::Value> read_body(const CallPtr& call) {
  const http::Request& request = call->request();
  const std::optional<BodyType> type = body_type(http::find_header(request.headers, "Content-Type"));
  if (!type) return api::unsupported_media_type(std::string(kSupportedBodyTypes));
  COX_ASSIGN_OR_RETURN(const FieldValidation validation, field_validation(*call));
  return decode_object(*call->resource, request.body, *type, validation, &call->warnings);
}

api::ApiResult<json::Value> read_side_body(const CallPtr& call, std::string_view type) {
  const http::Request& request = call->request();
  const std::optional<BodyType> media = body_type(http::find_header(request.headers, "Content-Type"));
  if (request.body.empty()) return json::Value::object();
  if (!media) return api::unsupported_media_type(std::string(kSupportedBodyTypes));
  COX_ASSIGN_OR_RETURN(json::Value body, decode_any(request.body, *media));
  const api::schema::Type* schema = api::schema::find_type(type);
  COX_CHECK(schema != nullptr);
  const std::string kind(type.substr(type.rfind('.') + 1));
  const std::string given = body.get_string("kind");
  if (!body.is_object() || (!given.empty() && given != kind)) {
    return api::bad_request("the body must be an object of kind " + kind + ", not " +
                            (given.empty() ? json::to_string(body.type()) : given));
  }
  Causes wrong;
  library::check(*schema, body, wrong);
  if (!wrong.empty()) return api::bad_request(kind + " cannot be handled: " + wrong.front().message);
  return body;
}

api::ApiResult<FieldValidation> field_validation(const Call& call) {
  return parse_field_validation(call.request().query_value("fieldValidation"));
}

api::ApiResult<void> admit_namespace(const Call& call, store::Txn& txn) {
  if (!call.resource->namespaced) return {};
  const std::string key = "/registry/core/namespaces/" + call.info.ns;
  const Result<store::EntryPtr> entry = call.core.store.get(key);
  if (!entry.ok()) {
    if (entry.error().code == ErrorCode::kNotFound) return api::not_found({"", "namespaces"}, call.info.ns);
    return status_of_store_error(entry.error());
  }
  // A cheap look before the parse: only a namespace that is going away has the member.
  if ((*entry)->value.find("\"deletionTimestamp\"") != std::string::npos &&
      decode_stored(**entry).find_path({"metadata", "deletionTimestamp"}) != nullptr) {
    api::Status status = api::forbidden(
        call.group_resource(), call.info.name,
        "unable to create new content in namespace " + call.info.ns + " because it is being terminated");
    status.causes.push_back(
        {"NamespaceTerminating", "namespace " + call.info.ns + " is being terminated", "metadata.namespace"});
    return status;
  }
  txn.compares.push_back({key, (*entry)->mod_revision});
  return {};
}

json::Value storage_form(const Strategy& strategy, json::Value object) {
  if (json::Value* metadata = object.find("metadata")) {
    metadata->erase("managedFields");
    metadata->erase("selfLink");
    metadata->erase("resourceVersion");
  }
  return strategy.to_storage == nullptr ? std::move(object) : strategy.to_storage(std::move(object));
}

api::ApiResult<void> settle_claims(Call& call, const json::Value* old, json::Value* object, store::Txn& txn) {
  const Strategy& strategy = *call.strategy;
  if (strategy.claims == nullptr) return {};
  const ClaimTaken taken = [&call](const std::string& claim) {
    return call.core.store.get(claim_key(claim)).ok();
  };
  if (object != nullptr && strategy.allocate != nullptr) {
    Causes causes;
    strategy.allocate(call.context(), old, *object, taken, causes);
    if (!causes.empty()) return invalid_object(call, *object, std::move(causes));
  }
  std::vector<std::string> before;
  std::vector<std::string> after;
  if (old != nullptr) strategy.claims(*old, before);
  if (object != nullptr) strategy.claims(*object, after);
  for (const std::string& claim : after) {
    if (std::find(before.begin(), before.end(), claim) != before.end()) continue;
    txn.compares.push_back({claim_key(claim), 0});
    txn.ops.push_back({store::Op::Type::kPut, claim_key(claim), call.info.ns + "/" + call.info.name});
  }
  for (const std::string& claim : before) {
    if (std::find(after.begin(), after.end(), claim) != after.end()) continue;
    txn.ops.push_back({store::Op::Type::kDelete, claim_key(claim), {}});
  }
  return {};
}

store::EntryPtr publish(const Call& call, const store::TxnResult& result, const json::Value& stored) {
  const store::EntryPtr& entry = result.entries.front();
  if (!call.resource->field_selectors.empty() || stored.find_path({"metadata", "labels"}) != nullptr) {
    entry->set_attachment(make_meta(*call.resource, *call.strategy, stored));
  }
  return entry;
}

api::Status invalid_object(const Call& call, const json::Value& object, Causes causes) {
  std::string name = object.get_string_path({"metadata", "name"});
  if (name.empty()) name = object.get_string_path({"metadata", "generateName"});
  return api::invalid({std::string(call.resource->group), std::string(call.resource->kind)}, name,
                      std::move(causes));
}

void plan_removal(Call& call, const store::EntryPtr& current, const json::Value& final_object,
                  store::Txn& txn) {
  txn.compares.insert(txn.compares.begin(), {std::string(current->key), current->mod_revision});
  const Encoded encoded = encode(storage_form(*call.strategy, final_object));
  txn.ops.insert(txn.ops.begin(),
                 {store::Op::Type::kDelete, std::string(current->key), encoded.bytes, encoded.splice_at});
  if (call.strategy->claims != nullptr) (void)settle_claims(call, &final_object, nullptr, txn);
}

}  // namespace coxswain::registry
