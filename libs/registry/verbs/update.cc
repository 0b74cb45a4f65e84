// PUT of an object or its status.
#include "libs/common/base/strings.h"
#include "libs/registry/shape.h"
#include "libs/registry/verbs/write.h"

namespace coxswain::registry {
namespace {

constexpr const char* kModified =
    "the object has been modified; please apply your changes to the latest version and try again";

api::ApiResult<void> check_target(const Call& call, json::Value& object) {
  json::Value& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = json::Value::object();
  const std::string name = metadata.get_string("name");
  if (name.empty()) metadata.set("name", call.info.name);
  if (!name.empty() && name != call.info.name) {
    return api::bad_request("the name of the object (" + name + ") does not match the name on the URL (" +
                            call.info.name + ")");
  }
  const std::string ns = metadata.get_string("namespace");
  if (call.resource->namespaced && !ns.empty() && ns != call.info.ns) {
    return api::bad_request("the namespace of the object (" + ns +
                            ") does not match the namespace on the request (" + call.info.ns + ")");
  }
  return {};
}

Attempt fail(const CallPtr& call, const api::Status& status) {
  respond_status(call, status);
  return answered();
}

Attempt plan(const CallPtr& call, const json::Value& object) {
  const Result<store::EntryPtr> current = call->core.store.get(call->key());
  const std::string revision = object.get_string_path({"metadata", "resourceVersion"});
  const bool status_only = call->info.subresource == "status";
  if (!current.ok()) {
    if (current.error().code != ErrorCode::kNotFound)
      return fail(call, status_of_store_error(current.error()));
    return fail(call, api::not_found(call->group_resource(), call->info.name));
  }
  const std::string current_revision = std::to_string((*current)->mod_revision);
  if (revision.empty() || revision == "0") {
    if (!call->strategy->allow_unconditional_update) {
      Causes causes;
      causes.push_back({"FieldValueInvalid", "Invalid value: 0: must be specified for an update",
                        "metadata.resourceVersion"});
      return fail(call, invalid_object(*call, object, std::move(causes)));
    }
  } else if (!parse_uint64(revision)) {
    Causes causes;
    causes.push_back({"FieldValueInvalid", "Invalid value: \"" + revision + "\": must be an integer",
                      "metadata.resourceVersion"});
    return fail(call, invalid_object(*call, object, std::move(causes)));
  } else if (revision != current_revision) {
    return fail(call, api::conflict(call->group_resource(), call->info.name, kModified));
  }
  const json::Value old = served_form(*call->strategy, decode_stored(**current));
  return plan_update(call, *current, old, object, status_only);
}

}  // namespace

void handle_update(const CallPtr& call) {
  api::ApiResult<json::Value> body = read_body(call);
  if (!body.ok()) return respond_status(call, body.error());
  auto object = std::make_shared<json::Value>(std::move(*body));
  if (api::ApiResult<void> target = check_target(*call, *object); !target.ok()) {
    return respond_status(call, target.error());
  }
  const bool absent = !call->core.store.get(call->key()).ok();
  if (absent && call->strategy->allow_create_on_update && call->info.subresource.empty() &&
      object->get_string_path({"metadata", "resourceVersion"}).empty()) {
    return handle_create(call);
  }
  apply_defaults(*call->resource, *call->strategy, *object);
  run_write(call, [call, object] { return plan(call, *object); });
}

}  // namespace coxswain::registry
