// WATCH: stored bytes framed as events, straight from the store's shared history. A watcher pulls when
// its connection can take more, so that events pile up (and are sent in one write) only in front of
// slow clients, and cost nobody else anything.
#include <algorithm>

#include "libs/api/yaml/yaml.h"
#include "libs/common/base/strings.h"
#include "libs/registry/core.h"
#include "libs/registry/documents.h"
#include "libs/registry/object.h"
#include "libs/registry/shape.h"
#include "libs/registry/table.h"
#include "libs/registry/verbs/list_options.h"

namespace coxswain::registry {
namespace {

constexpr std::size_t kMaxBatch = 256;
constexpr std::size_t kMaxQueuedBytes = 512 * 1024;  // a slow client: stop pulling above this
// With many watchers, one that was served just now waits for more to come: one write for many events
// instead of one each. Few watchers, or a quiet object: no delay.
constexpr std::int64_t kManyWatchers = 256;
constexpr std::int64_t kCoalesceMs = 20;
constexpr std::int64_t kDefaultTimeoutMs = 30 * 60 * 1000;

std::string_view event_prefix(std::string_view type) {
  if (type == "ADDED") return "{\"type\":\"ADDED\",\"object\":";
  if (type == "MODIFIED") return "{\"type\":\"MODIFIED\",\"object\":";
  if (type == "DELETED") return "{\"type\":\"DELETED\",\"object\":";
  if (type == "BOOKMARK") return "{\"type\":\"BOOKMARK\",\"object\":";
  return "{\"type\":\"ERROR\",\"object\":";
}
constexpr std::string_view kSuffix = "}\n";

// All members are touched on the connection's io thread only.
struct Watch : std::enable_shared_from_this<Watch> {
  CallPtr call;
  Selection selection;
  std::unique_ptr<store::Watcher> watcher;
  std::string exact_key;                 // one object by name: its key
  std::vector<store::EntryPtr> initial;  // to be sent as ADDED first
  store::Revision revision = 0;          // everything up to here was sent
  store::Revision bookmarked = 0;
  std::int64_t pumped_ms = 0;  // when events were last sent
  std::int64_t framed = 0;     // events of the batch in hand
  bool bookmarks = false;
  bool initial_bookmark = false;  // sendInitialEvents: one bookmark ends them
  bool table = false;
  bool first_row = true;
  bool raw = false;
  bool yaml = false;  // a stream of YAML documents
  bool over = false;
  bool waiting_for_client = false;

  ~Watch() { call->core.metrics.watchers.fetch_sub(1, std::memory_order_relaxed); }

  bool passes(const store::Entry& entry) const {
    if (!exact_key.empty() && entry.key != exact_key) return false;
    return selection.everything() || selection.matches(*meta_of(*call->resource, *call->strategy, entry));
  }

  json::Value shaped(const json::Value& object) {
    if (call->output.shape == Output::Shape::kPartial) return partial_metadata(object);
    if (!table) return object;
    json::Value result = table_head(*call->resource, object.get_string_path({"metadata", "resourceVersion"}));
    if (!first_row) result.set("columnDefinitions", nullptr);  // told once
    first_row = false;
    result["rows"].push_back(table_row(*call->resource, *call->strategy, object,
                                       call->request().query_value("includeObject"),
                                       call->core.clock.unix_ms()));
    return result;
  }

  void frame(std::string_view type, const store::EntryPtr& entry, std::vector<http::Chunk>& out) {
    ++framed;
    if (!raw) return frame_object(type, shaped(served_form(*call->strategy, decode_stored(*entry))), out);
    out.push_back(http::Chunk::literal(event_prefix(type)));
    out.push_back(http::Chunk{entry, entry->value});
    out.push_back(http::Chunk::literal(kSuffix));
  }

  void frame_object(std::string_view type, json::Value object, std::vector<http::Chunk>& out) {
    if (yaml) {
      json::Value event = json::Value::object({{"type", std::string(type)}, {"object", std::move(object)}});
      out.push_back(http::Chunk::of("---\n" + yaml::write(event)));
      return;
    }
    out.push_back(
        http::Chunk::of(std::string(event_prefix(type)) + json::write(object) + std::string(kSuffix)));
  }

  void frame_bytes(std::string_view type, std::string bytes, std::vector<http::Chunk>& out) {
    ++framed;
    if (!raw) {
      Result<json::Value> object = json::parse(bytes);
      COX_CHECK(object.ok());
      return frame_object(type, shaped(served_form(*call->strategy, std::move(*object))), out);
    }
    out.push_back(http::Chunk::literal(event_prefix(type)));
    out.push_back(http::Chunk::of(std::move(bytes)));
    out.push_back(http::Chunk::literal(kSuffix));
  }

