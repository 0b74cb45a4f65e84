#include "libs/client/event_recorder.h"

#include <algorithm>
#include <cstdio>

#include "libs/client/reflector.h"
#include "libs/common/log/log.h"

namespace coxswain::client {
namespace {

constexpr ResourceInfo kEvents{"", "v1", "Event", "events", true};
constexpr std::size_t kMaxQueued = 1000;
constexpr std::size_t kMaxMessage = 1024;
constexpr std::size_t kMaxRemembered = 4096;
constexpr double kBurst = 25;
constexpr double kRefillMs = 300'000;     // one token
constexpr std::size_t kCombineFrom = 10;  // different messages
constexpr std::int64_t kCombineWindow_ms = 600'000;
// Without an answer an event is sent again: an api-server that restarts must not lose what happened
// meanwhile.
constexpr int kTries = 12;
constexpr std::int64_t kRetryAfter_ms = 2'000;

const char* to_string(EventType type) { return type == EventType::kNormal ? "Normal" : "Warning"; }

std::string object_id(const ObjectRef& o) {
  return o.api_version + "/" + o.kind + "/" + o.ns + "/" + o.name + "/" + o.uid;
}

}  // namespace

EventCorrelator::Decision EventCorrelator::decide(const EventRecord& event, std::int64_t now_unix_ms,
                                                  std::string_view source) {
  trim(now_unix_ms);
  Decision decision;
  decision.ns = event.object.ns.empty() ? "default" : event.object.ns;
  const std::string id = std::string(source) + "|" + object_id(event.object);
  const std::string kind_of_event = id + "|" + to_string(event.type) + "|" + event.reason;
  const bool combined = combine(kind_of_event, event.message, now_unix_ms);
  decision.message = combined ? "(combined from similar events): " + event.message : event.message;

  Seen& seen = seen_[combined ? kind_of_event + "|combined"
                              : kind_of_event + "|" + event.object.field_path + "|" + event.message];
  if (seen.count == 0) {
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
  if (!take_token(id, now_unix_ms)) decision.action = Decision::Action::kDrop;
  return decision;
}

bool EventCorrelator::combine(const std::string& key, const std::string& message, std::int64_t now_unix_ms) {
  Group& group = groups_[key];
  if (now_unix_ms - group.last_unix_ms > kCombineWindow_ms) group.messages.clear();
  group.last_unix_ms = now_unix_ms;
  group.messages.insert(message);
  if (group.messages.size() < kCombineFrom) return false;
  group.messages.erase(group.messages.begin());  // enough to know; stays bounded
  return true;
}

bool EventCorrelator::take_token(const std::string& key, std::int64_t now_unix_ms) {
  Bucket& bucket = buckets_[key];
  if (bucket.refilled_unix_ms == 0) bucket.refilled_unix_ms = now_unix_ms;
  // Wall clocks may step back: that refills nothing.
  const std::int64_t passed_ms = std::max<std::int64_t>(0, now_unix_ms - bucket.refilled_unix_ms);
  bucket.tokens = std::min(kBurst, bucket.tokens + static_cast<double>(passed_ms) / kRefillMs);
  bucket.refilled_unix_ms = now_unix_ms;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

// Bounded memory: forgets what is old once there is a lot.
void EventCorrelator::trim(std::int64_t now_unix_ms) {
  const auto forget_old = [now_unix_ms](auto& map, auto time_of) {
    if (map.size() <= kMaxRemembered) return;
    std::erase_if(map,
                  [&](const auto& entry) { return now_unix_ms - time_of(entry.second) > kCombineWindow_ms; });
    if (map.size() > kMaxRemembered) map.clear();
  };
  forget_old(seen_, [](const Seen& seen) { return seen.last_unix_ms; });
  forget_old(groups_, [](const Group& group) { return group.last_unix_ms; });
  forget_old(buckets_, [](const Bucket& bucket) { return bucket.refilled_unix_ms; });
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
    publish(item, stop);
    lock.lock();
    queue_.pop_front();  // only now: the destructor waits for what is under way
    ready_.notify_all();
  }
}

void EventRecorder::publish(const Item& item, std::stop_token stop) {
  const auto decision = correlator_.decide(item.event, item.unix_ms, item.component);
  if (decision.action == EventCorrelator::Decision::Action::kDrop) return;
  for (int attempt = 1;; ++attempt) {
    const ApiResult<void> sent = send(item, decision);
    if (sent.ok()) return;
    const Status& why = sent.error();
    if (!is_connection_error(why)) {
      if (!is_namespace_terminating(why) && !is_not_found(why) && !is_already_exists(why)) {
        log_debug("cannot record an event", {{"reason", item.event.reason}, {"error", why.message}});
      }
      return;
    }
    if (attempt == kTries || !sleep_for_ms(kRetryAfter_ms, stop)) return;
  }
}

ApiResult<void> EventRecorder::send(const Item& item, const EventCorrelator::Decision& decision) {
  if (decision.action == EventCorrelator::Decision::Action::kBump) {
    const json::Value patch = json::Value::object({{"count", json::Value(static_cast<long>(decision.count))},
                                                   {"lastTimestamp", format_rfc3339(item.unix_ms)},
                                                   {"message", decision.message}});
    auto patched = client_.patch_json(kEvents, decision.ns, decision.name, PatchType::kMerge, patch);
    if (patched.ok()) return {};
    if (!is_not_found(patched.error())) return std::move(patched).error();  // else it expired: create it anew
  }
  auto created = client_.create_json(kEvents, decision.ns, body_of(item, decision));
  if (!created.ok()) return std::move(created).error();
  return {};
}

json::Value EventRecorder::body_of(const Item& item, const EventCorrelator::Decision& decision) const {
  const EventRecord& event = item.event;
  json::Value body = json::Value::object({{"apiVersion", "v1"}, {"kind", "Event"}});
  body["metadata"] = json::Value::object({{"name", decision.name}, {"namespace", decision.ns}});
  json::Value involved = json::Value::object(
      {{"apiVersion", event.object.api_version}, {"kind", event.object.kind}, {"name", event.object.name}});
  if (!event.object.ns.empty()) involved.set("namespace", event.object.ns);
  if (!event.object.uid.empty()) involved.set("uid", event.object.uid);
  if (!event.object.resource_version.empty()) involved.set("resourceVersion", event.object.resource_version);
  if (!event.object.field_path.empty()) involved.set("fieldPath", event.object.field_path);
  body.set("involvedObject", std::move(involved));
  body.set("reason", event.reason);
  body.set("message", decision.message);
  body.set("type", to_string(event.type));
  json::Value source = json::Value::object({{"component", item.component}});
  if (!host_.empty()) source.set("host", host_);
  body.set("source", std::move(source));
  body.set("firstTimestamp", format_rfc3339(decision.first_unix_ms));
  body.set("lastTimestamp", format_rfc3339(item.unix_ms));
  body.set("count", json::Value(static_cast<long>(decision.count)));
  body.set("reportingComponent", item.component);
  body.set("reportingInstance", host_);
  return body;
}

}  // namespace coxswain::client
