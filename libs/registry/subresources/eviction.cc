// pods/eviction: a delete with grace. Disruption budgets do not exist yet, so nothing refuses it.
#include "libs/registry/shape.h"
#include "libs/registry/verbs/delete_rules.h"

namespace coxswain::registry {
namespace {

api::ApiResult<DeleteOptions> options_of(const CallPtr& call) {
  COX_ASSIGN_OR_RETURN(const json::Value eviction, read_side_body(call, "io.k8s.api.policy.v1.Eviction"));
  const std::string name = eviction.get_string_path({"metadata", "name"});
  if (!name.empty() && name != call->info.name) {
    return api::bad_request("name in URL does not match name in Eviction object");
  }
  DeleteOptions options;
  options.dry_run = call->dry_run;
  if (const json::Value* given = eviction.find("deleteOptions")) {
    if (given->is_object()) COX_RETURN_IF_ERROR(read_delete_options(*given, options));
  }
  return options;
}

void answer(const CallPtr& call, const api::ApiResult<void>& result) {
  if (!result.ok()) return respond_status(call, result.error());
  respond_created(call);
}

}  // namespace

void handle_eviction(const CallPtr& call) {
  api::ApiResult<DeleteOptions> options = options_of(call);
  if (!options.ok()) return respond_status(call, options.error());
  run_write(call, [call, options = *options] {
    Attempt attempt;
    const Result<store::EntryPtr> current = call->core.store.get(call->key());
    if (!current.ok()) {
      respond_status(call, api::not_found(call->group_resource(), call->info.name));
      return answered();
    }
    auto plan = std::make_shared<DeletePlan>(plan_delete(*call, *current, options));
    if (plan->finished) {
      answer(call, plan->outcome.result);
      return answered();
    }
    attempt.txn = std::move(plan->txn);
    attempt.done = [call, plan](const store::TxnResult&) { answer(call, plan->outcome.result); };
    return attempt;
  });
}

}  // namespace coxswain::registry
