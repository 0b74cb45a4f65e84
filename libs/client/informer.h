// A local, always fresh copy of a collection: Informer<T> fills it, Lister<T> reads it.
//
//   InformerSet informers(client);
//   auto& pods = informers.get<core::v1::Pod>();
//   pods.add_index("node", [](const Pod& p) { return std::vector{p.spec.nodeName}; });
//   pods.add_handler([&](const Change<Pod>& c) { queue.add(key_of(*c.object)); });
//   informers.start();  informers.wait_for_sync(stop);
//   for (auto& pod : pods.lister().by_index("node", "n1")) ...
//
// Objects are immutable and shared: a reader keeps what it got, for as long as it likes. Handlers run
// on the informer's thread, in order, after the copy changed: they must only enqueue. T is a generated
// struct or a slim one with the same constants, `metadata.{namespace_,name,resourceVersion}` and from_json.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <typeindex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libs/client/reflector.h"
#include "libs/common/base/check.h"

namespace coxswain::client {

enum class ChangeType { kAdded, kUpdated, kDeleted };

template <typename T>
struct Change {
  ChangeType type;
  std::shared_ptr<const T> old_object;  // kUpdated: the state before; else null
  std::shared_ptr<const T> object;      // kDeleted: the last state known
};

// Thread-safe reads of the copy.
template <typename T>
class Lister {
 public:
  using Pointer = std::shared_ptr<const T>;
  using IndexFunction = std::function<std::vector<std::string>(const T&)>;

  Pointer get(std::string_view ns, std::string_view name) const { return get(object_key(ns, name)); }
  Pointer get(const std::string& key) const {  // nullptr: no such object (yet)
    std::shared_lock lock(mutex_);
    const auto it = objects_.find(key);
    return it == objects_.end() ? nullptr : it->second;
  }
  std::vector<Pointer> list() const {  // in no particular order
    std::shared_lock lock(mutex_);
    std::vector<Pointer> out;
    out.reserve(objects_.size());
    for (const auto& [key, object] : objects_) out.push_back(object);
    return out;
  }
  std::vector<Pointer> list(std::string_view ns) const { return by_index("namespace", std::string(ns)); }
  // Objects for which the index function gave `value`. The index must exist.
  std::vector<Pointer> by_index(const std::string& index, const std::string& value) const {
    std::shared_lock lock(mutex_);
    const auto found = indexes_.find(index);
    COX_CHECK(found != indexes_.end());
    std::vector<Pointer> out;
    const auto keys = found->second.keys.find(value);
    if (keys == found->second.keys.end()) return out;
    out.reserve(keys->second.size());
    for (const auto& key : keys->second) out.push_back(objects_.at(key));
    return out;
  }
  std::size_t size() const {
    std::shared_lock lock(mutex_);
    return objects_.size();
  }

 private:
  template <typename>
  friend class Informer;
  struct Index {
    IndexFunction function;
    std::unordered_map<std::string, std::unordered_set<std::string>> keys;
  };

  Pointer put(const std::string& key, Pointer object) {  // returns the previous one
    std::unique_lock lock(mutex_);
    Pointer& slot = objects_[key];
    Pointer old = std::move(slot);
    slot = std::move(object);
    if (old) unindex(key, *old);
    for (auto& [name, index] : indexes_) {
      for (auto& value : index.function(*slot)) index.keys[std::move(value)].insert(key);
    }
    return old;
  }
  Pointer take(const std::string& key) {
    std::unique_lock lock(mutex_);
    const auto it = objects_.find(key);
    if (it == objects_.end()) return nullptr;
    Pointer old = std::move(it->second);
    objects_.erase(it);
    unindex(key, *old);
    return old;
  }
  void unindex(const std::string& key, const T& object) {
    for (auto& [name, index] : indexes_) {
      for (const auto& value : index.function(object)) {
        const auto it = index.keys.find(value);
        if (it == index.keys.end()) continue;
        it->second.erase(key);
        if (it->second.empty()) index.keys.erase(it);
      }
    }
  }

  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, Pointer> objects_;  // guarded by mutex_
  std::map<std::string, Index> indexes_;              // keys set is fixed before start; contents guarded
};

class InformerBase {
 public:
  virtual ~InformerBase() = default;
  virtual void start() = 0;         // spawns the thread; once
  virtual void stop() = 0;          // and joins; safe to call again
  virtual bool synced() const = 0;  // the first list is complete and was delivered
  virtual std::string name() const = 0;
};

template <typename T>
class Informer : public InformerBase, private ReflectorSink {
 public:
  using Pointer = std::shared_ptr<const T>;
  using Handler = std::function<void(const Change<T>&)>;

