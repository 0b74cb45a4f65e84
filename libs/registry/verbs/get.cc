// GET of one object, and of its status subresource (the same document).
#include "libs/common/base/strings.h"
#include "libs/registry/core.h"

namespace coxswain::registry {

void handle_get(const CallPtr& call) {
  // What is here is new enough (freshness.h), and the latest of it is answered.
  if (const std::string_view text = call->request().query_value("resourceVersion"); !text.empty()) {
    const std::optional<std::int64_t> revision = parse_int64(text);
    if (!revision || *revision < 0)
      return respond_status(call, api::bad_request("invalid resourceVersion: " + std::string(text)));
  }
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
