#include "services/scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "libs/common/log/log.h"
#include "libs/common/metrics/metrics.h"

namespace coxswain::scheduler {
namespace {

constexpr std::size_t kMaxTasks = 1000;
constexpr client::ResourceInfo kPods{"", "v1", "Pod", "pods", true};

client::ObjectRef ref_of(const PodInfo& pod) { return {"v1", "Pod", pod.ns, pod.name, pod.uid, "", ""}; }

}  // namespace

void from_json(const json::Value& value, PodView& view) {
  api::core::v1::Pod pod;
  api::from_json(value, pod);
  view.metadata = {pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid,
                   pod.metadata.resourceVersion};
  view.info = pod_info(pod);
}

Scheduler::Scheduler(client::ApiClient& client, SchedulerOptions options, Clock& clock)
    : client_(client),
      options_(std::move(options)),
      clock_(clock),
      events_(client, options_.scheduler_name, "", clock),
      random_(seeded_random(system_random().next())) {}

void Scheduler::on_pod(const client::Change<PodView>& change) {
  const PodInfo& pod = change.object->info;
  std::lock_guard lock(mutex_);
  unsigned events = 0;
  if (change.type == client::ChangeType::kDeleted) {
    queue_.remove(pod.key());
    events = cluster_.remove_pod(pod.key());
  } else if (!pod.node_name.empty()) {
    queue_.remove(pod.key());
    events = cluster_.set_pod(pod);
  } else if (pod.deleting || pod.finished || pod.scheduler_name != options_.scheduler_name) {
    queue_.remove(pod.key());
    cluster_.forget(pod.key());  // a bind under way will be refused
  } else if (!cluster_.is_assumed(pod)) {
    queue_.set(pod, clock_.now_ms());
  }
  queue_.on_event(events, clock_.now_ms());
  changed_.notify_all();
}

void Scheduler::on_node(const client::Change<api::core::v1::Node>& change) {
  std::lock_guard lock(mutex_);
  if (change.type == client::ChangeType::kDeleted) {
    cluster_.remove_node(change.object->metadata.name);
    return;
  }
  queue_.on_event(cluster_.set_node(node_info(*change.object)), clock_.now_ms());
  changed_.notify_all();
}

void Scheduler::run(std::stop_token stop) {
  client::InformerSet informers(client_);
  // Finished pods take no room: not even looked at.
  auto& pods = informers.get<PodView>({.field_selector = "status.phase!=Succeeded,status.phase!=Failed"});
  auto& nodes = informers.get<api::core::v1::Node>();
  pods.add_handler([this](const auto& change) { on_pod(change); });
  nodes.add_handler([this](const auto& change) { on_node(change); });
  informers.start();
  if (!informers.wait_for_sync(stop)) return;
  std::vector<std::jthread> binders;
  for (int i = 0; i < options_.binders; ++i)
    binders.emplace_back([this](std::stop_token done) { work(done); });
  loop(stop);
  informers.stop();
}

void Scheduler::loop(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    // When the api-server is slow, binds pile up: deciding faster would only fill memory.
    if (backlogged()) {
      lock.unlock();
      client::sleep_for_ms(10, stop);
      lock.lock();
      continue;
    }
    if (auto entry = queue_.pop(clock_.now_ms())) {
      schedule_one(std::move(*entry));
      continue;
    }
    const std::int64_t due_ms = queue_.next_due_ms(clock_.now_ms());
    const std::int64_t wait_ms = due_ms < 0 ? 60'000 : std::max<std::int64_t>(1, due_ms - clock_.now_ms());
    bool woken = false;
    changed_.wait_for(lock, stop, std::chrono::milliseconds(wait_ms),
                      [&] { return std::exchange(woken, true); });
  }
}

// With mutex_ held.
void Scheduler::schedule_one(Queue::Entry entry) {
  const Decision decision = decide(entry.pod, cluster_, next_start_, random_->next());
  if (decision.nodes_total > 0) next_start_ = (next_start_ + decision.nodes_seen) % decision.nodes_total;
  if (decision.node.empty()) {
    ++failed_;
    const PodInfo pod = entry.pod;
    queue_.add_unschedulable(std::move(entry), decision.retry_on, clock_.now_ms());
    submit([this, pod, message = decision.message()] { report_failure(pod, message); });
    return;
  }
  cluster_.assume(entry.pod, decision.node);
  submit([this, entry = std::move(entry), node = decision.node] { bind(entry, node); });
}

void Scheduler::bind(Queue::Entry entry, std::string node) {
  const PodInfo& pod = entry.pod;
  const auto bound = client_.bind(pod.ns, pod.name, node, pod.uid);
  if (bound.ok()) {
    events_.record({ref_of(pod), client::EventType::kNormal, "Scheduled",
                    "Successfully assigned " + pod.key() + " to " + node});
    std::lock_guard lock(mutex_);
    ++scheduled_;
    return;
  }
  std::lock_guard lock(mutex_);
  // Gone, or bound by somebody else: the informer tells. Anything else is tried again.
  cluster_.forget(pod.key());
  if (client::is_not_found(bound.error()) || bound.error().code == 409) return;
  log_warning("cannot bind", {{"pod", pod.key()}, {"node", node}, {"error", bound.error().message}});
  queue_.add_backoff(std::move(entry), clock_.now_ms());
  changed_.notify_all();
}

void Scheduler::report_failure(const PodInfo& pod, const std::string& message) {
  events_.record({ref_of(pod), client::EventType::kWarning, "FailedScheduling", message});
  json::Value condition = json::Value::object(
      {{"type", "PodScheduled"}, {"status", "False"}, {"reason", "Unschedulable"}, {"message", message}});
  condition.set("lastTransitionTime", format_rfc3339(clock_.unix_ms()));
  json::Value patch = json::Value::object();
  patch["metadata"].set("uid", pod.uid);
  patch["status"].set("conditions", json::Value::array({std::move(condition)}));
  const auto patched =
      client_.patch_json(kPods, pod.ns, pod.name, client::PatchType::kStrategicMerge, patch, "status");
  if (!patched.ok() && !client::is_not_found(patched.error()) && !client::is_conflict(patched.error())) {
    log_warning("cannot report why a pod is not scheduled",
                {{"pod", pod.key()}, {"error", patched.error().message}});
  }
}

void Scheduler::submit(std::function<void()> task) {
  std::lock_guard lock(tasks_mutex_);
  tasks_.push_back(std::move(task));
  tasks_changed_.notify_one();
}

bool Scheduler::backlogged() {
  std::lock_guard lock(tasks_mutex_);
  return tasks_.size() >= kMaxTasks;
}

void Scheduler::work(std::stop_token stop) {
  std::unique_lock lock(tasks_mutex_);
  while (tasks_changed_.wait(lock, stop, [this] { return !tasks_.empty(); })) {
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

void Scheduler::write_metrics(std::string& out) const {
  std::lock_guard lock(mutex_);
  const std::string_view attempts = "scheduler_schedule_attempts_total";
  metrics::family(out, attempts, "counter", "Attempts to find a node, by their end.");
  metrics::sample(out, attempts, "result=\"scheduled\"", static_cast<std::int64_t>(scheduled_));
  metrics::sample(out, attempts, "result=\"unschedulable\"", static_cast<std::int64_t>(failed_));
  metrics::family(out, "scheduler_pending_pods", "gauge", "Pods without a node.");
  metrics::sample(out, "scheduler_pending_pods", "", static_cast<std::int64_t>(queue_.size()));
}

}  // namespace coxswain::scheduler
