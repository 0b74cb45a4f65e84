// Deletes what has lost its owners; carries out foreground and orphan deletion. Watches the metadata
// of every deletable kind that the server serves.
#include <atomic>
#include <mutex>

#include "libs/common/log/log.h"
#include "services/controller-manager/context.h"
#include "services/controller-manager/discovery.h"
#include "services/controller-manager/garbage_graph.h"

namespace coxswain::controllers {
namespace {

using client::PatchType;
using client::ReconcileResult;
using client::Requeue;

constexpr std::int64_t kDiscoveryPeriodMs = 30'000;

GraphObject to_graph(const json::Value& value, int resource) {
  GraphObject object;
  object.resource = resource;
  const auto* metadata = value.find("metadata");
  if (metadata == nullptr) return object;
  object.ns = metadata->get_string("namespace");
  object.name = metadata->get_string("name");
  object.uid = metadata->get_string("uid");
  object.resource_version = metadata->get_string("resourceVersion");
  object.deleting = metadata->find("deletionTimestamp") != nullptr;
  if (const auto* owners = metadata->find("ownerReferences"); owners != nullptr && owners->is_array()) {
    for (const auto& owner : owners->as_array()) {
      object.owners.push_back({owner.get_string("apiVersion"), owner.get_string("kind"),
                               owner.get_string("name"), owner.get_string("uid"),
                               owner.get_bool("controller"), owner.get_bool("blockOwnerDeletion")});
    }
  }
  if (const auto* finalizers = metadata->find("finalizers");
      finalizers != nullptr && finalizers->is_array()) {
    for (const auto& finalizer : finalizers->as_array()) {
      if (!finalizer.is_string()) continue;
      object.foreground |= finalizer.as_string() == "foregroundDeletion";
      object.orphan |= finalizer.as_string() == "orphan";
    }
  }
  return object;
}

class Collector;

// Feeds one kind into the graph.
class Feed : public client::ReflectorSink {
 public:
  Feed(Collector& collector, int index, ServedResource resource, client::ApiClient& client)
      : collector_(collector),
        index_(index),
        resource_(std::move(resource)),
        reflector_(client, resource_.info(), {.metadata_only = true}, *this) {}
  ~Feed() override { stop(); }
  void start() {
    thread_ = std::jthread([this](std::stop_token token) { reflector_.run(token); });
  }
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  const ServedResource& resource() const { return resource_; }
  bool synced() const { return synced_; }

 private:
  void begin_replace() override {
    seen_.clear();
    replacing_ = true;
  }
  void upsert(const json::Value& object) override;
  void erase(const json::Value& object) override;
  void end_replace() override;

