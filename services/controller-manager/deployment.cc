// Rolls pod templates out through ReplicaSets.
#include "libs/common/log/log.h"
#include "services/controller-manager/context.h"
#include "services/controller-manager/deployment_plan.h"

namespace coxswain::controllers {
namespace {

using client::PatchType;
using client::ReconcileResult;
using client::Requeue;

class State {
 public:
  explicit State(Context& context)
      : context_(context),
        deployments_(context.informers.get<Deployment>().lister()),
        sets_(context.informers.get<ReplicaSet>().lister()),
        pods_(context.informers.get<PodView>().lister()) {}
  ReconcileResult reconcile(const std::string& key);

 private:
  ReconcileResult claim(const Deployment& d, std::vector<ReplicaSet>* owned);
  bool old_pods_alive(const Deployment& d, const std::vector<ReplicaSet>& sets) const;
  ReconcileResult apply(const Deployment& d, const DeploymentPlan& plan);
  ReconcileResult create_set(const Deployment& d, const ReplicaSet& set);
  ReconcileResult count_collision(const Deployment& d);
  ReconcileResult change_set(const Deployment& d, const ReplicaSetChange& change);
  void event(const Deployment& d, client::EventType type, std::string reason, std::string message) {
    context_.events.record_as("deployment-controller",
                              {client::ref_to(d), type, std::move(reason), std::move(message)});
  }

