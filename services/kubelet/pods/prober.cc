#include "services/kubelet/pods/prober.h"

#include <algorithm>

#include "libs/common/base/clock.h"
#include "services/kubelet/core/plan.h"

namespace coxswain::kubelet {
namespace {

constexpr std::int64_t kEagerPeriodMs = 1000;  // a container that was never ready yet is asked this often
constexpr std::int64_t kReportEveryMs = 5000;

const char* kind_name(ProbeKind kind) {
  return kind == ProbeKind::kLiveness ? "Liveness" : kind == ProbeKind::kReadiness ? "Readiness" : "Startup";
}

std::string key_of(const std::string& id, std::size_t index) { return id + "/" + std::to_string(index); }

}  // namespace

void Prober::start(int threads) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this](std::stop_token stop) {
      while (auto key = queue_.get(stop)) {
        run(*key);
        queue_.done(*key);
      }
    });
  }
}

void Prober::stop() {
  queue_.shutdown();
  for (auto& t : threads_) t.request_stop();
  threads_.clear();
}

void Prober::add(const std::string& pod_uid, const std::string& container_id,
                 std::shared_ptr<const v1::Pod> pod, const std::string& container, const std::string& ip,
                 std::int64_t started_unix_ms, bool was_ready, bool was_started) {
  const v1::Container* spec = find_container(*pod, container);
  if (!spec || !(spec->livenessProbe || spec->readinessProbe || spec->startupProbe)) return;
  auto target = std::make_shared<Target>();
  target->pod_uid = pod_uid;
  target->id = container_id;
  target->container = container;
  target->ip = ip;
  target->pod = pod;
  const auto track = [&](ProbeKind kind, const std::optional<v1::Probe>& probe) {
    if (probe) target->tracks.push_back({kind, *probe, ProbeCounter(kind, *probe)});
  };
  track(ProbeKind::kStartup, spec->startupProbe);
  track(ProbeKind::kLiveness, spec->livenessProbe);
  track(ProbeKind::kReadiness, spec->readinessProbe);
  target->started = !spec->startupProbe || was_started;
  target->ready = spec->readinessProbe ? was_ready : true;
  {
    const std::lock_guard lock(mutex_);
    if (!targets_.emplace(container_id, target).second) return;
  }
  {
    const std::lock_guard lock(target->mutex);
    report(*target, "");
  }
  const std::int64_t age_ms = system_clock().unix_ms() - started_unix_ms;
  for (std::size_t i = 0; i < target->tracks.size(); ++i) {
    const auto& t = target->tracks[i];
    if (t.kind == ProbeKind::kStartup && target->started) continue;
    queue_.add_after(key_of(container_id, i),
                     std::max<std::int64_t>(0, t.probe.initialDelaySeconds * 1000 - age_ms));
  }
}

void Prober::remove(const std::string& container_id) {
  const std::lock_guard lock(mutex_);
  targets_.erase(container_id);
}

void Prober::report(Target& target, const std::string& message) {
  ProbeVerdict verdict;
  verdict.started = target.started;
  verdict.ready = target.ready;
  for (const auto& t : target.tracks) {
    if (t.kind == ProbeKind::kReadiness || !t.counter.gave_up()) continue;
    if (t.kind == ProbeKind::kLiveness && !target.started) continue;
    verdict.must_restart = true;
    verdict.message = "Container " + target.container + " failed " +
                      (t.kind == ProbeKind::kLiveness ? "liveness" : "startup") + " probe, will be restarted";
  }
  (void)message;
  on_verdict_(target.pod_uid, target.id, verdict);
}

void Prober::run(const std::string& key) {
  const auto slash = key.rfind('/');
  const std::size_t index = static_cast<std::size_t>(std::atoi(key.c_str() + slash + 1));
  std::shared_ptr<Target> target;
  {
    const std::lock_guard lock(mutex_);
    const auto it = targets_.find(key.substr(0, slash));
    if (it == targets_.end()) return;
    target = it->second;
  }
  Track& track = target->tracks[index];  // the vector never changes; only one thread has this key
  const std::int64_t period_ms = (track.probe.periodSeconds > 0 ? track.probe.periodSeconds : 10) * 1000;
  {
    const std::lock_guard lock(target->mutex);
    if (track.kind == ProbeKind::kStartup && target->started) return;
    if (track.kind != ProbeKind::kStartup && !target->started) {
      queue_.add_after(key, std::min<std::int64_t>(period_ms, 250));
      return;
    }
  }
  const v1::Container* spec = find_container(*target->pod, target->container);
  const ProbeOutcome outcome = run_probe_action(runtime_, target->id, *spec, track.probe, target->ip);
  {
    const std::lock_guard lock(mutex_);
    if (!targets_.count(target->id)) return;  // it ended meanwhile
  }
  const std::lock_guard lock(target->mutex);
  const bool changed = track.counter.observe(outcome.success);
  const std::int64_t now_ms = system_clock().now_ms();
  if (!outcome.success &&
      (track.reported_ms == 0 || now_ms - track.reported_ms >= std::min(period_ms, kReportEveryMs))) {
    track.reported_ms = now_ms;
    on_failure_(target->pod_uid, target->container, kind_name(track.kind), outcome.message);
  }
  if (track.kind == ProbeKind::kStartup && track.counter.passing()) target->started = true;
  if (changed && track.kind == ProbeKind::kReadiness) target->ready = track.counter.passing();
  if (changed) report(*target, outcome.message);
  const bool eager = track.kind == ProbeKind::kReadiness && !target->ready;
  if (track.kind != ProbeKind::kStartup || !target->started) {
    queue_.add_after(key, eager ? std::min(period_ms, kEagerPeriodMs) : period_ms);
  }
}

}  // namespace coxswain::kubelet
