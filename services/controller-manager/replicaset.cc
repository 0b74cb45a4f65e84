// Keeps as many pods of a template as a ReplicaSet asks for.
#include <algorithm>

#include "libs/common/log/log.h"
#include "services/controller-manager/context.h"
#include "services/controller-manager/expectations.h"
#include "services/controller-manager/replicaset_plan.h"

namespace coxswain::controllers {
namespace {

using api::apps::v1::ReplicaSet;
using client::Change;
using client::ChangeType;
using client::key_of;
using client::ReconcileResult;
using client::Requeue;

constexpr client::ResourceInfo kPods{"", "v1", "Pod", "pods", true};
constexpr client::ResourceInfo kSets{"apps", "v1", "ReplicaSet", "replicasets", true};
constexpr std::string_view kComponent = "replicaset-controller";

class State {
 public:
  explicit State(Context& context)
      : context_(context),
        sets_(context.informers.get<ReplicaSet>().lister()),
        pods_(context.informers.get<PodView>().lister()) {}

  ReconcileResult reconcile(const std::string& key);
  Expectations expectations;

 private:
  ReconcileResult claim(const ReplicaSet& set, std::vector<PodPointer>* owned);
  std::map<std::string, int> related_per_node(const ReplicaSet& set) const;
  ReconcileResult create_pods(const std::string& key, const ReplicaSet& set, int count);
  ReconcileResult remove_pods(const std::string& key, const ReplicaSet& set,
                              const std::vector<PodPointer>& pods);
  ReconcileResult write_status(const ReplicaSet& set, api::apps::v1::ReplicaSetStatus status,
                               const ReconcileResult& managed);
  void event(const ReplicaSet& set, client::EventType type, std::string reason, std::string message) {
    context_.events.record_as(std::string(kComponent),
                              {client::ref_to(set), type, std::move(reason), std::move(message)});
  }

