#include "libs/client/event_recorder.h"

#include <algorithm>
#include <cstdio>

#include "libs/common/log/log.h"

namespace coxswain::client {
namespace {

constexpr ResourceInfo kEvents{"", "v1", "Event", "events", true};
constexpr std::size_t kMaxQueued = 1000;
constexpr std::size_t kMaxMessage = 1024;
constexpr std::size_t kMaxRemembered = 4096;
constexpr double kBurst = 25;
constexpr double kRefillMs = 300'000;  // one token
constexpr std::int64_t kCombineAfter = 10;
constexpr std::int64_t kCombineWindow_ms = 600'000;
constexpr std::int64_t kForgetAfter_ms = 3'600'000;  // the server forgets events too

const char* to_string(EventType type) { return type == EventType::kNormal ? "Normal" : "Warning"; }

std::string object_id(const ObjectRef& o) { return o.kind + "/" + o.ns + "/" + o.name + "/" + o.uid; }

}  // namespace

EventCorrelator::Decision EventCorrelator::decide(const EventRecord& event, std::int64_t now_unix_ms) {
  trim(now_unix_ms);
  Decision decision;
  decision.ns = event.object.ns.empty() ? "default" : event.object.ns;
  const std::string id = object_id(event.object);
  const std::string kind_of_event = id + "|" + to_string(event.type) + "|" + event.reason;

  Bucket& bucket = buckets_[id];
  if (bucket.refilled_unix_ms == 0) bucket.refilled_unix_ms = now_unix_ms;
  bucket.tokens = std::min(
      kBurst, bucket.tokens + static_cast<double>(now_unix_ms - bucket.refilled_unix_ms) / kRefillMs);
  bucket.refilled_unix_ms = now_unix_ms;

  Group& group = groups_[kind_of_event];
  if (now_unix_ms - group.since_unix_ms > kCombineWindow_ms) group = {0, now_unix_ms};
  const auto exact = seen_.find(kind_of_event + "|" + event.object.field_path + "|" + event.message);
  if (exact == seen_.end()) ++group.count;  // a new message of the same reason
  const bool combined = group.count > kCombineAfter;
  decision.message = combined ? "(combined from similar events): " + event.message : event.message;

  Seen& seen = seen_[combined ? kind_of_event + "|combined"
                              : kind_of_event + "|" + event.object.field_path + "|" + event.message];
  if (bucket.tokens < 1) {
    decision.action = Decision::Action::kDrop;
    return decision;
  }
  bucket.tokens -= 1;
  if (seen.name.empty() || now_unix_ms - seen.last_unix_ms > kForgetAfter_ms) {
    char suffix[40];
    std::snprintf(suffix, sizeof(suffix), ".%llx%04llx", static_cast<unsigned long long>(now_unix_ms),
                  static_cast<unsigned long long>(++sequence_ & 0xffff));
    seen = {event.object.name + suffix, 0, now_unix_ms, now_unix_ms};
    decision.action = Decision::Action::kCreate;
  } else {
    decision.action = Decision::Action::kBump;
  }
  decision.name = seen.name;
  decision.count = ++seen.count;
  decision.first_unix_ms = seen.first_unix_ms;
  seen.last_unix_ms = now_unix_ms;
  return decision;
}

void EventCorrelator::forget(const std::string& event_name) {
  for (auto& [key, seen] : seen_) {
    if (seen.name == event_name) seen.name.clear();  // the message still counts as known
  }
}

// Bounded memory: forgets what is old once there is a lot.
void EventCorrelator::trim(std::int64_t now_unix_ms) {
  if (seen_.size() > kMaxRemembered) {
    std::erase_if(seen_, [&](const auto& entry) {
      return now_unix_ms - entry.second.last_unix_ms > kCombineWindow_ms;
    });
    if (seen_.size() > kMaxRemembered) seen_.clear();
  }
  if (groups_.size() > kMaxRemembered) groups_.clear();
  if (buckets_.size() > kMaxRemembered) buckets_.clear();
}

EventRecorder::EventRecorder(ApiClient& client, std::string component, std::string host, Clock& clock)
    : client_(client), component_(std::move(component)), host_(std::move(host)), clock_(clock) {}

EventRecorder::~EventRecorder() {
  std::unique_lock lock(mutex_);
  if (!thread_.joinable()) return;
  ready_.wait_for(lock, std::chrono::seconds(1), [this] { return queue_.empty(); });
  lock.unlock();
  thread_.request_stop();
  ready_.notify_all();
  thread_.join();
}

void EventRecorder::record(EventRecord event) { record_as(component_, std::move(event)); }

void EventRecorder::record_as(const std::string& component, EventRecord event) {
  if (event.message.size() > kMaxMessage) event.message.resize(kMaxMessage);
  std::lock_guard lock(mutex_);
  if (queue_.size() >= kMaxQueued) return;
  queue_.push_back({component, std::move(event), clock_.unix_ms()});
  if (!thread_.joinable()) thread_ = std::jthread([this](std::stop_token stop) { loop(stop); });
  ready_.notify_all();
}

void EventRecorder::loop(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (ready_.wait(lock, stop, [this] { return !queue_.empty(); })) {
    const Item item = std::move(queue_.front());
    lock.unlock();
    publish(item);
    lock.lock();
    queue_.pop_front();  // only now: the destructor waits for what is under way
    ready_.notify_all();
  }
}

void EventRecorder::publish(const Item& item) {
  const EventRecord& event = item.event;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto decision = correlator_.decide(event, item.unix_ms);
    if (decision.action == EventCorrelator::Decision::Action::kDrop) return;
    const std::string last = format_rfc3339(item.unix_ms);
    if (decision.action == EventCorrelator::Decision::Action::kBump) {
      const json::Value patch =
          json::Value::object({{"count", json::Value(static_cast<long>(decision.count))},
                               {"lastTimestamp", last},
                               {"message", decision.message}});
      auto patched = client_.patch_json(kEvents, decision.ns, decision.name, PatchType::kMerge, patch);
      if (patched.ok() || !is_not_found(patched.error())) return;
      correlator_.forget(decision.name);  // it expired: create a new one
      continue;
    }
    json::Value body = json::Value::object({{"apiVersion", "v1"}, {"kind", "Event"}});
    body["metadata"] = json::Value::object({{"name", decision.name}, {"namespace", decision.ns}});
    json::Value involved = json::Value::object(
        {{"apiVersion", event.object.api_version}, {"kind", event.object.kind}, {"name", event.object.name}});
    if (!event.object.ns.empty()) involved.set("namespace", event.object.ns);
    if (!event.object.uid.empty()) involved.set("uid", event.object.uid);
    if (!event.object.resource_version.empty())
      involved.set("resourceVersion", event.object.resource_version);
    if (!event.object.field_path.empty()) involved.set("fieldPath", event.object.field_path);
    body.set("involvedObject", std::move(involved));
    body.set("reason", event.reason);
    body.set("message", decision.message);
    body.set("type", to_string(event.type));
    json::Value source = json::Value::object({{"component", item.component}});
    if (!host_.empty()) source.set("host", host_);
    body.set("source", std::move(source));
    body.set("firstTimestamp", format_rfc3339(decision.first_unix_ms));
    body.set("lastTimestamp", last);
    body.set("count", json::Value(static_cast<long>(decision.count)));
    body.set("reportingComponent", item.component);
    body.set("reportingInstance", host_);
    auto created = client_.create_json(kEvents, decision.ns, std::move(body));
    if (!created.ok() && !is_namespace_terminating(created.error()) && !is_not_found(created.error())) {
      log_debug("cannot record an event", {{"reason", event.reason}, {"error", created.error().message}});
    }
    return;
  }
}

}  // namespace coxswain::client
