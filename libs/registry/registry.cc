#include "libs/registry/registry.h"

#include <algorithm>
#include <mutex>

#include "libs/registry/cluster/server_endpoints.h"
#include "libs/registry/core.h"
#include "libs/registry/freshness.h"
#include "libs/registry/local_exchange.h"
#include "libs/registry/nonresource.h"
#include "libs/registry/store_admin.h"

namespace coxswain::registry {
namespace {

// Calls from inside: how long they wait, and how often they see whether to stop.
constexpr std::int64_t kCallTimeoutMs = 30'000;
constexpr std::int64_t kCallLookMs = 100;

constexpr std::size_t kInlineBodyBytes = 256 * 1024;  // bigger bodies are handled by the workers

bool contains(std::span<const std::string_view> list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// Fills call->user; false: nobody we know.
bool authenticate(Call& call) {
  const http::Request& request = call.request();
  if (!call.core.options.authenticate) {
    call.user = {"kubernetes-admin", {"system:masters", "system:authenticated"}};
    return true;
  }
  if (request.peer.common_name.empty()) return false;
  call.user.name = request.peer.common_name;
  call.user.groups = request.peer.organizations;
  call.user.groups.emplace_back("system:authenticated");
  return true;
}

// Browsers and curl get readable answers, as kubectl's users expect.
bool wants_pretty(const http::Request& request) {
  if (request.has_query("pretty")) return query_bool(request, "pretty");
  const std::string_view agent = http::find_header(request.headers, "User-Agent");
  return agent.rfind("curl", 0) == 0 || agent.rfind("Wget", 0) == 0 || agent.rfind("Mozilla/5.0", 0) == 0;
}

// What clients ask for with a message of their own to lose: `kubectl exec` and its like.
constexpr std::string_view kSubresourcesToCome[] = {
    "pods/exec",   "pods/attach", "pods/portforward",      "pods/proxy",     "pods/ephemeralcontainers",
    "pods/resize", "nodes/proxy", "serviceaccounts/token", "services/proxy",
};

api::ApiResult<void> find_target(Call& call) {
  RequestInfo& info = call.info;
  call.resource = api::schema::find_resource(info.group, info.version, info.resource);
  if (call.resource == nullptr || !call.resource->served) {
    // POST .../bindings is how old schedulers bind.
    if (info.group.empty() && info.resource == "bindings" && info.verb == "create" && !info.ns.empty()) {
      info.resource = "pods";
      info.subresource = "binding";
      call.resource = api::schema::find_resource("", "v1", "pods");
    } else {
      return call.resource == nullptr ? api::page_not_found()
                                      : api::not_built(call.group_resource().qualified());
    }
  }
  call.strategy = &find_strategy(call.resource->group, call.resource->kind);
  if (!info.subresource.empty() && !contains(call.resource->subresources, info.subresource)) {
    return contains(kSubresourcesToCome, info.resource + "/" + info.subresource)
               ? api::not_built(info.resource + "/" + info.subresource)
               : api::page_not_found();
  }
  if (!call.resource->namespaced && !info.ns.empty()) return api::page_not_found();
  const bool one_object = !info.name.empty() || info.verb == "create" || info.verb == "deletecollection";
  if (call.resource->namespaced && info.ns.empty() && one_object) {
    // Namespaced objects have no home outside a namespace.
    return info.verb == "create" || info.verb == "deletecollection"
               ? api::method_not_allowed(call.group_resource(), info.verb)
               : api::page_not_found();
  }
  return {};
}

struct Route {
  std::string_view subresource;
  std::string_view verb;
  Call::Handler handler;
};
constexpr Route kRoutes[] = {
    {"", "get", handle_get},
    {"", "list", handle_list},
    {"", "watch", handle_watch},
    {"", "create", handle_create},
    {"", "update", handle_update},
    {"", "patch", handle_patch},
    {"", "delete", handle_delete},
    {"", "deletecollection", handle_delete_collection},
    {"status", "get", handle_get},
    {"status", "update", handle_update},
    {"status", "patch", handle_patch},
    {"scale", "get", handle_scale},
    {"scale", "update", handle_scale},
    {"scale", "patch", handle_scale},
    {"binding", "create", handle_binding},
    {"eviction", "create", handle_eviction},
    {"finalize", "update", handle_finalize},
    {"log", "get", handle_log},
};

Call::Handler find_handler(const Call& call) {
  const RequestInfo& info = call.info;
  if (call.resource->kind == "SelfSubjectReview") {
    return info.verb == "create" ? handle_self_subject_review : nullptr;
  }
  if (info.subresource.empty()) {
    if (info.verb == "create" && !info.name.empty()) return nullptr;
    if ((info.verb == "update" || info.verb == "patch") && info.name.empty()) return nullptr;
    if (!contains(call.resource->verbs, info.verb)) return nullptr;
  }
  for (const Route& route : kRoutes) {
    if (route.subresource == info.subresource && route.verb == info.verb) return route.handler;
  }
  return nullptr;
}

void run_handler(const CallPtr& call) {
  if (call->request().body.size() <= kInlineBodyBytes) return call->handler(call);
  if (!call->core.workers.submit([call] { call->handler(call); })) {
    respond_status(call, api::too_many_requests("too many large requests at once; try again", 1));
  }
}

void handle_resource(const CallPtr& call) {
  if (api::ApiResult<void> found = find_target(*call); !found.ok())
    return respond_status(call, found.error());
  const Call::Handler handler = find_handler(*call);
  if (handler == nullptr) {
    return respond_status(call, api::method_not_allowed(call->group_resource(), call->info.verb));
  }
  const http::Request& request = call->request();
  if (call->info.subresource != "log") {
    const std::string_view accept = http::find_header(request.headers, "Accept");
    const bool pretty = call->output.pretty;
    const std::optional<Output> output = negotiate(accept);
    if (!output) return respond_status(call, api::not_acceptable(std::string(kSupportedMediaTypes)));
    call->output = *output;
    call->output.pretty = pretty;
  }
  if (const std::string_view dry_run = request.query_value("dryRun"); !dry_run.empty()) {
    if (dry_run != "All") {
      std::vector<api::StatusCause> causes;
      causes.push_back({"FieldValueNotSupported",
                        "Unsupported value: \"" + std::string(dry_run) + "\": supported values: \"All\"",
                        "dryRun"});
      return respond_status(call, api::invalid({"meta.k8s.io", "CreateOptions"}, "", std::move(causes)));
    }
    call->dry_run = true;
  }
  call->handler = handler;
  when_fresh(call, run_handler);
}

}  // namespace

Core::Core(store::Store& store_in, Options options_in)
    : store(store_in),
      options(std::move(options_in)),
      clock(options.clock == nullptr ? system_clock() : *options.clock),
      random(options.random == nullptr ? system_random() : *options.random),
      workers(options.workers, 256) {}

// When revisions were reached, sampled while the server runs: tells how old a write is without
// looking into it.
struct Registry::Expiry {
  std::mutex mutex;
  std::vector<std::pair<std::int64_t, store::Revision>> samples;  // guarded by mutex; (now_ms, revision)
};

Registry::Registry(store::Store& store, Options options)
    : core_(std::make_unique<Core>(store, std::move(options))), expiry_(std::make_unique<Expiry>()) {
  const auto ask = [this](const std::string& method, const std::string& target, const std::string& body,
                          std::stop_token stop) { return call(method, target, body, std::move(stop)); };
  ServerEndpoints::Settings settings;
  settings.self = {core_->options.advertise_address, core_->options.advertise_port};
  settings.shared = core_->options.several_servers;
  endpoints_ = std::make_unique<ServerEndpoints>(core_->store, core_->clock, ask, std::move(settings));
}

Registry::~Registry() {
  begin_shutdown();
  end_shutdown();
}

void Registry::begin_shutdown() {
  core_->stopping = true;
  endpoints_->stop();
}

void Registry::end_shutdown() {
  core_->workers.stop();
  core_->log_threads.stop();
  core_->store_threads.stop();
}

void Registry::handle(std::shared_ptr<http::Exchange> exchange) { serve(std::move(exchange), false); }

void Registry::serve(std::shared_ptr<http::Exchange> exchange, bool from_inside) {
  auto call = std::make_shared<Call>(*core_, std::move(exchange));
  call->started_ms = core_->clock.now_ms();
  call->now_unix_ms = core_->clock.unix_ms();
  const http::Request& request = call->request();
  call->output.pretty = wants_pretty(request);
  if (!authenticate(*call) && !is_public_path(request.path)) {
    return respond_status(call, api::unauthorized("Unauthorized"));
  }
  call->info = parse_request_info(request);
  if (call->info.is_resource && !from_inside && !core_->bootstrapped) {
    return respond_status(call, api::service_unavailable("the server is starting", 1));
  }
  if (call->info.is_resource) return handle_resource(call);
  if (handle_store_admin(call)) return;
  if (!handle_nonresource(call)) respond_status(call, api::page_not_found());
}

Registry::Answer Registry::call(const std::string& method, const std::string& target, const std::string& body,
                                std::stop_token stop) {
  http::Request request = make_request(method, target, body);
  request.peer.common_name = "system:apiserver";
  request.peer.organizations = {"system:masters"};
  auto exchange = std::make_shared<LocalExchange>(std::move(request));
  serve(exchange, true);
  for (std::int64_t waited_ms = 0; waited_ms < kCallTimeoutMs; waited_ms += kCallLookMs) {
    if (exchange->wait_done(kCallLookMs)) return {exchange->status(), exchange->body()};
    if (stop.stop_requested()) break;
  }
  exchange->close();  // nobody waits for it any more
  return stop.stop_requested() ? Answer{503, "stopped"} : Answer{504, "no answer in time"};
}

int Registry::expire_events() {
  const std::int64_t now = core_->clock.now_ms();
  store::Revision old_enough = 0;  // written at or before this: expired
  bool know = false;
  store::Revision first_seen = 0;
  {
    const std::lock_guard lock(expiry_->mutex);
    auto& samples = expiry_->samples;
    samples.emplace_back(now, core_->store.revision());
    first_seen = samples.front().second;
    while (samples.size() > 1 && samples[1].first <= now - core_->options.event_ttl_ms)
      samples.erase(samples.begin());
    know = samples.front().first <= now - core_->options.event_ttl_ms;
    if (know) old_enough = samples.front().second;
  }
  store::RangeRequest range;
  range.prefix = "/registry/core/events/";
  Result<store::RangeResult> events = core_->store.range(range);
  if (!events.ok()) return 0;
  int removed = 0;
  for (const store::EntryPtr& entry : events->entries) {
    bool expired = know && entry->mod_revision <= old_enough;
    if (!expired && !know && entry->mod_revision <= first_seen) {
      // Written before this process started: the object's own clock decides.
      std::int64_t newest = 0;
      const Result<json::Value> event = json::parse(entry->value);
      for (const char* key : {"lastTimestamp", "eventTime"}) {
        std::int64_t at = 0;
        if (event.ok() && parse_rfc3339(event->get_string(key), &at)) newest = std::max(newest, at);
      }
      std::int64_t created = 0;
      if (event.ok() && parse_rfc3339(event->get_string_path({"metadata", "creationTimestamp"}), &created)) {
        newest = std::max(newest, created);
      }
      expired = newest < core_->clock.unix_ms() - core_->options.event_ttl_ms;
    }
    if (!expired) continue;
    store::Txn txn;
    txn.compares.push_back({std::string(entry->key), entry->mod_revision});
    txn.ops.push_back({store::Op::Type::kDelete, std::string(entry->key), {}});
    const Result<store::TxnResult> result = core_->store.txn_wait(std::move(txn));
    if (!result.ok()) break;
    removed += result->succeeded ? 1 : 0;
  }
  return removed;
}

}  // namespace coxswain::registry
