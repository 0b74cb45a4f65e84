// LIST: a snapshot at one revision, in pages when asked, as the bytes that are stored.
#include <algorithm>

#include "libs/common/base/strings.h"
#include "libs/registry/core.h"
#include "libs/registry/documents.h"
#include "libs/registry/object.h"
#include "libs/registry/shape.h"
#include "libs/registry/table.h"
#include "libs/registry/verbs/list_options.h"

namespace coxswain::registry {
namespace {

struct Page {
  std::vector<store::EntryPtr> entries;
  store::Revision revision = 0;
  std::string continue_token;
  std::int64_t remaining = 0;  // 0: not told
};

// The snapshot is gone. Who can live with a list that was not all true at one moment goes on with the token
// inside: from the same key, at whatever is there now.
api::Status continue_expired(const std::string& after) {
  api::Status status = api::expired(
      "The provided continue parameter is too old to display a consistent list result. You can start a new "
      "list without the continue parameter, or use the continue token in this response to retrieve the "
      "remainder of the results. Continuing with the provided token results in an inconsistent list - "
      "objects that were created, modified, or deleted between the time the first chunk was returned and now "
      "may show up in the list.");
  status.continue_token = make_continue_token(-1, after);
  return status;
}

// Reads until `limit` objects match or there are no more.
api::ApiResult<Page> read_page(const Call& call, const ListOptions& options, const Selection& selection) {
  Page page;
  std::string ns = call.info.ns;
  if (ns.empty() && call.resource->namespaced) ns = selection.ns();
  store::RangeRequest range;
  range.prefix = key_prefix(*call.resource, ns);
  range.after = options.continue_after;
  range.revision = options.continued ? options.continue_revision : (options.exact ? options.revision : 0);
  if (options.continued && options.continue_after.rfind(range.prefix, 0) != 0)
    return api::bad_request("continue key is not valid: it is of another list");
  const bool by_name = !selection.name().empty() && (!call.resource->namespaced || !ns.empty());
  if (by_name) range.prefix += selection.name();
  while (true) {
    range.limit = options.limit == 0 ? 0 : options.limit - page.entries.size();
    if (range.limit != 0 && !selection.everything()) range.limit = std::max<std::size_t>(range.limit, 500);
    Result<store::RangeResult> result = call.core.store.range(range);
    if (!result.ok()) {
      if (options.continued && result.error().code == ErrorCode::kCompacted)
        return continue_expired(range.after);
      return status_of_store_error(result.error());
    }
    page.revision = result->revision;
    range.revision = result->revision;
    bool more = result->more;
    std::int64_t remaining = result->remaining;
    for (std::size_t i = 0; i < result->entries.size(); ++i) {
      store::EntryPtr& entry = result->entries[i];
      range.after = entry->key;
      if (!selection.everything() && !selection.matches(*meta_of(*call.resource, *call.strategy, *entry))) {
        continue;
      }
      page.entries.push_back(std::move(entry));
      if (options.limit != 0 && page.entries.size() == options.limit) {
        if (i + 1 < result->entries.size()) more = true;
        break;
      }
    }
    if (!more) return page;
    if (options.limit == 0) continue;
    if (page.entries.size() < options.limit) continue;
    page.continue_token = make_continue_token(page.revision, range.after);
    if (selection.everything()) page.remaining = remaining;
    return page;
  }
}

json::Value list_metadata(const Page& page) {
  json::Value metadata = json::Value::object({{"resourceVersion", std::to_string(page.revision)}});
  if (!page.continue_token.empty()) metadata.set("continue", page.continue_token);
  if (page.remaining > 0) metadata.set("remainingItemCount", page.remaining);
  return metadata;
}

void respond_raw_list(const CallPtr& call, Page page) {
  http::Response response;
  response.headers.emplace_back("Content-Type", "application/json");
  response.body.reserve(page.entries.size() * 2 + 2);
  response.body.push_back(http::Chunk::of(
      "{\"kind\":\"" + std::string(call->resource->list_kind) + "\",\"apiVersion\":\"" +
      api_version(*call->resource) + "\",\"metadata\":" + json::write(list_metadata(page)) + ",\"items\":["));
  bool first = true;
  for (store::EntryPtr& entry : page.entries) {
    if (!first) response.body.push_back(http::Chunk::literal(","));
    first = false;
    const std::string_view bytes = entry->value;
    response.body.push_back(http::Chunk{std::move(entry), bytes});
  }
  response.body.push_back(http::Chunk::literal("]}\n"));
  respond_raw(call, std::move(response));
}

void respond_shaped_list(const CallPtr& call, const Page& page) {
  const bool table = call->output.shape == Output::Shape::kTable;
  const bool partial = call->output.shape == Output::Shape::kPartial;
  json::Value list =
      table ? table_head(*call->resource, std::to_string(page.revision)) : json::Value::object();
  if (!table) {
    list.set("kind", partial ? std::string_view("PartialObjectMetadataList") : call->resource->list_kind);
    list.set("apiVersion", partial ? std::string("meta.k8s.io/v1") : api_version(*call->resource));
  }
  list.set("metadata", list_metadata(page));
  const std::string_view include = call->request().query_value("includeObject");
  json::Array items;
  items.reserve(page.entries.size());
  for (const store::EntryPtr& entry : page.entries) {
    json::Value object = served_form(*call->strategy, decode_stored(*entry));
    if (table) {
      items.push_back(table_row(*call->resource, *call->strategy, object, include, call->now_unix_ms));
    } else {
      items.push_back(partial ? partial_metadata(object) : std::move(object));
    }
  }
  list.set(table ? "rows" : "items", std::move(items));
  respond_json(call, 200, list);
}

}  // namespace

void handle_list(const CallPtr& call) {
  const http::Request& request = call->request();
  api::ApiResult<ListOptions> options = parse_list_options(request, false);
  if (!options.ok()) return respond_status(call, options.error());
  api::ApiResult<Selection> selection = Selection::parse(
      *call->resource, request.query_value("labelSelector"), request.query_value("fieldSelector"));
  if (!selection.ok()) return respond_status(call, selection.error());
  api::ApiResult<Page> page = read_page(*call, *options, *selection);
  if (!page.ok()) return respond_status(call, page.error());
  const bool raw = call->output.shape == Output::Shape::kFull && !call->output.yaml && !call->output.pretty &&
                   call->strategy->from_storage == nullptr;
  if (raw) return respond_raw_list(call, std::move(*page));
  if (page->entries.size() <= 50) return respond_shaped_list(call, *page);
  auto shared = std::make_shared<Page>(std::move(*page));
  if (!call->core.workers.submit([call, shared] { respond_shaped_list(call, *shared); })) {
    respond_status(call, api::too_many_requests("too many large lists at once; try again", 1));
  }
}

}  // namespace coxswain::registry
