// Deletion as Kubernetes does it: preconditions, grace, finalizers, propagation.
#pragma once

#include <optional>
#include <string>

#include "libs/registry/verbs/write.h"

namespace coxswain::registry {

struct DeleteOptions {
  std::optional<std::int64_t> grace_period_seconds;
  std::string propagation;  // "", Orphan, Background, Foreground
  std::string precondition_uid;
  std::string precondition_revision;
  bool dry_run = false;
};
// From the body and the query (the query fills what the body leaves out).
api::ApiResult<DeleteOptions> parse_delete_options(const CallPtr& call);

// From a DeleteOptions document, wherever it came from: types, values, contradictions. 400, 422.
api::ApiResult<void> read_delete_options(const json::Value& body, DeleteOptions& options);

// One attempt at deleting what is stored under `key`. Outcome goes to `answer`: exactly one of
// status (error), object (still there, or the last words of kinds that return them).
struct DeleteOutcome {
  api::ApiResult<void> result;
  json::Value object;
  bool removed = false;
};
struct DeletePlan {
  bool finished = false;  // nothing to commit: `outcome` says why
  store::Txn txn;
  DeleteOutcome outcome;  // valid after the commit when !finished
};
DeletePlan plan_delete(Call& call, const store::EntryPtr& current, const DeleteOptions& options);

}  // namespace coxswain::registry