  void frame_event(const store::Event& event, std::vector<http::Chunk>& out) {
    if (event.type == store::Event::Type::kDelete) {
      if (event.previous == nullptr || !passes(*event.previous)) return;
      if (!event.entry->value.empty()) return frame("DELETED", event.entry, out);
      return frame_bytes("DELETED", with_revision(*event.previous, event.revision), out);
    }
    const bool now = passes(*event.entry);
    const bool before = event.previous != nullptr && (selection.everything() ? now : passes(*event.previous));
    if (now) return frame(before ? "MODIFIED" : "ADDED", event.entry, out);
    if (before) frame_bytes("DELETED", with_revision(*event.previous, event.revision), out);
  }

  void bookmark(bool initial_end, std::vector<http::Chunk>& out) {
    json::Value metadata =
        json::Value::object({{"resourceVersion", std::to_string(revision)}, {"creationTimestamp", nullptr}});
    if (initial_end) {
      metadata.set("annotations", json::Value::object({{"k8s.io/initial-events-end", "true"}}));
    }
    json::Value object = json::Value::object({{"kind", call->resource->kind},
                                              {"apiVersion", api_version(*call->resource)},
                                              {"metadata", std::move(metadata)}});
    if (table) {
      json::Value head = table_head(*call->resource, std::to_string(revision));
      head.set("rows", json::Value::array({json::Value::object(
                           {{"cells", json::Value::array()}, {"object", partial_metadata(object)}})}));
      object = std::move(head);
    } else if (call->output.shape == Output::Shape::kPartial) {
      object = partial_metadata(object);
    }
    bookmarked = revision;
    frame_object("BOOKMARK", std::move(object), out);
  }

  void fail(const api::Status& status) {
    std::vector<http::Chunk> out;
    frame_object("ERROR", status.to_json(), out);
    call->exchange->write(std::move(out));
    finish();
  }

  void finish() {
    if (over) return;
    over = true;
    watcher.reset();
    call->exchange->end();
  }

  bool client_is_slow() {
    if (call->exchange->queued_bytes() <= kMaxQueuedBytes) return false;
    if (!waiting_for_client) {
      waiting_for_client = true;
      call->exchange->on_drained([self = shared_from_this()] {
        self->waiting_for_client = false;
        self->pump();
      });
    }
    return true;
  }

  void send_initial() {
    std::vector<http::Chunk> out;
    out.reserve(initial.size() * 3 + 1);
    for (const store::EntryPtr& entry : initial) frame("ADDED", entry, out);
    call->core.metrics.watch_events.fetch_add(static_cast<std::int64_t>(initial.size()),
                                              std::memory_order_relaxed);
    initial.clear();
    initial.shrink_to_fit();
    if (initial_bookmark) bookmark(true, out);
    if (!out.empty()) call->exchange->write(std::move(out));
  }

  void pump() {
    while (!over && !waiting_for_client) {
      if (call->exchange->closed()) return finish();
      if (client_is_slow()) return;
      Result<store::WatchBatch> batch = watcher->poll(kMaxBatch);
      if (!batch.ok()) {
        return fail(batch.error().code == ErrorCode::kCompacted
                        ? api::expired("too old resource version: " + std::to_string(revision) + " (" +
                                       std::to_string(call->core.store.revision()) + ")")
                        : status_of_store_error(batch.error()));
      }
      revision = std::max(revision, batch->progress);
      if (batch->events.empty()) {
        std::weak_ptr<Watch> weak = shared_from_this();
        std::weak_ptr<http::Exchange> exchange = call->exchange;
        watcher->arm([weak, exchange] {
          // Store's thread: only hop over to the connection's.
          if (const std::shared_ptr<http::Exchange> alive = exchange.lock()) {
            alive->post(0, [weak] {
              if (const std::shared_ptr<Watch> self = weak.lock()) self->woken();
            });
          }
        });
        return;
      }
      std::vector<http::Chunk> out;
      out.reserve(batch->events.size() * 3);
      framed = 0;
      for (const std::shared_ptr<const store::Event>& event : batch->events) frame_event(*event, out);
      call->core.metrics.watch_events.fetch_add(framed, std::memory_order_relaxed);
      if (!out.empty()) pumped_ms = call->core.clock.now_ms();
      if (!out.empty() && !call->exchange->write(std::move(out))) return finish();
    }
  }

  void woken() {
    const std::int64_t rest_ms = pumped_ms + kCoalesceMs - call->core.clock.now_ms();
    if (rest_ms <= 0 || call->core.metrics.watchers.load(std::memory_order_relaxed) <= kManyWatchers)
      return pump();
    call->exchange->post(rest_ms, [weak = weak_from_this()] {
      if (const std::shared_ptr<Watch> self = weak.lock()) self->pump();
    });
  }

