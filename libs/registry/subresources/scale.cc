// autoscaling/v1 Scale of Deployments and ReplicaSets: a view of spec.replicas and status.replicas.
#include "libs/api/meta/selector.h"
#include "libs/registry/library.h"
#include "libs/registry/media.h"
#include "libs/registry/shape.h"
#include "libs/registry/verbs/write.h"

namespace coxswain::registry {
namespace {

std::string selector_text(const json::Value& object) {
  const json::Value* selector = object.find_path({"spec", "selector"});
  if (selector == nullptr) return {};
  const Result<api::LabelSelector> parsed = api::LabelSelector::from_json(*selector);
  return parsed.ok() ? parsed->to_string() : std::string();
}

json::Value to_scale(const json::Value& object) {
  json::Value metadata = json::Value::object();
  for (const char* key : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
    if (const json::Value* value = object.find_path({"metadata", key})) metadata.set(key, *value);
  }
  json::Value scale = json::Value::object({{"kind", "Scale"}, {"apiVersion", "autoscaling/v1"}});
  scale.set("metadata", std::move(metadata));
  const json::Value* spec = object.find("spec");
  const json::Value* status = object.find("status");
  scale.set("spec", json::Value::object({{"replicas", spec == nullptr ? 0 : spec->get_int("replicas", 1)}}));
  scale.set("status", json::Value::object({{"replicas", status == nullptr ? 0 : status->get_int("replicas")},
                                           {"selector", selector_text(object)}}));
  return scale;
}

Attempt fail(const CallPtr& call, const api::Status& status) {
  respond_status(call, status);
  return answered();
}

api::Status invalid_scale(const Call& call, std::string message) {
  std::vector<api::StatusCause> causes;
  causes.push_back({"FieldValueInvalid", std::move(message), "spec.replicas"});
  return api::invalid({"autoscaling", "Scale"}, call.info.name, std::move(causes));
}

api::ApiResult<json::Value> wanted_scale(const CallPtr& call, const json::Value& current) {
  const http::Request& request = call->request();
  const std::string_view content_type = http::find_header(request.headers, "Content-Type");
  if (call->info.verb == "update") return read_side_body(call, "io.k8s.api.autoscaling.v1.Scale");
  const std::optional<PatchType> type = patch_type(content_type);
  if (!type) return api::unsupported_media_type(std::string(kSupportedPatchTypes));
  const Result<json::Value> patch = json::parse(request.body);
  if (!patch.ok()) return api::bad_request("the patch is not valid JSON: " + patch.error().message);
  // Scale has no lists: the schema of any type will do for a strategic merge.
  return library::patch(*call->resource->type, *type, *patch, current);
}

Attempt plan(const CallPtr& call) {
  const Result<store::EntryPtr> current = call->core.store.get(call->key());
  if (!current.ok()) return fail(call, api::not_found(call->group_resource(), call->info.name));
  json::Value object = served_form(*call->strategy, decode_stored(**current));
  const json::Value scale = to_scale(object);
  if (call->info.verb == "get") {
    respond_json(call, 200, scale);
    return answered();
  }
  api::ApiResult<json::Value> wanted = wanted_scale(call, scale);
  if (!wanted.ok()) return fail(call, wanted.error());
  const std::string revision = wanted->get_string_path({"metadata", "resourceVersion"});
  if (!revision.empty() && revision != std::to_string((*current)->mod_revision)) {
    return fail(call, api::conflict(call->group_resource(), call->info.name,
                                    "the object has been modified; please apply your changes to the latest "
                                    "version and try again"));
  }
  const json::Value* replicas = wanted->find_path({"spec", "replicas"});
  if (replicas != nullptr && replicas->type() != json::Type::kInt) {
    return fail(call, invalid_scale(*call, "Invalid value: must be an integer"));
  }
  const std::int64_t count = replicas == nullptr ? 0 : replicas->as_int();
  if (count < 0 || count > INT32_MAX) {
    return fail(call, invalid_scale(*call, "Invalid value: " + std::to_string(count) +
                                               ": must be greater than or equal to 0"));
  }
  const json::Value old = object;
  object["spec"].set("replicas", count);
  call->info.subresource.clear();  // from here on an ordinary update
  Attempt attempt = plan_update(call, *current, old, std::move(object), false);
  call->info.subresource = "scale";
  return attempt;
}

}  // namespace

void handle_scale(const CallPtr& call) {
  call->output.shape = Output::Shape::kFull;
  call->present = to_scale;
  run_write(call, [call] { return plan(call); });
}

}  // namespace coxswain::registry
