#include "libs/client/reflector.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "libs/common/log/log.h"

namespace coxswain::client {

bool sleep_for_ms(std::int64_t ms, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, std::chrono::milliseconds(ms), [] { return false; });
  return !stop.stop_requested();
}

Reflector::Reflector(ApiClient& client, ResourceInfo resource, ReflectorOptions options, ReflectorSink& sink,
                     std::unique_ptr<Random> random)
    : client_(client),
      resource_(resource),
      options_(std::move(options)),
      sink_(sink),
      random_(random != nullptr ? std::move(random) : seeded_random(system_random().next())) {}

void Reflector::run(std::stop_token stop) {
  std::int64_t backoff_ms = options_.backoff_min_ms;
  while (!stop.stop_requested()) {
    const std::int64_t started_ms = system_clock().now_ms();
    const ApiResult<void> result = step(stop);
    if (stop.stop_requested()) return;
    if (std::exchange(progressed_, false) || result.ok()) backoff_ms = options_.backoff_min_ms;
    if (result.ok()) {
      // A server that ends watches at once must not be hammered.
      if (system_clock().now_ms() - started_ms > 1000) continue;
      if (!sleep_for_ms(static_cast<std::int64_t>(100 + random_->below(100)), stop)) return;
      continue;
    }
    log_warning("watch interrupted", {{"resource", std::string(resource_.plural)},
                                      {"error", result.error().message},
                                      {"retry_ms", std::to_string(backoff_ms)}});
    // Jitter only shortens: the cap is the longest wait there is.
    const auto early_ms = static_cast<std::int64_t>(
        random_->below(static_cast<std::uint64_t>(std::max<std::int64_t>(1, backoff_ms / 2))));
    if (!sleep_for_ms(backoff_ms - early_ms, stop)) return;
    backoff_ms = std::min(backoff_ms * 2, options_.backoff_max_ms);
  }
}

ApiResult<void> Reflector::step(std::stop_token stop) {
  if (resource_version_.empty()) COX_RETURN_IF_ERROR(list());
  if (stop.stop_requested()) return {};
  auto watched = watch(stop);
  if (!watched.ok() && is_expired(watched.error())) {
    resource_version_.clear();
    return {};
  }
  return watched;
}

ApiResult<void> Reflector::list() {
  ListOptions options;
  options.label_selector = options_.label_selector;
  options.field_selector = options_.field_selector;
  options.limit = options_.page_size;
  options.metadata_only = options_.metadata_only;
  sink_.begin_replace();
  auto version =
      client_.for_each(resource_, options_.ns, options, [this](json::Value item) { sink_.upsert(item); });
  // An interrupted list must not make what was not reached yet look deleted.
  if (!version.ok()) return std::move(version).error();
  sink_.end_replace();
  resource_version_ = *version;
  progressed_ = true;
  return {};
}

ApiResult<void> Reflector::watch(std::stop_token stop) {
  const auto seconds =
      options_.watch_min_seconds +
      static_cast<std::int64_t>(random_->below(static_cast<std::uint64_t>(options_.watch_min_seconds)));
  const std::string target =
      resource_.path(options_.ns) + make_query({{"watch", "true"},
                                                {"allowWatchBookmarks", "true"},
                                                {"resourceVersion", resource_version_},
                                                {"timeoutSeconds", std::to_string(seconds)},
                                                {"labelSelector", options_.label_selector},
                                                {"fieldSelector", options_.field_selector}});
  const std::string_view accept =
      options_.metadata_only ? "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
                             : "";
  ApiResult<void> failure;
  auto streamed = client_.stream_lines(
      target, accept, (seconds + 30) * 1000,
      [&](std::string_view line) {
        failure = on_event(line);
        return failure.ok();
      },
      stop);
  if (!failure.ok()) return failure;
  return streamed;
}

ApiResult<void> Reflector::on_event(std::string_view line) {
  auto event = json::parse(line);
  if (!event.ok()) return api::internal_error("a watch event is not JSON: " + event.error().message);
  const json::Value* object = event->find("object");
  if (object == nullptr) return api::internal_error("a watch event has no object");
  const std::string type = event->get_string("type");
  if (type == "ERROR") return Status::from_json(*object);
  if (type == "DELETED")
    sink_.erase(*object);
  else if (type == "ADDED" || type == "MODIFIED")
    sink_.upsert(*object);
  const std::string version = object->get_string_path({"metadata", "resourceVersion"});
  if (!version.empty()) resource_version_ = version;
  progressed_ = true;
  return {};
}

}  // namespace coxswain::client
