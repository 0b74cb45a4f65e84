// PATCH: JSON patch, merge patch, strategic merge patch, on the object or its status.
#include "libs/registry/shape.h"
#include "libs/registry/verbs/write.h"

namespace coxswain::registry {
namespace {

Attempt fail(const CallPtr& call, const api::Status& status) {
  respond_status(call, status);
  return answered();
}

Attempt plan(const CallPtr& call, PatchType type, FieldValidation validation) {
  const Result<store::EntryPtr> current = call->core.store.get(call->key());
  if (!current.ok()) {
    if (current.error().code != ErrorCode::kNotFound)
      return fail(call, status_of_store_error(current.error()));
    return fail(call, api::not_found(call->group_resource(), call->info.name));
  }
  const json::Value old = served_form(*call->strategy, decode_stored(**current));
  std::vector<std::string> duplicates;
  api::ApiResult<json::Value> patched =
      apply_patch(*call->resource, type, call->request().body, old, &duplicates);
  if (!patched.ok()) return fail(call, patched.error());
  json::Value object = std::move(*patched);
  const std::string revision = object.get_string_path({"metadata", "resourceVersion"});
  if (!revision.empty() && revision != std::to_string((*current)->mod_revision)) {
    return fail(call, api::conflict(call->group_resource(), call->info.name,
                                    "the object has been modified; please apply your changes to the latest "
                                    "version and try again"));
  }
  if (object.get_string_path({"metadata", "name"}) != call->info.name) {
    return fail(call,
                api::bad_request("the name of the object (" + object.get_string_path({"metadata", "name"}) +
                                 ") does not match the name on the URL (" + call->info.name + ")"));
  }
  call->warnings.clear();
  if (api::ApiResult<void> settled =
          settle_unknown_fields(*call->resource, object, std::move(duplicates), validation, &call->warnings);
      !settled.ok()) {
    // What comes out of a patch is judged as the patch's fault: 422, not the 400 of a bad body.
    Causes causes;
    causes.push_back(
        {"FieldValueInvalid",
         "Invalid value: " + json::write(json::Value(call->request().body)) + ": " + settled.error().message,
         "patch"});
    return fail(call, api::invalid({}, "", std::move(causes)));
  }
  apply_defaults(*call->resource, *call->strategy, object);
  return plan_update(call, *current, old, std::move(object), call->info.subresource == "status");
}

}  // namespace

void handle_patch(const CallPtr& call) {
  const std::string_view content_type = http::find_header(call->request().headers, "Content-Type");
  const std::optional<PatchType> type = patch_type(content_type);
  if (!type) {
    api::Status status = api::unsupported_media_type(std::string(kSupportedPatchTypes));
    if (content_type.rfind("application/apply-patch", 0) == 0) {
      status.message =
          "server-side apply is not served yet; use client-side apply (kubectl apply without "
          "--server-side): " +
          status.message;
    }
    return respond_status(call, status);
  }
  api::ApiResult<FieldValidation> validation = field_validation(*call);
  if (!validation.ok()) return respond_status(call, validation.error());
  run_write(call, [call, kind = *type, mode = *validation] { return plan(call, kind, mode); });
}

}  // namespace coxswain::registry
