// Small facts about a pod and what runs of it, shared by the plan and the status.
#include <algorithm>

#include "libs/common/base/strings.h"
#include "services/kubelet/core/plan.h"

namespace coxswain::kubelet {

const ObservedContainer* ObservedPod::latest(const std::string& name) const {
  const ObservedContainer* best = nullptr;
  for (const auto& c : containers) {
    if (c.name == name && (!best || c.attempt > best->attempt)) best = &c;
  }
  return best;
}

const ObservedContainer* ObservedPod::previous(const std::string& name) const {
  const ObservedContainer* last = latest(name);
  const ObservedContainer* best = nullptr;
  for (const auto& c : containers) {
    if (c.name == name && last && c.attempt < last->attempt && (!best || c.attempt > best->attempt))
      best = &c;
  }
  return best;
}

const ObservedContainer* ObservedPod::sandbox() const {
  const ObservedContainer* best = nullptr;
  for (const auto& s : sandboxes) {
    if (!best || s.attempt > best->attempt) best = &s;
  }
  return best;
}

bool ObservedPod::any_running() const {
  return std::any_of(containers.begin(), containers.end(),
                     [](const auto& c) { return c.state == RunState::kRunning; });
}

const v1::Container* find_container(const v1::Pod& pod, const std::string& name, bool* init) {
  for (const auto& c : pod.spec.initContainers) {
    if (c.name != name) continue;
    if (init) *init = true;
    return &c;
  }
  for (const auto& c : pod.spec.containers) {
    if (c.name != name) continue;
    if (init) *init = false;
    return &c;
  }
  return nullptr;
}

bool is_sidecar(const v1::Container& container) { return container.restartPolicy == "Always"; }

// Only what may change in a running pod counts, so that new defaulted fields restart nothing.
std::string container_hash(const v1::Container& container) {
  return std::to_string(fnv1a_64(container.name + "\n" + container.image));
}

bool restarts(const v1::Pod& pod, const v1::Container& container, bool init, int exit_code) {
  if (init && is_sidecar(container)) return true;
  const std::string& policy = pod.spec.restartPolicy;
  if (policy == "Never") return false;
  if (init || policy == "OnFailure") return exit_code != 0;
  return true;
}

namespace {
bool ran_long(const ObservedContainer& dead) {
  return dead.started_ms > 0 && dead.finished_ms - dead.started_ms >= kBackoffResetMs;
}
}  // namespace

std::int64_t owed_backoff_ms(const ObservedContainer& dead) { return ran_long(dead) ? 0 : dead.backoff_ms; }

std::int64_t next_backoff_ms(const ObservedContainer* dead) {
  if (!dead) return 0;
  const std::int64_t owed = owed_backoff_ms(*dead);
  return owed == 0 ? kBackoffFirstMs : std::min(owed * 2, kBackoffMaxMs);
}

bool is_started(const v1::Container& container, const ObservedContainer* observed, const PodMemory& memory) {
  if (!observed || observed->state != RunState::kRunning) return false;
  const auto kill = memory.kills.find(observed->id);
  if (kill != memory.kills.end() && kill->second.start_failed) return false;
  if (!container.startupProbe) return true;
  const auto it = memory.probes.find(observed->id);
  return it != memory.probes.end() && it->second.started;
}

// Init containers belong to a sandbox: a new one runs them again. Once an application container
// exists in it they are done, whatever became of their remains.
bool initialized(const v1::Pod& pod, const ObservedPod& observed, const PodMemory& memory) {
  if (pod.spec.initContainers.empty()) return true;
  const ObservedContainer* sandbox = observed.sandbox();
  for (const auto& c : pod.spec.containers) {
    const auto* latest = observed.latest(c.name);
    if (latest && (!sandbox || latest->sandbox_id == sandbox->id)) return true;
  }
  for (const auto& c : pod.spec.initContainers) {
    const auto* latest = observed.latest(c.name);
    if (!latest || (sandbox && latest->sandbox_id != sandbox->id)) return false;
    if (is_sidecar(c)) {
      if (!is_started(c, latest, memory)) return false;
    } else if (latest->state != RunState::kExited || latest->exit_code != 0) {
      return false;
    }
  }
  return true;
}

bool init_failed(const v1::Pod& pod, const ObservedPod& observed) {
  for (const auto& c : pod.spec.initContainers) {
    const auto* latest = observed.latest(c.name);
    if (!latest || latest->state != RunState::kExited || latest->exit_code == 0) continue;
    if (!restarts(pod, c, true, latest->exit_code)) return true;
  }
  return false;
}

bool containers_finished(const v1::Pod& pod, const ObservedPod& observed) {
  if (init_failed(pod, observed)) return true;
  if (pod.spec.containers.empty()) return false;
  for (const auto& c : pod.spec.containers) {
    const auto* latest = observed.latest(c.name);
    if (!latest || latest->state != RunState::kExited) return false;
    if (restarts(pod, c, false, latest->exit_code)) return false;
  }
  return true;
}

std::int64_t start_time_ms(const v1::Pod& pod, const PodMemory& memory) {
  if (pod.status.startTime && !pod.status.startTime->is_zero()) return pod.status.startTime->unix_ms;
  return memory.first_seen_ms;
}

bool deadline_exceeded(const v1::Pod& pod, const PodMemory& memory, std::int64_t now_ms) {
  if (!pod.spec.activeDeadlineSeconds) return false;
  return now_ms - start_time_ms(pod, memory) >= *pod.spec.activeDeadlineSeconds * 1000;
}

}  // namespace coxswain::kubelet
