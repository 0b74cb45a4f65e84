// DELETE of one object, and of a collection.
#include <algorithm>

#include "libs/registry/object.h"
#include "libs/registry/shape.h"
#include "libs/registry/verbs/delete_rules.h"
#include "libs/registry/verbs/list_options.h"

namespace coxswain::registry {
namespace {

// Kinds whose deletion answers with the object rather than with a Status.
bool returns_object(const api::schema::Resource& resource) {
  return resource.group.empty() &&
         (resource.plural == "pods" || resource.plural == "services" || resource.plural == "serviceaccounts");
}

void answer(const CallPtr& call, const DeleteOutcome& outcome) {
  if (!outcome.result.ok()) return respond_status(call, outcome.result.error());
  if (outcome.removed && !returns_object(*call->resource)) {
    return respond_success(call, outcome.object.get_string_path({"metadata", "uid"}));
  }
  respond_object(call, 200, outcome.object);
}

Attempt plan_one(const CallPtr& call, const DeleteOptions& options) {
  Attempt attempt;
  const Result<store::EntryPtr> current = call->core.store.get(call->key());
  if (!current.ok()) {
    respond_status(call, current.error().code == ErrorCode::kNotFound
                             ? api::not_found(call->group_resource(), call->info.name)
                             : status_of_store_error(current.error()));
    attempt.answered = true;
    return attempt;
  }
  auto plan = std::make_shared<DeletePlan>(plan_delete(*call, *current, options));
  if (plan->finished) {
    answer(call, plan->outcome);
    attempt.answered = true;
    return attempt;
  }
  attempt.txn = std::move(plan->txn);
  attempt.done = [call, plan](const store::TxnResult& result) {
    if (!plan->outcome.removed && result.entries.front() != nullptr) {
      return respond_entry(call, 200, result.entries.front());
    }
    answer(call, plan->outcome);
  };
  return attempt;
}

// A collection is deleted object by object, as Kubernetes does; a few transactions in flight.
struct Sweep : std::enable_shared_from_this<Sweep> {
  CallPtr call;
  DeleteOptions options;
  std::vector<store::EntryPtr> victims;
  std::size_t next = 0;
  json::Array items;
  store::Revision revision = 0;

  void step() {
    while (next < victims.size()) {
      const Result<store::EntryPtr> current = call->core.store.get(victims[next]->key);
      if (!current.ok()) {
        ++next;
        continue;
      }
      const std::shared_ptr<const Meta> meta = meta_of(*call->resource, *call->strategy, **current);
      call->info.name = meta->name;
      call->info.ns = meta->ns;
      auto plan = std::make_shared<DeletePlan>(plan_delete(*call, *current, options));
      if (!plan->outcome.result.ok()) return respond_status(call, plan->outcome.result.error());
      if (plan->finished) {
        items.push_back(std::move(plan->outcome.object));
        ++next;
        continue;
      }
      auto self = shared_from_this();
      call->core.store.txn(std::move(plan->txn), [self, plan](Result<store::TxnResult> result) {
        self->call->exchange->post(
            0, [self, plan, result = std::move(result)] { self->committed(*plan, result); });
      });
      return;
    }
    json::Value list = json::Value::object(
        {{"kind", call->resource->list_kind},
         {"apiVersion", api_version(*call->resource)},
         {"metadata", json::Value::object({{"resourceVersion", std::to_string(revision)}})}});
    list.set("items", std::move(items));
    respond_json(call, 200, list);
  }

  void committed(const DeletePlan& plan, const Result<store::TxnResult>& result) {
    if (!result.ok()) return respond_status(call, status_of_store_error(result.error()));
    if (result->succeeded) {
      items.push_back(plan.outcome.object);
      ++next;
    }
    step();
  }
};

}  // namespace

void handle_delete(const CallPtr& call) {
  api::ApiResult<DeleteOptions> options = parse_delete_options(call);
  if (!options.ok()) return respond_status(call, options.error());
  run_write(call, [call, options = *options] { return plan_one(call, options); });
}

void handle_delete_collection(const CallPtr& call) {
  const http::Request& request = call->request();
  api::ApiResult<DeleteOptions> options = parse_delete_options(call);
  if (!options.ok()) return respond_status(call, options.error());
  api::ApiResult<ListOptions> list = parse_list_options(request, false);
  if (!list.ok()) return respond_status(call, list.error());
  api::ApiResult<Selection> selection = Selection::parse(
      *call->resource, request.query_value("labelSelector"), request.query_value("fieldSelector"));
  if (!selection.ok()) return respond_status(call, selection.error());
  store::RangeRequest range;
  range.prefix = key_prefix(*call->resource, call->info.ns);
  Result<store::RangeResult> result = call->core.store.range(range);
  if (!result.ok()) return respond_status(call, status_of_store_error(result.error()));
  auto sweep = std::make_shared<Sweep>();
  sweep->call = call;
  sweep->options = *options;
  sweep->revision = result->revision;
  for (store::EntryPtr& entry : result->entries) {
    if (selection->everything() || selection->matches(*meta_of(*call->resource, *call->strategy, *entry))) {
      sweep->victims.push_back(std::move(entry));
      if (list->limit != 0 && sweep->victims.size() == list->limit) break;
    }
  }
  sweep->step();
}

}  // namespace coxswain::registry
