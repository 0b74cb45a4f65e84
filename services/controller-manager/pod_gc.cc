// Removes pods that their kubelet cannot remove any more.
#include "services/controller-manager/pod_gc.h"

#include <algorithm>

#include "libs/common/log/log.h"
#include "services/controller-manager/context.h"

namespace coxswain::controllers {
namespace {
constexpr std::int64_t kQuarantineMs = 40'000;  // a node may only be late in the cache
constexpr std::int64_t kPeriodMs = 20'000;
constexpr const char* kOutOfService = "node.kubernetes.io/out-of-service";
}  // namespace

PodGcPlan plan_pod_gc(const PodGcInput& input) {
  PodGcPlan plan;
  std::vector<PodPointer> finished;
  for (const auto& pod : input.pods) {
    if (pod->finished() && !pod->metadata.deleting) finished.push_back(pod);
    if (pod->node.empty()) {
      if (pod->metadata.deleting) plan.remove.push_back(pod);  // no kubelet will end it
      continue;
    }
    if (!input.nodes.count(pod->node)) {
      const auto known = input.missing_since_ms.find(pod->node);
      const std::int64_t since = known == input.missing_since_ms.end() ? input.now_ms : known->second;
      plan.missing_since_ms[pod->node] = since;
      if (input.now_ms - since >= kQuarantineMs) plan.orphaned.push_back(pod);
    } else if (pod->metadata.deleting && input.out_of_service.count(pod->node)) {
      plan.remove.push_back(pod);
    }
  }
  const std::int64_t surplus = static_cast<std::int64_t>(finished.size()) - input.terminated_threshold;
  if (input.terminated_threshold <= 0 || surplus <= 0) return plan;
  std::sort(finished.begin(), finished.end(), [](const PodPointer& a, const PodPointer& b) {
    return a->metadata.created_ms < b->metadata.created_ms;
  });
  plan.remove.insert(plan.remove.end(), finished.begin(), finished.begin() + surplus);
  return plan;
}

namespace {

using api::core::v1::Node;
using client::ReconcileResult;
using client::Requeue;

class State {
 public:
  explicit State(Context& context)
      : context_(context),
        nodes_(context.informers.get<Node>().lister()),
        pods_(context.informers.get<PodView>().lister()) {}

  ReconcileResult reconcile(const std::string&) {
    PodGcInput input;
    input.pods = pods_.list();
    input.missing_since_ms = missing_since_ms_;
    input.now_ms = context_.clock.now_ms();
    input.terminated_threshold = context_.settings.terminated_pod_threshold;
    for (const auto& node : nodes_.list()) {
      input.nodes.insert(node->metadata.name);
      for (const auto& taint : node->spec.taints) {
        if (taint.key == kOutOfService) input.out_of_service.insert(node->metadata.name);
      }
      for (const auto& condition : node->status.conditions) {
        if (condition.type == "Ready" && condition.status == "True")
          input.out_of_service.erase(node->metadata.name);
      }
    }
    const PodGcPlan plan = plan_pod_gc(input);
    missing_since_ms_ = plan.missing_since_ms;
    std::map<std::string, bool> gone;
    for (const auto& pod : plan.orphaned) {
      auto [it, fresh] = gone.try_emplace(pod->node, false);
      if (fresh) {
        const auto live = context_.client.get<Node>("", pod->node);
        it->second = !live.ok() && client::is_not_found(live.error());
      }
      if (!it->second) continue;
      if (!pod->finished()) mark_failed(*pod);
      remove(*pod, "its node is gone");
    }
    for (const auto& pod : plan.remove) remove(*pod, "nobody else will");
    return Requeue::after(kPeriodMs);
  }

 private:
  // Nobody will report how it ended: it counts as failed, and why is said.
  void mark_failed(const PodView& pod) {
    auto condition = json::Value::object({{"type", "DisruptionTarget"},
                                          {"status", "True"},
                                          {"reason", "DeletionByPodGC"},
                                          {"message", "PodGC: node no longer exists"},
                                          {"lastTransitionTime", format_rfc3339(context_.clock.unix_ms())}});
    auto status = json::Value::object(
        {{"phase", "Failed"}, {"conditions", json::Value::array({std::move(condition)})}});
    auto body = json::Value::object(
        {{"metadata", json::Value::object({{"uid", pod.metadata.uid}})}, {"status", std::move(status)}});
    const auto done =
        context_.client.patch_json(client::resource_of<PodView>(), pod.metadata.namespace_, pod.metadata.name,
                                   client::PatchType::kStrategicMerge, body, "status");
    if (!done.ok() && !client::is_not_found(done.error()))
      log_warning("pod not marked as failed",
                  {{"pod", client::key_of(pod)}, {"error", done.error().message}});
  }

  void remove(const PodView& pod, const char* why) {
    client::DeleteOptions options;
    options.grace_period_seconds = 0;
    options.precondition_uid = pod.metadata.uid;
    const auto done = context_.client.remove_json(client::resource_of<PodView>(), pod.metadata.namespace_,
                                                  pod.metadata.name, options);
    if (done.ok()) {
      log_info("pod removed", {{"pod", client::key_of(pod)}, {"why", why}});
    } else if (!client::is_not_found(done.error())) {
      log_warning("pod not removed", {{"pod", client::key_of(pod)}, {"error", done.error().message}});
    }
  }

  Context& context_;
  const client::Lister<Node>& nodes_;
  const client::Lister<PodView>& pods_;
  std::map<std::string, std::int64_t> missing_since_ms_;  // the only worker's
};

}  // namespace

std::unique_ptr<Loop> make_pod_gc(Context& context) {
  auto loop = std::make_unique<ControllerLoop<State>>(
      client::ControllerOptions{.name = "pod-garbage-collector", .workers = 1},
      std::make_unique<State>(context));
  loop->controller().enqueue("all");
  // An unscheduled pod that is deleted need not wait for the round.
  auto& controller = loop->controller();
  context.informers.get<PodView>().add_handler([&controller](const client::Change<PodView>& change) {
    if (change.object->node.empty() && change.object->metadata.deleting) controller.enqueue("all");
  });
  return loop;
}

}  // namespace coxswain::controllers