  void tick() {
    if (over) return;
    if (call->core.stopping.load(std::memory_order_relaxed) || call->exchange->closed()) return finish();
    // Nobody wakes a watch for what does not concern it: how far history went it has to ask.
    if (bookmarks) pump();
    if (over) return;
    if (bookmarks && !waiting_for_client && revision > bookmarked) {
      std::vector<http::Chunk> out;
      bookmark(false, out);
      call->exchange->write(std::move(out));
    }
    schedule_tick();
  }

  void schedule_tick() {
    call->exchange->post(call->core.options.bookmark_interval_ms, [weak = weak_from_this()] {
      if (const std::shared_ptr<Watch> self = weak.lock()) self->tick();
    });
  }
};

// The closed callback owns the Watch for as long as the stream lives; timers and wakes hold it weakly.
void start(const std::shared_ptr<Watch>& watch, std::int64_t timeout_ms) {
  const CallPtr call = watch->call;
  call->core.metrics.count("watch", 200, call->core.clock.now_ms() - call->started_ms);
  call->exchange->begin(200, {{"Content-Type", watch->yaml ? "application/yaml" : "application/json"}});
  call->exchange->on_closed([watch] { watch->finish(); });
  call->exchange->post(timeout_ms, [weak = std::weak_ptr<Watch>(watch)] {
    if (const std::shared_ptr<Watch> self = weak.lock()) self->finish();
  });
  watch->schedule_tick();
  watch->send_initial();
  watch->pump();
}

api::ApiResult<void> take_snapshot(Watch& watch, const std::string& prefix) {
  store::RangeRequest range;
  range.prefix = prefix;
  Result<store::RangeResult> result = watch.call->core.store.range(range);
  if (!result.ok()) return status_of_store_error(result.error());
  watch.revision = result->revision;
  for (store::EntryPtr& entry : result->entries) {
    if (watch.passes(*entry)) watch.initial.push_back(std::move(entry));
  }
  return {};
}

}  // namespace

void handle_watch(const CallPtr& call) {
  const http::Request& request = call->request();
  api::ApiResult<ListOptions> options = parse_list_options(request, true);
  if (!options.ok()) return respond_status(call, options.error());
  api::ApiResult<Selection> selection = Selection::parse(
      *call->resource, request.query_value("labelSelector"), request.query_value("fieldSelector"));
  if (!selection.ok()) return respond_status(call, selection.error());
  auto watch = std::make_shared<Watch>();
  call->core.metrics.watchers.fetch_add(1, std::memory_order_relaxed);
  watch->call = call;
  watch->selection = *selection;
  watch->bookmarks = query_bool(request, "allowWatchBookmarks");
  watch->table = call->output.shape == Output::Shape::kTable;
  watch->yaml = call->output.yaml;
  watch->raw =
      call->output.shape == Output::Shape::kFull && call->strategy->from_storage == nullptr && !watch->yaml;
  std::string ns = call->info.ns;
  if (ns.empty() && call->resource->namespaced) ns = selection->ns();
  std::string prefix = key_prefix(*call->resource, ns);
  const std::string name = call->info.name.empty() ? selection->name() : call->info.name;
  if (!name.empty() && (!call->resource->namespaced || !ns.empty())) {
    prefix += name;
    watch->exact_key = prefix;
  }
  const bool initial_events = query_bool(request, "sendInitialEvents");
  watch->initial_bookmark = initial_events && watch->bookmarks;
  const bool snapshot = request.has_query("sendInitialEvents") ? initial_events : options->revision == 0;
  watch->revision = options->revision;
  if (snapshot) {
    if (api::ApiResult<void> taken = take_snapshot(*watch, prefix); !taken.ok()) {
      return respond_status(call, taken.error());
    }
  } else if (options->revision == 0) {
    watch->revision = call->core.store.revision();
  }
  Result<std::unique_ptr<store::Watcher>> watcher = call->core.store.watch(prefix, watch->revision);
  if (!watcher.ok()) {
    if (watcher.error().code != ErrorCode::kCompacted)
      return respond_status(call, status_of_store_error(watcher.error()));
    call->exchange->begin(200, {{"Content-Type", watch->yaml ? "application/yaml" : "application/json"}});
    return watch->fail(api::expired("too old resource version: " + std::to_string(watch->revision) + " (" +
                                    std::to_string(call->core.store.revision()) + ")"));
  }
  watch->watcher = std::move(*watcher);
  std::int64_t timeout_ms =
      kDefaultTimeoutMs + static_cast<std::int64_t>(call->core.random.below(kDefaultTimeoutMs));
  if (const std::optional<std::int64_t> seconds = parse_int64(request.query_value("timeoutSeconds"));
      seconds && *seconds > 0) {
    timeout_ms = std::min<std::int64_t>(*seconds, 24 * 3600) * 1000;
  }
  start(watch, timeout_ms);
}

}  // namespace coxswain::registry