  explicit Informer(ApiClient& client, ReflectorOptions options = {})
      : reflector_(client, resource_of<T>(), std::move(options), *this) {
    if (T::kNamespaced) {
      add_index("namespace",
                [](const T& object) { return std::vector<std::string>{object.metadata.namespace_}; });
    }
  }
  ~Informer() override { stop(); }

  // Before start() only.
  void add_index(const std::string& name, typename Lister<T>::IndexFunction function) {
    COX_CHECK(!thread_.joinable());
    lister_.indexes_.try_emplace(name, typename Lister<T>::Index{std::move(function), {}});
  }
  void add_handler(Handler handler) {
    COX_CHECK(!thread_.joinable());
    handlers_.push_back(std::move(handler));
  }
  // Changes an object before it is decoded, e.g. drops what nobody reads, to save memory.
  void set_transform(std::function<void(json::Value&)> transform) { transform_ = std::move(transform); }

  const Lister<T>& lister() const { return lister_; }
  void start() override {
    thread_ = std::jthread([this](std::stop_token token) { reflector_.run(token); });
  }
  void stop() override {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
  }
  bool synced() const override { return synced_.load(std::memory_order_acquire); }
  std::string name() const override { return std::string(T::kPlural); }

 private:
  void begin_replace() override {
    replacing_ = true;
    seen_.clear();
  }
  void upsert(const json::Value& value) override {
    Pointer object = decode_shared(value);
    std::string key = key_of(*object);
    const Pointer old = lister_.put(key, object);
    if (replacing_) seen_.insert(std::move(key));
    // A relist meets mostly objects that did not change.
    if (old && old->metadata.resourceVersion == object->metadata.resourceVersion) return;
    deliver({old ? ChangeType::kUpdated : ChangeType::kAdded, old, object});
  }
  void erase(const json::Value& value) override {
    Pointer object = decode_shared(value);
    if (lister_.take(key_of(*object))) deliver({ChangeType::kDeleted, nullptr, object});
  }
  void end_replace() override {
    for (const Pointer& object : lister_.list()) {
      const std::string key = key_of(*object);
      if (seen_.count(key)) continue;
      lister_.take(key);
      deliver({ChangeType::kDeleted, nullptr, object});
    }
    seen_ = {};
    replacing_ = false;
    synced_.store(true, std::memory_order_release);
  }
  Pointer decode_shared(const json::Value& value) {
    auto object = std::make_shared<T>();
    if (transform_) {
      json::Value copy = value;
      transform_(copy);
      decode_into(copy, *object);
    } else {
      decode_into(value, *object);
    }
    return object;
  }
  void deliver(const Change<T>& change) {
    for (const Handler& handler : handlers_) handler(change);
  }

  Reflector reflector_;
  Lister<T> lister_;
  std::vector<Handler> handlers_;                // constant after start
  std::function<void(json::Value&)> transform_;  // constant after start
  bool replacing_ = false;                       // informer thread only
  std::unordered_set<std::string> seen_;         // informer thread only
  std::atomic<bool> synced_{false};
  std::jthread thread_;
};

// One informer per kind, shared by everyone in the process.
class InformerSet {
 public:
  explicit InformerSet(ApiClient& client) : client_(client) {}
  ~InformerSet() { stop(); }

  // The informer of T, made on first use; `options` count only then. Before start() only.
  template <typename T>
  Informer<T>& get(ReflectorOptions options = {}) {
    auto& slot = informers_[std::type_index(typeid(T))];
    if (!slot) slot = std::make_unique<Informer<T>>(client_, std::move(options));
    return static_cast<Informer<T>&>(*slot);
  }
  void start() {
    for (auto& [type, informer] : informers_) informer->start();
  }
  // False when stopped first.
  bool wait_for_sync(std::stop_token stop) const {
    for (const auto& [type, informer] : informers_) {
      while (!informer->synced()) {
        if (!sleep_for_ms(5, stop)) return false;
      }
    }
    return !stop.stop_requested();
  }
  void stop() {
    for (auto& [type, informer] : informers_) informer->stop();
  }

 private:
  ApiClient& client_;
  std::map<std::type_index, std::unique_ptr<InformerBase>> informers_;
};

}  // namespace coxswain::client
