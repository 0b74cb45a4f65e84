// Watches the nodes' signs of life, taints those that are lost or under pressure, and evicts pods that
// do not tolerate it.
#include "api/types/coordination_v1.h"
#include "libs/common/log/log.h"
#include "services/controller-manager/context.h"
#include "services/controller-manager/node_lifecycle_plan.h"
#include "services/controller-manager/node_zones.h"

namespace coxswain::controllers {
namespace {

using api::coordination::v1::Lease;
using client::PatchType;
using client::ReconcileResult;
using client::Requeue;

constexpr const char* kLeaseNamespace = "kube-node-lease";
constexpr std::int64_t kZonesPeriod_ms = 500;
constexpr client::ResourceInfo kPods{"", "v1", "Pod", "pods", true};

class State {
 public:
  explicit State(Context& context)
      : context_(context),
        nodes_(context.informers.get<Node>().lister()),
        leases_(context.informers.get<Lease>().lister()),
        pods_(context.informers.get<PodView>().lister()) {}

  ReconcileResult reconcile(const std::string& name);

 private:
  std::string sign_of_life(const Node& node) const;
  void limit_eviction(const Node& node, NodePlan& plan);
  void refresh_zones(std::int64_t now_ms);
  api::ApiResult<void> mark_disrupted(const PodView& pod);
  ReconcileResult write(const Node& node, const NodePlan& plan);
  ReconcileResult mark_not_ready(const std::vector<PodPointer>& pods);
  ReconcileResult evict(const std::vector<Taint>& taints, const std::vector<PodPointer>& pods,
                        std::int64_t* next_ms);

