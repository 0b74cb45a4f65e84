// GET of one object, and of its status subresource (the same document).
#include "libs/registry/core.h"

namespace coxswain::registry {

void handle_get(const CallPtr& call) {
  Result<store::EntryPtr> entry = call->core.store.get(call->key());
  if (!entry.ok()) {
    respond_status(call, entry.error().code == ErrorCode::kNotFound
                             ? api::not_found(call->group_resource(), call->info.name)
                             : status_of_store_error(entry.error()));
    return;
  }
  respond_entry(call, 200, *entry);
}

}  // namespace coxswain::registry