  Collector& collector_;
  const int index_;
  const ServedResource resource_;
  client::Reflector reflector_;
  std::unordered_set<std::string> seen_;   // during a list; feed thread only
  std::unordered_set<std::string> known_;  // feed thread only
  bool replacing_ = false;
  std::atomic<bool> synced_{false};
  std::jthread thread_;
};

class Collector : public Loop {
 public:
  explicit Collector(Context& context)
      : context_(context),
        controller_({.name = "garbage-collector",
                     .workers = 2,
                     .queue = {.backoff_min_ms = 50, .backoff_max_ms = 30'000}},
                    [this](const std::string& uid) { return reconcile(uid); }) {}
  ~Collector() override { stop(); }

  void start() override {
    thread_ = std::jthread([this](std::stop_token stop) { follow_discovery(stop); });
  }
  void stop() override {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    controller_.stop();
    for (auto& feed : feeds_) feed->stop();
  }
  void upsert(GraphObject object) {
    std::lock_guard lock(mutex_);
    for (const auto& uid : graph_.upsert(std::move(object))) controller_.enqueue(uid);
  }
  void erase(const std::string& uid) {
    std::lock_guard lock(mutex_);
    for (const auto& affected : graph_.erase(uid)) controller_.enqueue(affected);
  }

 private:
  void follow_discovery(std::stop_token stop);
  ReconcileResult reconcile(const std::string& uid);
  api::ApiResult<bool> owner_present(const OwnerLink& owner, const std::string& ns);
  ReconcileResult drop_owners(const GraphObject& object, const std::vector<std::string>& uids);
  ReconcileResult remove_finalizer(const GraphObject& object, std::string_view finalizer);
  ReconcileResult orphan(const GraphObject& object, const std::vector<std::string>& dependents);
  ServedResource resource_of(int index) {
    std::lock_guard lock(mutex_);
    return feeds_[static_cast<std::size_t>(index)]->resource();
  }

  Context& context_;
  client::Controller controller_;
  std::mutex mutex_;
  GarbageGraph graph_;                        // guarded by mutex_
  std::vector<std::unique_ptr<Feed>> feeds_;  // grows under mutex_, never shrinks before stop
  std::jthread thread_;
};

void Feed::upsert(const json::Value& value) {
  GraphObject object = to_graph(value, index_);
  if (object.uid.empty()) return;
  if (replacing_) seen_.insert(object.uid);
  known_.insert(object.uid);
  collector_.upsert(std::move(object));
}

void Feed::erase(const json::Value& value) {
  const std::string uid = value.get_string_path({"metadata", "uid"});
  known_.erase(uid);
  collector_.erase(uid);
}

void Feed::end_replace() {
  std::vector<std::string> gone;
  for (const auto& uid : known_) {
    if (!seen_.count(uid)) gone.push_back(uid);
  }
  for (const auto& uid : gone) {
    known_.erase(uid);
    collector_.erase(uid);
  }
  seen_ = {};
  replacing_ = false;
  synced_ = true;
}

// New kinds may come to be served; judging starts when every known one is in the graph.
void Collector::follow_discovery(std::stop_token stop) {
  bool judging = false;
  while (!stop.stop_requested()) {
    const auto resources = discover(context_.client);
    if (!resources.ok()) {
      log_warning("garbage collector cannot read discovery", {{"error", resources.error().message}});
      client::sleep_for_ms(1'000, stop);
      continue;
    }
    for (const auto& resource : *resources) {
      if (!resource.deletable || resource.kind == "Event") continue;  // events own nothing and expire
      bool followed = false;
      for (const auto& feed : feeds_) {
        followed |= feed->resource().group == resource.group && feed->resource().plural == resource.plural;
      }
      if (followed) continue;
      auto feed = std::make_unique<Feed>(*this, static_cast<int>(feeds_.size()), resource, context_.client);
      Feed* added = feed.get();
      {
        std::lock_guard lock(mutex_);
        feeds_.push_back(std::move(feed));
      }
      added->start();
    }
    for (const auto& feed : feeds_) {
      while (!feed->synced() && client::sleep_for_ms(5, stop)) {
      }
    }
    if (!judging && !stop.stop_requested()) controller_.start();
    judging = true;
    client::sleep_for_ms(kDiscoveryPeriodMs, stop);
  }
}

// The cache may lag behind: an owner is absent only when the server says so.
api::ApiResult<bool> Collector::owner_present(const OwnerLink& owner, const std::string& ns) {
  std::optional<ServedResource> resource;
  {
    std::lock_guard lock(mutex_);
    for (const auto& feed : feeds_) {
      const ServedResource& served = feed->resource();
      const auto slash = owner.api_version.find('/');
      const std::string group = slash == std::string::npos ? "" : owner.api_version.substr(0, slash);
      if (served.kind == owner.kind && served.group == group) resource = served;
    }
  }
  if (!resource) return true;  // a kind that is not served: nothing is known, nothing is done
  if (resource->namespaced && ns.empty()) return false;  // a cluster object cannot have such an owner
  const auto live = context_.client.get_json(resource->info(), resource->namespaced ? ns : "", owner.name);
  if (live.ok()) return live->get_string_path({"metadata", "uid"}) == owner.uid;
  if (client::is_not_found(live.error())) return false;
  return live.error();
}

ReconcileResult Collector::drop_owners(const GraphObject& object, const std::vector<std::string>& uids) {
  auto owners = json::Value::array();
  for (const auto& owner : object.owners) {
    if (std::find(uids.begin(), uids.end(), owner.uid) != uids.end()) continue;
    auto kept = json::Value::object(
        {{"apiVersion", owner.api_version}, {"kind", owner.kind}, {"name", owner.name}, {"uid", owner.uid}});
    if (owner.controller) kept.set("controller", true);
    if (owner.block_deletion) kept.set("blockOwnerDeletion", true);
    owners.push_back(std::move(kept));
  }
  auto body = json::Value::object();
  body["metadata"].set("resourceVersion", object.resource_version);
  body["metadata"].set("ownerReferences", owners.as_array().empty() ? json::Value() : std::move(owners));
  auto done = context_.client.patch_json(resource_of(object.resource).info(), object.ns, object.name,
                                         PatchType::kMerge, body);
  if (!done.ok()) return ignore_not_found(done.error());
  return Requeue::none();
}

ReconcileResult Collector::remove_finalizer(const GraphObject& object, std::string_view finalizer) {
  const ServedResource resource = resource_of(object.resource);
  const auto live = context_.client.get_json(resource.info(), object.ns, object.name);
  if (!live.ok()) return ignore_not_found(live.error());
  if (live->get_string_path({"metadata", "uid"}) != object.uid) return Requeue::none();
  auto kept = json::Value::array();
  if (const auto* finalizers = live->find_path({"metadata", "finalizers"});
      finalizers != nullptr && finalizers->is_array()) {
    for (const auto& f : finalizers->as_array()) {
      if (!(f == json::Value(finalizer))) kept.push_back(f);
    }
  }
  auto body = json::Value::object();
  body["metadata"].set("resourceVersion", live->get_string_path({"metadata", "resourceVersion"}));
  body["metadata"].set("finalizers", kept.as_array().empty() ? json::Value() : std::move(kept));
  auto done = context_.client.patch_json(resource.info(), object.ns, object.name, PatchType::kMerge, body);
  if (!done.ok()) return ignore_not_found(done.error());
  return Requeue::none();
}

ReconcileResult Collector::orphan(const GraphObject& object, const std::vector<std::string>& dependents) {
  for (const auto& uid : dependents) {
    GraphObject dependent;
    {
      std::lock_guard lock(mutex_);
      const GraphObject* found = graph_.find(uid);
      if (found == nullptr) continue;
      dependent = *found;
    }
    auto dropped = drop_owners(dependent, {object.uid});
    if (!dropped.ok()) return dropped;  // the finalizer stays until every dependent is free
  }
  return remove_finalizer(object, "orphan");
}

ReconcileResult Collector::reconcile(const std::string& uid) {
  std::map<std::string, bool> presence;
  GraphObject object;
  Verdict verdict;
  for (int round = 0; round < 2; ++round) {
    {
      std::lock_guard lock(mutex_);
      const GraphObject* found = graph_.find(uid);
      if (found == nullptr) return Requeue::none();
      object = *found;
      verdict = graph_.judge(uid, presence);
    }
    if (verdict.action != Verdict::Action::kCheckOwners) break;
    for (const auto& owner : verdict.owners) {
      auto present = owner_present(owner, object.ns);
      if (!present.ok()) return std::move(present).error();
      presence[owner.uid] = *present;
    }
  }
  switch (verdict.action) {
    case Verdict::Action::kNone:
      return Requeue::none();
    case Verdict::Action::kCheckOwners:
      return Requeue::after(100);  // the owners changed meanwhile
    case Verdict::Action::kDropOwners:
      return drop_owners(object, verdict.uids);
    case Verdict::Action::kFinishForeground:
      return remove_finalizer(object, "foregroundDeletion");
    case Verdict::Action::kOrphan:
      return orphan(object, verdict.uids);
    case Verdict::Action::kDelete:
      break;
  }
  client::DeleteOptions options;
  options.propagation_policy = verdict.policy;
  options.precondition_uid = uid;
  options.precondition_resource_version = object.resource_version;
  auto removed =
      context_.client.remove_json(resource_of(object.resource).info(), object.ns, object.name, options);
  if (!removed.ok()) return ignore_not_found(removed.error());
  return Requeue::none();
}

}  // namespace

std::unique_ptr<Loop> make_garbage_collector(Context& context) {
  return std::make_unique<Collector>(context);
}

}  // namespace coxswain::controllers