  Context& context_;
  const client::Lister<Node>& nodes_;
  const client::Lister<Lease>& leases_;
  const client::Lister<PodView>& pods_;
  // The only worker's:
  std::map<std::string, NodeHeartbeat> heartbeats_;
  NodeZones zones_;
  std::int64_t zones_read_ms_ = 0;
  bool all_disrupted_ = false;
  bool was_ready_ = false;  // some node was, since we lead
};

std::string State::sign_of_life(const Node& node) const {
  std::string sign;
  if (const auto lease = leases_.get(kLeaseNamespace, node.metadata.name); lease && lease->spec.renewTime) {
    sign = std::to_string(lease->spec.renewTime->unix_us);
  }
  for (const auto& condition : node.status.conditions) {
    if (condition.type == "Ready") sign += "|" + std::to_string(condition.lastHeartbeatTime.unix_ms);
  }
  return sign;
}

bool is_ready(const Node& node, const NodePlan* plan) {
  if (plan != nullptr && plan->mark_pods_not_ready) return false;
  return std::any_of(node.status.conditions.begin(), node.status.conditions.end(),
                     [](const auto& c) { return c.type == "Ready" && c.status == "True"; });
}

void State::refresh_zones(std::int64_t now_ms) {
  if (zones_read_ms_ != 0 && now_ms - zones_read_ms_ < kZonesPeriod_ms) return;
  zones_read_ms_ = now_ms;
  for (const auto& node : nodes_.list())
    zones_.set(node->metadata.name, zone_key(*node), is_ready(*node, nullptr));
}

// NoExecute comes when it is the node's turn, and goes when every node is lost.
void State::limit_eviction(const Node& node, NodePlan& plan) {
  const std::int64_t now_ms = context_.clock.now_ms();
  refresh_zones(now_ms);
  const std::string zone = zone_key(node);
  zones_.set(node.metadata.name, zone, is_ready(node, &plan));
  const bool all = zones_.all_disrupted();
  if (!all) was_ready_ = true;
  if (all != all_disrupted_ && was_ready_) {  // a cluster that starts has not lost anything
    log_warning(
        all ? "no node is ready: nobody is evicted" : "nodes are ready again: lost ones may be evicted", {});
    // While everything was down nobody could report: the others get their grace period anew.
    for (auto& [name, heartbeat] : heartbeats_) heartbeat.seen_ms = now_ms;
  }
  all_disrupted_ = all;
  if (all) {
    plan.taints = without_eviction(node.spec.taints, plan.taints);
  } else if (plan.taints && wants_eviction_turn(node.spec.taints, *plan.taints)) {
    const std::int64_t wait_ms = zones_.take_turn_ms(zone, now_ms);
    if (wait_ms == 0) return;
    plan.taints = without_eviction(node.spec.taints, plan.taints);
    plan.recheck_ms = std::min(plan.recheck_ms, wait_ms);
  }
}

ReconcileResult State::write(const Node& node, const NodePlan& plan) {
  if (!plan.conditions.empty()) {
    auto conditions = json::Value::array();
    for (const auto& condition : plan.conditions) {
      conditions.push_back(to_json(condition));
      if (condition.type == "Ready") {
        context_.events.record_as("node-controller",
                                  {client::ref_to(node), client::EventType::kNormal, "NodeNotReady",
                                   "Node " + node.metadata.name + " status is now: NodeNotReady"});
      }
    }
    auto body =
        json::Value::object({{"status", json::Value::object({{"conditions", std::move(conditions)}})}});
    auto done =
        context_.client.patch<Node>("", node.metadata.name, PatchType::kStrategicMerge, body, "status");
    if (!done.ok()) return std::move(done).error();
    log_warning("node stopped reporting", {{"node", node.metadata.name}});
  }
  if (!plan.taints) return Requeue::none();
  auto taints = json::Value::array();
  for (const auto& taint : *plan.taints) taints.push_back(to_json(taint));
  auto body = json::Value::object({{"spec", json::Value::object({{"taints", std::move(taints)}})}});
  if (plan.conditions.empty()) body["metadata"].set("resourceVersion", node.metadata.resourceVersion);
  if (plan.taints->empty()) body["spec"].set("taints", nullptr);
  auto done = context_.client.patch<Node>("", node.metadata.name, PatchType::kMerge, body);
  if (!done.ok()) return std::move(done).error();
  return Requeue::none();
}

// Services must not route to pods nobody vouches for.
ReconcileResult State::mark_not_ready(const std::vector<PodPointer>& pods) {
  for (const auto& pod : pods) {
    if (!pod->ready) continue;
    context_.events.record_as("node-controller", {{"v1", "Pod", pod->metadata.namespace_, pod->metadata.name,
                                                   pod->metadata.uid, "", ""},
                                                  client::EventType::kWarning,
                                                  "NodeNotReady",
                                                  "Node is not ready"});
    const std::string now = format_rfc3339(context_.clock.unix_ms());
    auto condition =
        json::Value::object({{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", now}});
    auto body = json::Value::object(
        {{"metadata", json::Value::object({{"uid", pod->metadata.uid}})},
         {"status", json::Value::object({{"conditions", json::Value::array({condition})}})}});
    auto done = context_.client.patch_json(kPods, pod->metadata.namespace_, pod->metadata.name,
                                           PatchType::kStrategicMerge, body, "status");
    if (!done.ok() && !client::is_not_found(done.error())) return std::move(done).error();
  }
  return Requeue::none();
}

// Tells Jobs and people that the pod did not fail by itself.
api::ApiResult<void> State::mark_disrupted(const PodView& pod) {
  auto condition = json::Value::object({{"type", "DisruptionTarget"},
                                        {"status", "True"},
                                        {"reason", "DeletionByTaintManager"},
                                        {"message", "Taint manager: deleting due to NoExecute taint"},
                                        {"lastTransitionTime", format_rfc3339(context_.clock.unix_ms())}});
  auto body = json::Value::object(
      {{"metadata", json::Value::object({{"uid", pod.metadata.uid}})},
       {"status", json::Value::object({{"conditions", json::Value::array({condition})}})}});
  auto done = context_.client.patch_json(kPods, pod.metadata.namespace_, pod.metadata.name,
                                         PatchType::kStrategicMerge, body, "status");
  if (!done.ok()) return std::move(done).error();
  return {};
}

ReconcileResult State::evict(const std::vector<Taint>& taints, const std::vector<PodPointer>& pods,
                             std::int64_t* next_ms) {
  const std::int64_t now = context_.clock.unix_ms();
  for (const auto& pod : pods) {
    if (pod->metadata.deleting) continue;
    const auto due = eviction_unix_ms(taints, pod->tolerations, now);
    if (!due) continue;
    if (*due > now) {
      *next_ms = std::min(*next_ms, *due - now);
      continue;
    }
    context_.events.record_as(
        "taint-eviction-controller",
        {{"v1", "Pod", pod->metadata.namespace_, pod->metadata.name, pod->metadata.uid, "", ""},
         client::EventType::kNormal,
         "TaintManagerEviction",
         "Marking for deletion Pod " + pod->metadata.namespace_ + "/" + pod->metadata.name});
    auto marked = mark_disrupted(*pod);
    if (!marked.ok() && !client::is_not_found(marked.error()) && !client::is_conflict(marked.error()))
      return std::move(marked).error();
    client::DeleteOptions options;
    options.precondition_uid = pod->metadata.uid;
    auto done = context_.client.remove_json(kPods, pod->metadata.namespace_, pod->metadata.name, options);
    if (!done.ok() && !client::is_not_found(done.error()) && !client::is_conflict(done.error())) {
      return std::move(done).error();
    }
  }
  return Requeue::none();
}

ReconcileResult State::reconcile(const std::string& name) {
  const auto node = nodes_.get("", name);
  if (!node) {
    heartbeats_.erase(name);
    zones_.remove(name);
    return Requeue::none();
  }
  NodePlan plan =
      plan_node(*node, sign_of_life(*node), heartbeats_[name], context_.settings.node_monitor_grace_ms,
                context_.clock.now_ms(), context_.clock.unix_ms());
  limit_eviction(*node, plan);
  auto written = write(*node, plan);
  if (!written.ok()) return ignore_not_found(written.error());
  const auto pods = pods_.by_index("node", name);
  if (plan.mark_pods_not_ready) {
    auto marked = mark_not_ready(pods);
    if (!marked.ok()) return marked;
  }
  std::int64_t next_ms = std::min(plan.recheck_ms + 20, context_.settings.node_monitor_period_ms);
  auto evicted = evict(plan.taints.value_or(node->spec.taints), pods, &next_ms);
  if (!evicted.ok()) return evicted;
  return Requeue::after(std::max<std::int64_t>(next_ms, 20));
}

}  // namespace

std::unique_ptr<Loop> make_node_lifecycle(Context& context) {
  auto& leases = context.informers.get<Lease>({.ns = kLeaseNamespace});
  auto loop = std::make_unique<ControllerLoop<State>>(
      client::ControllerOptions{
          .name = "node-lifecycle", .workers = 1, .queue = {.backoff_min_ms = 50, .backoff_max_ms = 5'000}},
      std::make_unique<State>(context));
  auto& controller = loop->controller();
  controller.watch(context.informers.get<Node>());
  controller.watch<Lease>(leases, [](const Lease& lease) { return std::vector{lease.metadata.name}; });
  const auto& nodes = context.informers.get<Node>().lister();
  // A pod that lands on a tainted node starts its count at once.
  controller.watch<PodView>(context.informers.get<PodView>(),
                            [&nodes](const PodView& pod) -> std::vector<std::string> {
                              const auto node = pod.node.empty() ? nullptr : nodes.get("", pod.node);
                              if (!node || node->spec.taints.empty()) return {};
                              return {pod.node};
                            });
  return loop;
}

}  // namespace coxswain::controllers