  Context& context_;
  const client::Lister<Deployment>& deployments_;
  const client::Lister<ReplicaSet>& sets_;
  const client::Lister<PodView>& pods_;
};

ReconcileResult State::claim(const Deployment& d, std::vector<ReplicaSet>* owned) {
  const auto candidates = sets_.list(d.metadata.namespace_);
  std::vector<Claimable> claimables;
  for (const auto& set : candidates) {
    claimables.push_back(
        {&set->metadata.ownerReferences, &set->metadata.labels, set->metadata.deletionTimestamp.has_value()});
  }
  const Claim claim = plan_claim(d.metadata.uid, d.metadata.deletionTimestamp.has_value(),
                                 d.spec.selector.value_or(api::meta::v1::LabelSelector{}), claimables);
  for (const std::size_t i : claim.owned) owned->push_back(*candidates[i]);
  for (const std::size_t i : claim.release) {
    const auto& meta = candidates[i]->metadata;
    auto done = context_.client.patch<ReplicaSet>(meta.namespace_, meta.name, PatchType::kStrategicMerge,
                                                  release_patch(d.metadata.uid, meta.uid));
    if (!done.ok() && !client::is_not_found(done.error())) return std::move(done).error();
  }
  if (claim.adopt.empty()) return Requeue::none();
  const auto live = context_.client.get<Deployment>(d.metadata.namespace_, d.metadata.name);
  if (!live.ok()) return live.error();
  if (live->metadata.uid != d.metadata.uid || live->metadata.deletionTimestamp) return Requeue::none();
  const auto owner = owner_reference_json("apps/v1", "Deployment", d.metadata.name, d.metadata.uid);
  for (const std::size_t i : claim.adopt) {
    const auto& meta = candidates[i]->metadata;
    auto done = context_.client.patch<ReplicaSet>(meta.namespace_, meta.name, PatchType::kStrategicMerge,
                                                  adopt_patch(owner, meta.uid));
    if (!done.ok()) return std::move(done).error();
    owned->push_back(std::move(*done));
  }
  return Requeue::none();
}

bool State::old_pods_alive(const Deployment& d, const std::vector<ReplicaSet>& sets) const {
  if (d.spec.strategy.type != "Recreate") return false;
  const json::Value wanted = comparable_template(d.spec.template_);
  for (const auto& set : sets) {
    if (comparable_template(set.spec.template_) == wanted) continue;
    for (const auto& pod : pods_.by_index("controller", set.metadata.uid)) {
      if (!pod->finished()) return true;  // a terminating one still runs
    }
  }
  return false;
}

ReconcileResult State::count_collision(const Deployment& d) {
  Deployment update = d;
  update.status.collisionCount = d.status.collisionCount.value_or(0) + 1;
  auto written = context_.client.update(update, "status");
  if (!written.ok()) return std::move(written).error();
  return Requeue::none();  // the change brings us back, with another hash
}

ReconcileResult State::create_set(const Deployment& d, const ReplicaSet& set) {
  auto created = context_.client.create(set);
  if (created.ok()) {
    if (*set.spec.replicas > 0) {
      event(
          d, client::EventType::kNormal, "ScalingReplicaSet",
          "Scaled up replica set " + set.metadata.name + " from 0 to " + std::to_string(*set.spec.replicas));
    }
    return Requeue::none();
  }
  if (client::is_namespace_terminating(created.error())) return Requeue::none();
  if (!client::is_already_exists(created.error())) {
    event(d, client::EventType::kWarning, "ReplicaSetCreateError",
          "Failed to create new replica set \"" + set.metadata.name + "\": " + created.error().message);
    return std::move(created).error();
  }
  // Ours from a moment ago, which the cache does not show yet, or another template of the same hash.
  const auto existing = context_.client.get<ReplicaSet>(set.metadata.namespace_, set.metadata.name);
  if (!existing.ok()) return existing.error();
  const auto* owner = client::controller_of(existing->metadata.ownerReferences);
  const bool ours = owner != nullptr && owner->uid == d.metadata.uid;
  if (ours && comparable_template(existing->spec.template_) == comparable_template(d.spec.template_)) {
    return Requeue::after(50);
  }
  return count_collision(d);
}

ReconcileResult State::change_set(const Deployment& d, const ReplicaSetChange& change) {
  auto body = json::Value::object();
  if (!change.annotations.empty()) {
    json::Value& annotations =
        body.set("metadata", json::Value::object()).set("annotations", json::Value::object());
    for (const auto& [key, value] : change.annotations) annotations.set(key, value);
  }
  if (change.scales() || change.min_ready_seconds) {
    json::Value& spec = body.set("spec", json::Value::object());
    if (change.scales()) spec.set("replicas", change.replicas);
    if (change.min_ready_seconds) spec.set("minReadySeconds", *change.min_ready_seconds);
  }
  // The plan was made for this version: on a newer one it is made again.
  if (const auto cached = sets_.get(d.metadata.namespace_, change.name)) {
    body["metadata"].set("resourceVersion", cached->metadata.resourceVersion);
  }
  auto done = context_.client.patch<ReplicaSet>(d.metadata.namespace_, change.name, PatchType::kMerge, body);
  if (!done.ok()) return std::move(done).error();
  if (change.scales()) {
    event(d, client::EventType::kNormal, "ScalingReplicaSet",
          std::string("Scaled ") + (change.replicas > change.from ? "up" : "down") + " replica set " +
              change.name + " from " + std::to_string(change.from) + " to " +
              std::to_string(change.replicas));
  }
  return Requeue::none();
}

ReconcileResult State::apply(const Deployment& d, const DeploymentPlan& plan) {
  const auto revision = d.metadata.annotations.find(std::string(kRevisionAnnotation));
  if (!plan.revision.empty() &&
      (revision == d.metadata.annotations.end() || revision->second != plan.revision)) {
    auto body = json::Value::object();
    body.set("metadata", json::Value::object())
        .set("annotations", json::Value::object())
        .set(kRevisionAnnotation, plan.revision);
    // Through the status, as upstream: an annotation changed by itself would count as a new generation.
    auto done = context_.client.patch<Deployment>(d.metadata.namespace_, d.metadata.name, PatchType::kMerge,
                                                  body, "status");
    if (!done.ok()) return std::move(done).error();
  }
  Requeue requeue{plan.recheck_ms};
  if (plan.create) {
    auto created = create_set(d, *plan.create);
    if (!created.ok()) return created;
    if (created->after_ms >= 0) requeue = *created;
  }
  for (const auto& change : plan.changes) {
    auto changed = change_set(d, change);
    if (!changed.ok()) return changed;
  }
  for (const auto& name : plan.remove) {
    auto removed = context_.client.remove<ReplicaSet>(d.metadata.namespace_, name);
    if (!removed.ok() && !client::is_not_found(removed.error())) return std::move(removed).error();
  }
  if (!(to_json(plan.status) == to_json(d.status))) {
    auto body = json::Value::object({{"status", to_json(plan.status)}});
    // Counts that fell to zero are left out by the codec; a merge patch must name them.
    for (const char* count :
         {"replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"}) {
      if (body["status"].find(count) == nullptr) body["status"].set(count, nullptr);
    }
    auto done = context_.client.patch<Deployment>(d.metadata.namespace_, d.metadata.name, PatchType::kMerge,
                                                  body, "status");
    if (!done.ok()) return std::move(done).error();
  }
  return requeue;
}

ReconcileResult State::reconcile(const std::string& key) {
  const auto d = deployments_.get(key);
  if (!d) return Requeue::none();
  std::vector<ReplicaSet> owned;
  auto claimed = claim(*d, &owned);
  if (!claimed.ok()) return ignore_not_found(claimed.error());
  const DeploymentPlan plan = plan_deployment(*d, owned, old_pods_alive(*d, owned), context_.clock.unix_ms());
  auto result = apply(*d, plan);
  if (!result.ok()) return ignore_not_found(result.error());
  return result;
}

}  // namespace

std::unique_ptr<Loop> make_deployment(Context& context) {
  auto loop = std::make_unique<ControllerLoop<State>>(
      client::ControllerOptions{.name = "deployment", .workers = 2}, std::make_unique<State>(context));
  auto& controller = loop->controller();
  auto& deployments = context.informers.get<Deployment>();
  auto& sets = context.informers.get<ReplicaSet>();
  controller.watch(deployments);
  const auto& lister = deployments.lister();
  const auto& set_lister = sets.lister();
  controller.watch<ReplicaSet>(sets, [&lister](const ReplicaSet& set) -> std::vector<std::string> {
    const auto* owner = client::controller_of(set.metadata.ownerReferences);
    if (owner != nullptr) {
      if (owner->kind != "Deployment") return {};
      return {client::object_key(set.metadata.namespace_, owner->name)};
    }
    std::vector<std::string> keys;
    for (const auto& d : lister.list(set.metadata.namespace_)) {
      if (d->spec.selector && client::selector_matches(*d->spec.selector, set.metadata.labels)) {
        keys.push_back(client::key_of(*d));
      }
    }
    return keys;
  });
  // Recreate waits for the last old pod to be gone; no ReplicaSet changes at that moment.
  context.informers.get<PodView>().add_handler(
      [&controller, &lister, &set_lister](const client::Change<PodView>& change) {
        if (change.type != client::ChangeType::kDeleted && !change.object->finished()) return;
        const auto* owner = client::controller_of(change.object->metadata.ownerReferences);
        if (owner == nullptr || owner->kind != "ReplicaSet") return;
        const auto set = set_lister.get(change.object->metadata.namespace_, owner->name);
        const auto* above = set ? client::controller_of(set->metadata.ownerReferences) : nullptr;
        if (above == nullptr || above->kind != "Deployment") return;
        const auto d = lister.get(change.object->metadata.namespace_, above->name);
        if (d && d->spec.strategy.type == "Recreate") controller.enqueue(client::key_of(*d));
      });
  return loop;
}

}  // namespace coxswain::controllers
