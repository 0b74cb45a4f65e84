// Tells users what a component did to an object: core/v1 Events, as `kubectl describe` shows them.
// Repeats raise the count of one Event; floods are combined, then dropped. Never blocks its caller.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "libs/client/api_client.h"
#include "libs/common/base/clock.h"

namespace coxswain::client {

struct ObjectRef {
  std::string api_version;
  std::string kind;
  std::string ns;
  std::string name;
  std::string uid;
  std::string resource_version;
  std::string field_path;  // e.g. "spec.containers{web}"
};

template <typename T>
ObjectRef ref_to(const T& object, std::string field_path = {}) {
  return {resource_of<T>().api_version(), std::string(T::kKind), object.metadata.namespace_,
          object.metadata.name,           object.metadata.uid,   object.metadata.resourceVersion,
          std::move(field_path)};
}

enum class EventType { kNormal, kWarning };

struct EventRecord {
  ObjectRef object;
  EventType type = EventType::kNormal;
  std::string reason;   // CamelCase, for machines
  std::string message;  // for people; cut at 1024 bytes
};

// What to do about one event; pure. The rules of Kubernetes' own recorder, whose numbers users know from
// `kubectl describe` ("x5 over 3m"):
//   1. the tenth different message of one source, object, type and reason, each within 10 minutes of the one
//      before, and all that follow, become one "(combined from similar events)" Event;
//   2. the same event again raises the count of the Event that exists;
//   3. each source and object has 25 tokens and gets one more every 5 minutes; without one the event is
//   dropped,
//      yet counted: the next one that passes shows it.
class EventCorrelator {
 public:
  struct Decision {
    enum class Action { kCreate, kBump, kDrop } action = Action::kCreate;
    std::string name;  // of the Event to create or to bump
    std::string ns;
    std::int64_t count = 1;
    std::int64_t first_unix_ms = 0;
    std::string message;  // with the "(combined from similar events)" prefix when so
  };
  // `source` names the component that speaks. An Event to bump that has vanished (events expire) is to be
  // created again with the same name and count.
  Decision decide(const EventRecord& event, std::int64_t now_unix_ms, std::string_view source = {});

 private:
  struct Seen {
    std::string name;
    std::int64_t count = 0;
    std::int64_t first_unix_ms = 0;
    std::int64_t last_unix_ms = 0;
  };
  struct Group {
    std::set<std::string> messages;
    std::int64_t last_unix_ms = 0;
  };
  struct Bucket {
    double tokens = 25;
    std::int64_t refilled_unix_ms = 0;
  };
  bool combine(const std::string& key, const std::string& message, std::int64_t now_unix_ms);
  bool take_token(const std::string& key, std::int64_t now_unix_ms);
  void trim(std::int64_t now_unix_ms);

  std::unordered_map<std::string, Seen> seen_;
  std::unordered_map<std::string, Group> groups_;
  std::unordered_map<std::string, Bucket> buckets_;
  std::uint64_t sequence_ = 0;
};

class EventRecorder {
 public:
  // `component` is source.component ("kubelet", "default-scheduler", "deployment-controller"); `host` may
  // be empty. The thread starts with the first event.
  EventRecorder(ApiClient& client, std::string component, std::string host = {},
                Clock& clock = system_clock());
  ~EventRecorder();  // gives what is queued one second to leave

  void record(EventRecord event);  // drops when 1000 are waiting
  template <typename T>
  void record(const T& object, EventType type, std::string reason, std::string message) {
    record(EventRecord{ref_to(object), type, std::move(reason), std::move(message)});
  }
  template <typename T>
  void normal(const T& object, std::string reason, std::string message) {
    record(object, EventType::kNormal, std::move(reason), std::move(message));
  }
  template <typename T>
  void warning(const T& object, std::string reason, std::string message) {
    record(object, EventType::kWarning, std::move(reason), std::move(message));
  }
  // As another component of the same process (the controller-manager's loops share one recorder).
  void record_as(const std::string& component, EventRecord event);

 private:
  struct Item {
    std::string component;
    EventRecord event;
    std::int64_t unix_ms;
  };
  void loop(std::stop_token stop);
  void publish(const Item& item, std::stop_token stop);
  ApiResult<void> send(const Item& item, const EventCorrelator::Decision& decision);
  json::Value body_of(const Item& item, const EventCorrelator::Decision& decision) const;

  ApiClient& client_;
  const std::string component_;
  const std::string host_;
  Clock& clock_;
  EventCorrelator correlator_;  // writer thread only
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<Item> queue_;  // guarded by mutex_
  std::jthread thread_;     // guarded by mutex_ until it runs
};

}  // namespace coxswain::client