  Context& context_;
  const client::Lister<ReplicaSet>& sets_;
  const client::Lister<PodView>& pods_;
};

ReconcileResult State::claim(const ReplicaSet& set, std::vector<PodPointer>* owned) {
  auto candidates = pods_.by_index("controller", set.metadata.uid);
  for (auto& orphan : pods_.by_index("controller", "")) {
    if (orphan->metadata.namespace_ == set.metadata.namespace_) candidates.push_back(std::move(orphan));
  }
  std::vector<Claimable> claimables;
  claimables.reserve(candidates.size());
  for (const auto& pod : candidates) {
    // A finished pod is not worth adopting.
    claimables.push_back({&pod->metadata.ownerReferences, &pod->metadata.labels, !pod->active()});
  }
  const auto selector = set.spec.selector.value_or(api::meta::v1::LabelSelector{});
  const Claim claim =
      plan_claim(set.metadata.uid, set.metadata.deletionTimestamp.has_value(), selector, claimables);
  for (const std::size_t i : claim.owned) owned->push_back(candidates[i]);
  for (const std::size_t i : claim.release) {
    const auto& meta = candidates[i]->metadata;
    auto done =
        context_.client.patch_json(kPods, meta.namespace_, meta.name, client::PatchType::kStrategicMerge,
                                   release_patch(set.metadata.uid, meta.uid));
    if (!done.ok() && !client::is_not_found(done.error())) return std::move(done).error();
  }
  if (claim.adopt.empty()) return Requeue::none();
  // The cache may be old: adopting for a set that is being deleted would strand the pods.
  const auto live = context_.client.get<ReplicaSet>(set.metadata.namespace_, set.metadata.name);
  if (!live.ok()) return ignore_not_found(live.error());
  if (live->metadata.uid != set.metadata.uid || live->metadata.deletionTimestamp) return Requeue::none();
  const auto owner = owner_reference_json("apps/v1", "ReplicaSet", set.metadata.name, set.metadata.uid);
  for (const std::size_t i : claim.adopt) {
    const auto& meta = candidates[i]->metadata;
    auto done = context_.client.patch_json(kPods, meta.namespace_, meta.name,
                                           client::PatchType::kStrategicMerge, adopt_patch(owner, meta.uid));
    if (done.ok()) {
      owned->push_back(candidates[i]);
    } else if (!client::is_not_found(done.error())) {
      return std::move(done).error();
    }
  }
  return Requeue::none();
}

std::map<std::string, int> State::related_per_node(const ReplicaSet& set) const {
  std::map<std::string, int> out;
  const auto* owner = client::controller_of(set.metadata.ownerReferences);
  for (const auto& other : sets_.list(set.metadata.namespace_)) {
    const auto* other_owner = client::controller_of(other->metadata.ownerReferences);
    const bool related = other->metadata.uid == set.metadata.uid ||
                         (owner != nullptr && other_owner != nullptr && owner->uid == other_owner->uid);
    if (!related) continue;
    for (const auto& pod : pods_.by_index("controller", other->metadata.uid)) {
      if (pod->active() && !pod->node.empty()) ++out[pod->node];
    }
  }
  return out;
}

ReconcileResult State::create_pods(const std::string& key, const ReplicaSet& set, int count) {
  json::Value body = to_json(set.spec.template_);
  json::Value& metadata = body["metadata"];
  if (!metadata.is_object()) metadata = json::Value::object();
  for (const char* dropped : {"name", "namespace", "uid", "creationTimestamp"}) metadata.erase(dropped);
  metadata.set("generateName", set.metadata.name + "-");
  metadata.set("namespace", set.metadata.namespace_);
  metadata.set("ownerReferences", json::Value::array({owner_reference_json(
                                      "apps/v1", "ReplicaSet", set.metadata.name, set.metadata.uid)}));
  expectations.expect_creations(key, count, context_.clock.now_ms());
  int done = 0;
  // Slow start: when the first pods are refused (quota, bad spec), a thousand more calls do not follow.
  for (int batch = 1; done < count; batch *= 2) {
    for (int i = 0; i < batch && done < count; ++i, ++done) {
      auto created = context_.client.create_json(kPods, set.metadata.namespace_, body);
      if (created.ok()) {
        event(set, client::EventType::kNormal, "SuccessfulCreate",
              "Created pod: " + created->get_string_path({"metadata", "name"}));
        continue;
      }
      for (int missing = done; missing < count; ++missing) expectations.creation_observed(key);
      if (client::is_namespace_terminating(created.error())) return Requeue::none();
      event(set, client::EventType::kWarning, "FailedCreate", "Error creating: " + created.error().message);
      return std::move(created).error();
    }
  }
  return Requeue::none();
}

ReconcileResult State::remove_pods(const std::string& key, const ReplicaSet& set,
                                   const std::vector<PodPointer>& pods) {
  ReconcileResult result = Requeue::none();
  for (const auto& pod : pods) {
    expectations.expect_deletion(key, pod->metadata.uid, context_.clock.now_ms());
    client::DeleteOptions options;
    options.precondition_uid = pod->metadata.uid;
    auto removed = context_.client.remove_json(kPods, pod->metadata.namespace_, pod->metadata.name, options);
    if (removed.ok()) {
      event(set, client::EventType::kNormal, "SuccessfulDelete", "Deleted pod: " + pod->metadata.name);
      continue;
    }
    expectations.deletion_observed(key, pod->metadata.uid);
    if (client::is_not_found(removed.error())) continue;
    event(set, client::EventType::kWarning, "FailedDelete", "Error deleting: " + removed.error().message);
    result = std::move(removed).error();
  }
  return result;
}

ReconcileResult State::write_status(const ReplicaSet& set, api::apps::v1::ReplicaSetStatus status,
                                    const ReconcileResult& managed) {
  std::erase_if(status.conditions, [](const auto& c) { return c.type == "ReplicaFailure"; });
  if (!managed.ok()) {
    const auto was = std::find_if(set.status.conditions.begin(), set.status.conditions.end(),
                                  [](const auto& c) { return c.type == "ReplicaFailure"; });
    api::apps::v1::ReplicaSetCondition failure;
    failure.type = "ReplicaFailure";
    failure.status = "True";
    failure.reason = "FailedCreate";
    failure.message = managed.error().message;
    failure.lastTransitionTime =
        was != set.status.conditions.end() ? was->lastTransitionTime : api::Time{context_.clock.unix_ms()};
    status.conditions.push_back(failure);
  }
  if (to_json(status) == to_json(set.status)) return managed;
  ReplicaSet update = set;
  update.status = status;
  auto written = context_.client.update(update, "status");
  if (!written.ok() && !client::is_not_found(written.error())) return std::move(written).error();
  return managed;
}

ReconcileResult State::reconcile(const std::string& key) {
  const auto set = sets_.get(key);
  if (!set) {
    expectations.forget(key);
    return Requeue::none();
  }
  // Before the pods are read: a pod that arrives in between is counted at the next round.
  const bool settled = expectations.satisfied(key, context_.clock.now_ms());
  std::vector<PodPointer> owned;
  auto claimed = claim(*set, &owned);
  if (!claimed.ok()) return claimed;
  // Crowding matters only to the choice of what to delete, and costs a look at the sibling sets.
  const bool shrinks = static_cast<int>(owned.size()) > set->spec.replicas.value_or(1);
  const auto related = shrinks ? related_per_node(*set) : std::map<std::string, int>{};
  const ReplicaSetPlan plan = plan_replicaset(*set, owned, related, context_.clock.unix_ms());
  ReconcileResult managed = Requeue::none();
  if (settled && plan.create > 0) managed = create_pods(key, *set, plan.create);
  if (settled && !plan.remove.empty()) managed = remove_pods(key, *set, plan.remove);
  auto result = write_status(*set, plan.status, managed);
  if (result.ok() && plan.recheck_ms >= 0) return Requeue::after(plan.recheck_ms);
  return result;
}

}  // namespace

std::unique_ptr<Loop> make_replicaset(Context& context) {
  auto loop = std::make_unique<ControllerLoop<State>>(
      client::ControllerOptions{.name = "replicaset", .workers = 2}, std::make_unique<State>(context));
  auto& controller = loop->controller();
  auto& state = loop->state();
  auto& sets = context.informers.get<ReplicaSet>();
  controller.watch(sets);
  const auto& set_lister = sets.lister();
  context.informers.get<PodView>().add_handler(
      [&controller, &state, &set_lister](const Change<PodView>& change) {
        const auto owner_key = [](const PodView& pod) -> std::string {
          const auto* owner = client::controller_of(pod.metadata.ownerReferences);
          if (owner == nullptr || owner->kind != "ReplicaSet") return {};
          return client::object_key(pod.metadata.namespace_, owner->name);
        };
        const std::string key = owner_key(*change.object);
        if (!key.empty()) {
          if (change.type == ChangeType::kAdded) state.expectations.creation_observed(key);
          if (change.type == ChangeType::kDeleted || change.object->metadata.deleting) {
            state.expectations.deletion_observed(key, change.object->metadata.uid);
          }
          controller.enqueue(key);
        } else if (change.type != ChangeType::kDeleted &&
                   client::controller_of(change.object->metadata.ownerReferences) == nullptr) {
          for (const auto& set :
               set_lister.list(change.object->metadata.namespace_)) {  // an orphan: who wants it?
            if (set->spec.selector &&
                client::selector_matches(*set->spec.selector, change.object->metadata.labels)) {
              controller.enqueue(key_of(*set));
            }
          }
        }
        if (change.old_object && owner_key(*change.old_object) != key) {
          const std::string old_key = owner_key(*change.old_object);
          if (!old_key.empty()) controller.enqueue(old_key);
        }
      });
  return loop;
}

}  // namespace coxswain::controllers
