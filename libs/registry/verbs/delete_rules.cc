#include "libs/registry/verbs/delete_rules.h"

#include <algorithm>

#include "libs/common/base/strings.h"
#include "libs/registry/library.h"
#include "libs/registry/shape.h"

namespace coxswain::registry {
namespace {

constexpr std::string_view kOrphan = "orphan";
constexpr std::string_view kForeground = "foregroundDeletion";

api::Status invalid_option(const char* reason, const char* field, std::string message) {
  std::vector<api::StatusCause> causes;
  causes.push_back({reason, std::move(message), field});
  return api::invalid({"meta.k8s.io", "DeleteOptions"}, "", std::move(causes));
}

api::ApiResult<void> read_options_body(const CallPtr& call, DeleteOptions& options) {
  COX_ASSIGN_OR_RETURN(const json::Value body,
                       read_side_body(call, "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"));
  return read_delete_options(body, options);
}

json::Array finalizers_after(const json::Value& object, const std::string& propagation) {
  json::Array kept;
  const json::Value* finalizers = object.find_path({"metadata", "finalizers"});
  if (finalizers != nullptr && finalizers->is_array()) {
    for (const json::Value& finalizer : finalizers->as_array()) {
      const bool ours = finalizer == json::Value(kOrphan) || finalizer == json::Value(kForeground);
      if (!ours || propagation.empty()) kept.push_back(finalizer);
    }
  }
  if (propagation == "Orphan") kept.push_back(kOrphan);
  if (propagation == "Foreground") kept.push_back(kForeground);
  return kept;
}

api::ApiResult<void> check_preconditions(const Call& call, const store::Entry& current,
                                         const json::Value& object, const DeleteOptions& options) {
  const std::string uid = object.get_string_path({"metadata", "uid"});
  if (!options.precondition_uid.empty() && options.precondition_uid != uid) {
    return api::conflict(call.group_resource(), call.info.name,
                         "Precondition failed: UID in precondition: " + options.precondition_uid +
                             ", UID in object meta: " + uid);
  }
  const std::string revision = std::to_string(current.mod_revision);
  if (!options.precondition_revision.empty() && options.precondition_revision != revision) {
    return api::conflict(call.group_resource(), call.info.name,
                         "Precondition failed: ResourceVersion in precondition: " +
                             options.precondition_revision + ", ResourceVersion in object meta: " + revision);
  }
  return {};
}

// Marks the object or shortens its grace. False: nothing changed.
bool mark(Call& call, json::Value& object, std::int64_t grace_seconds, json::Array finalizers) {
  json::Value& metadata = object["metadata"];
  const json::Value before = object;
  const bool first = metadata.find("deletionTimestamp") == nullptr;
  if (first || grace_seconds < metadata.get_int("deletionGracePeriodSeconds")) {
    std::int64_t start_ms = call.now_unix_ms;
    if (!first) {
      std::int64_t deadline_ms = 0;
      if (parse_rfc3339(metadata.get_string("deletionTimestamp"), &deadline_ms)) {
        start_ms = deadline_ms - metadata.get_int("deletionGracePeriodSeconds") * 1000;
      }
    }
    metadata.set("deletionTimestamp", format_rfc3339(start_ms + grace_seconds * 1000));
    metadata.set("deletionGracePeriodSeconds", grace_seconds);
    if (first && call.strategy->has_generation)
      metadata.set("generation", metadata.get_int("generation") + 1);
  }
  if (finalizers.empty()) {
    metadata.erase("finalizers");
  } else {
    metadata.set("finalizers", std::move(finalizers));
  }
  if (first && call.strategy->on_terminating != nullptr)
    call.strategy->on_terminating(call.context(), object);
  return !(before == object);
}

}  // namespace

api::ApiResult<void> read_delete_options(const json::Value& body, DeleteOptions& options) {
  static const api::schema::Type* const type =
      api::schema::find_type("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
  COX_CHECK(type != nullptr);
  Causes wrong;
  library::check(*type, body, wrong);
  if (!wrong.empty())
    return api::bad_request("DeleteOptions: " + wrong.front().field + ": " + wrong.front().message);
  if (const json::Value* grace = body.find("gracePeriodSeconds"); grace != nullptr && !grace->is_null())
    options.grace_period_seconds = grace->as_int();
  options.propagation = body.get_string("propagationPolicy");
  const json::Value* orphan = body.find("orphanDependents");
  if (orphan != nullptr && orphan->is_bool()) {
    if (!options.propagation.empty()) {
      return invalid_option("FieldValueInvalid", "propagationPolicy",
                            "Invalid value: \"" + options.propagation +
                                "\": orphanDependents and deletionPropagation cannot be both set");
    }
    options.propagation = orphan->as_bool() ? "Orphan" : "Background";
  }
  options.precondition_uid = body.get_string_path({"preconditions", "uid"});
  options.precondition_revision = body.get_string_path({"preconditions", "resourceVersion"});
  const json::Value* dry_run = body.find("dryRun");
  if (dry_run == nullptr || !dry_run->is_array()) return {};
  for (const json::Value& item : dry_run->as_array()) {
    if (!(item == json::Value("All"))) {
      return invalid_option("FieldValueNotSupported", "dryRun",
                            "Unsupported value: " + json::write(item) + ": supported values: \"All\"");
    }
    options.dry_run = true;
  }
  return {};
}

api::ApiResult<DeleteOptions> parse_delete_options(const CallPtr& call) {
  DeleteOptions options;
  COX_RETURN_IF_ERROR(read_options_body(call, options));
  const http::Request& request = call->request();
  if (const std::string_view grace = request.query_value("gracePeriodSeconds");
      !grace.empty() && !options.grace_period_seconds) {
    const std::optional<std::int64_t> parsed = parse_int64(grace);
    if (!parsed) return api::bad_request("gracePeriodSeconds must be an integer");
    options.grace_period_seconds = *parsed;
  }
  if (options.propagation.empty()) options.propagation = request.query_value("propagationPolicy");
  if (options.grace_period_seconds && *options.grace_period_seconds < 0) {
    // Kubernetes treats a negative period as "at once, but politely".
    options.grace_period_seconds = 1;
  }
  if (!options.propagation.empty() && options.propagation != "Orphan" &&
      options.propagation != "Background" && options.propagation != "Foreground") {
    return invalid_option("FieldValueInvalid", "propagationPolicy",
                          "Invalid value: \"" + options.propagation +
                              "\": must be one of \"Background\", \"Foreground\", \"Orphan\"");
  }
  options.dry_run = options.dry_run || call->dry_run;
  return options;
}

DeletePlan plan_delete(Call& call, const store::EntryPtr& current, const DeleteOptions& options) {
  DeletePlan plan;
  const Strategy& strategy = *call.strategy;
  json::Value object = served_form(strategy, decode_stored(*current));
  plan.outcome.result = check_preconditions(call, *current, object, options);
  if (strategy.forbids_deletion != nullptr) {
    if (const char* why = strategy.forbids_deletion(object))
      plan.outcome.result = api::forbidden(call.group_resource(), call.info.name, why);
  }
  plan.finished = !plan.outcome.result.ok();
  if (plan.finished) {
    plan.outcome.object = std::move(object);
    return plan;
  }
  std::int64_t grace_seconds = 0;
  if (strategy.grace_period_seconds != nullptr) {
    grace_seconds =
        std::max<std::int64_t>(0, strategy.grace_period_seconds(object, options.grace_period_seconds));
  }
  json::Array finalizers = finalizers_after(object, options.propagation);
  const bool held =
      !finalizers.empty() || (strategy.may_be_removed != nullptr && !strategy.may_be_removed(object));
  if (grace_seconds == 0 && !held) {
    plan.outcome.removed = true;
    if (json::Value* metadata = object.find("metadata")) metadata->erase("finalizers");
    plan_removal(call, current, object, plan.txn);
    plan.finished = options.dry_run;
    plan.outcome.object = std::move(object);
    return plan;
  }
  plan.finished = !mark(call, object, grace_seconds, std::move(finalizers)) || options.dry_run;
  if (!plan.finished) {
    Encoded encoded = encode(storage_form(strategy, object));
    plan.txn.compares.push_back({std::string(current->key), current->mod_revision});
    plan.txn.ops.push_back(
        {store::Op::Type::kPut, std::string(current->key), std::move(encoded.bytes), encoded.splice_at});
  }
  plan.outcome.object = std::move(object);
  return plan;
}

}  // namespace coxswain::registry
