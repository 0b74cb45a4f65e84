#include "services/kubelet/core/status.h"

#include <algorithm>
#include <utility>

#include "libs/common/base/strings.h"
#include "services/kubelet/core/plan.h"

namespace coxswain::kubelet {
namespace {

std::string seconds_text(std::int64_t ms) {
  const std::int64_t s = (ms + 999) / 1000;
  if (s < 60) return std::to_string(s) + "s";
  return std::to_string(s / 60) + "m" + std::to_string(s % 60) + "s";
}

// The form that other Docker kubelets use: by digest where the image was pulled.
std::string image_id(const ObservedContainer& c) {
  if (!c.image_digest.empty()) return "docker-pullable://" + c.image_digest;
  return c.image_id.empty() ? "" : "docker://" + c.image_id;
}

v1::ContainerStateTerminated terminated(const ObservedContainer& c) {
  v1::ContainerStateTerminated t;
  t.exitCode = c.exit_code;
  t.reason = !c.error.empty()   ? "StartError"
             : c.oom_killed     ? "OOMKilled"
             : c.exit_code == 0 ? "Completed"
                                : "Error";
  t.message = !c.error.empty() ? c.error : c.message;
  t.startedAt.unix_ms = c.started_ms;
  t.finishedAt.unix_ms = c.finished_ms;
  t.containerID = "docker://" + c.id;
  return t;
}

class StatusBuilder {
 public:
  explicit StatusBuilder(const StatusInput& in) : in_(in) {}

  v1::PodStatus run() {
    out_.observedGeneration = in_.pod.metadata.generation;
    out_.qosClass = qos_class(in_.pod);
    out_.startTime = api::Time{start_time_ms(in_.pod, in_.memory)};
    out_.hostIP = in_.host_ip;
    out_.hostIPs = {v1::HostIP{in_.host_ip}};
    out_.nominatedNodeName = in_.pod.status.nominatedNodeName;
    for (const auto& c : in_.pod.spec.initContainers)
      out_.initContainerStatuses.push_back(container(c, true));
    for (const auto& c : in_.pod.spec.containers) out_.containerStatuses.push_back(container(c, false));
    addresses();
    phase();
    conditions();
    return std::move(out_);
  }

 private:
  const v1::PodStatus& old() const { return in_.pod.status; }

  void addresses() {
    const auto* sandbox = in_.observed.sandbox();
    std::string ip;
    if (sandbox && sandbox->state == RunState::kRunning)
      ip = in_.pod.spec.hostNetwork ? in_.host_ip : sandbox->ip;
    if (ip.empty()) ip = old().podIP;  // kept while a sandbox is replaced and after the pod ended
    if (ip.empty()) return;
    out_.podIP = ip;
    out_.podIPs = {v1::PodIP{ip}};
  }

  const v1::ContainerStatus* known(const std::string& name, bool init) const {
    for (const auto& s : init ? old().initContainerStatuses : old().containerStatuses) {
      if (s.name == name) return &s;
    }
    return nullptr;
  }

  v1::ContainerStatus container(const v1::Container& c, bool init) {
    v1::ContainerStatus status;
    status.name = c.name;
    status.image = c.image;
    const auto* latest = in_.observed.latest(c.name);
    const auto* previous = in_.observed.previous(c.name);
    if (!latest) {
      // The remains may be gone while the API still knows how it ended.
      const auto* before = known(c.name, init);
      if (before && before->state.terminated) return *before;
      status.state.waiting = waiting(c, init);
      if (!init) status.started = false;
      return status;
    }
    status.restartCount = latest->attempt;
    status.imageID = image_id(*latest);
    status.containerID = "docker://" + latest->id;
    if (previous && previous->state == RunState::kExited) status.lastState.terminated = terminated(*previous);
    fill_state(c, init, *latest, status);
    return status;
  }

  void fill_state(const v1::Container& c, bool init, const ObservedContainer& latest,
                  v1::ContainerStatus& status) {
    const auto note = in_.memory.notes.find(c.name);
    switch (latest.state) {
      case RunState::kRunning:
        status.state.running = v1::ContainerStateRunning{api::Time{latest.started_ms}};
        status.started = is_started(c, &latest, in_.memory);
        status.ready = (!init || is_sidecar(c)) && *status.started && is_ready(c, latest);
        return;
      case RunState::kCreated:
        status.started = false;
        status.state.waiting = waiting(c, init);
        return;
      case RunState::kExited:
        break;
    }
    status.started = false;
    status.ready = init && latest.exit_code == 0 && !is_sidecar(c);
    const bool again = !ending() && restarts(in_.pod, c, init, latest.exit_code);
    const std::int64_t owed = owed_backoff_ms(latest);
    if (again && owed > 0 && in_.now_ms < latest.finished_ms + owed) {
      status.lastState.terminated = terminated(latest);
      status.state.waiting = v1::ContainerStateWaiting{
          "CrashLoopBackOff", "back-off " + seconds_text(owed) + " restarting failed container=" + c.name +
                                  " pod=" + in_.pod.metadata.name + "_" + in_.pod.metadata.namespace_ + "(" +
                                  in_.pod.metadata.uid + ")"};
    } else if (again && note != in_.memory.notes.end() && !note->second.reason.empty()) {
      status.lastState.terminated = terminated(latest);
      status.state.waiting = waiting(c, init);
    } else {
      status.state.terminated = terminated(latest);
    }
  }

  bool ending() const { return in_.memory.removed || in_.pod.metadata.deletionTimestamp.has_value(); }

  bool is_ready(const v1::Container& c, const ObservedContainer& running) const {
    if (in_.memory.kills.count(running.id) && !c.readinessProbe) return !ending();
    if (!c.readinessProbe) return true;
    const auto it = in_.memory.probes.find(running.id);
    return it != in_.memory.probes.end() && it->second.ready;
  }

  v1::ContainerStateWaiting waiting(const v1::Container& c, bool init) const {
    const auto note = in_.memory.notes.find(c.name);
    if (note != in_.memory.notes.end() && !note->second.reason.empty()) {
      return {note->second.reason, note->second.message};
    }
    const bool has_init = !in_.pod.spec.initContainers.empty();
    const bool wait_for_init = has_init && (init || !initialized(in_.pod, in_.observed, in_.memory));
    return {wait_for_init ? "PodInitializing" : "ContainerCreating", ""};
  }

  void phase() {
    if (old().phase == "Failed" || old().phase == "Succeeded") {
      out_.phase = old().phase;
      out_.reason = old().reason;
      out_.message = old().message;
      return;
    }
    out_.reason = old().reason;
    out_.message = old().message;
    if (deadline_exceeded(in_.pod, in_.memory, in_.now_ms)) {
      out_.phase = "Failed";
      out_.reason = "DeadlineExceeded";
      out_.message = "Pod was active on the node longer than the specified deadline";
      return;
    }
    if (init_failed(in_.pod, in_.observed)) {
      out_.phase = "Failed";
      return;
    }
    out_.phase = phase_of_containers();
  }

  std::string phase_of_containers() const {
    if (!initialized(in_.pod, in_.observed, in_.memory) && !any_app_status()) return "Pending";
    int running = 0, waiting = 0, stopped = 0, failed = 0;
    for (std::size_t i = 0; i < out_.containerStatuses.size(); ++i) {
      const auto& s = out_.containerStatuses[i];
      const auto* last = s.state.terminated ? &s.state.terminated : &s.lastState.terminated;
      if (s.state.running) {
        ++running;
      } else if (last->has_value()) {
        const int code = (*last)->exitCode;
        ++stopped;
        if (code != 0) ++failed;
        // One that will be started again counts as running, unless the pod is going away.
        if (!ending() && restarts(in_.pod, in_.pod.spec.containers[i], false, code)) ++running;
      } else {
        ++waiting;
      }
    }
    if (waiting > 0) return running + stopped > 0 && any_app_status() ? "Running" : "Pending";
    if (running > 0) return "Running";
    return failed > 0 ? "Failed" : "Succeeded";
  }

  bool any_app_status() const {
    return std::any_of(out_.containerStatuses.begin(), out_.containerStatuses.end(), [](const auto& s) {
      return s.state.running || s.state.terminated || s.lastState.terminated;
    });
  }

  void condition(const std::string& type, bool value, std::string reason = {}, std::string message = {}) {
    v1::PodCondition c;
    c.type = type;
    c.status = value ? "True" : "False";
    c.reason = std::move(reason);
    c.message = std::move(message);
    c.observedGeneration = in_.pod.metadata.generation;
    c.lastTransitionTime.unix_ms = in_.now_ms;
    for (const auto& before : old().conditions) {
      if (before.type == type && before.status == c.status) c.lastTransitionTime = before.lastTransitionTime;
    }
    out_.conditions.push_back(std::move(c));
  }

  bool foreign(const std::string& type) const {
    static const char* const kOurs[] = {"PodReadyToStartContainers", "Initialized", "Ready",
                                        "ContainersReady", "PodScheduled"};
    return std::find(std::begin(kOurs), std::end(kOurs), type) == std::end(kOurs);
  }

  bool gates_pass() const {
    return std::all_of(
        in_.pod.spec.readinessGates.begin(), in_.pod.spec.readinessGates.end(), [&](const auto& gate) {
          return std::any_of(old().conditions.begin(), old().conditions.end(), [&](const auto& c) {
            return c.type == gate.conditionType && c.status == "True";
          });
        });
  }

  void conditions() {
    const bool over = out_.phase == "Succeeded" || out_.phase == "Failed";
    const std::string over_reason = out_.phase == "Succeeded" ? "PodCompleted" : "PodFailed";
    const auto* sandbox = in_.observed.sandbox();
    condition("PodReadyToStartContainers", sandbox && sandbox->state == RunState::kRunning);

    std::vector<std::string> incomplete;
    for (const auto& s : out_.initContainerStatuses) {
      const auto* c = find_container(in_.pod, s.name);
      const bool done = c && is_sidecar(*c) ? s.started.value_or(false) : s.ready;
      if (!done) incomplete.push_back(s.name);
    }
    if (out_.phase == "Succeeded") {
      condition("Initialized", true, "PodCompleted");
    } else if (incomplete.empty() || initialized(in_.pod, in_.observed, in_.memory)) {
      condition("Initialized", true);
    } else {
      condition("Initialized", false, "ContainersNotInitialized",
                "containers with incomplete status: [" + join(incomplete, " ") + "]");
    }

    std::vector<std::string> unready;
    for (const auto& s : out_.initContainerStatuses) {
      const auto* c = find_container(in_.pod, s.name);
      if (c && is_sidecar(*c) && !s.ready) unready.push_back(s.name);
    }
    for (const auto& s : out_.containerStatuses) {
      if (!s.ready) unready.push_back(s.name);
    }
    const std::string unready_text = "containers with unready status: [" + join(unready, " ") + "]";
    const bool all_ready = unready.empty() && !over;
    const bool gates = gates_pass();
    const std::string reason = over ? over_reason : "ContainersNotReady";
    if (all_ready && !gates) {
      condition("Ready", false, "ReadinessGatesNotReady", "the readiness gates are not all \"True\"");
    } else {
      condition("Ready", all_ready, all_ready ? "" : reason, all_ready || over ? "" : unready_text);
    }
    condition("ContainersReady", all_ready, all_ready ? "" : reason, all_ready || over ? "" : unready_text);
    condition("PodScheduled", true);
    for (const auto& c : old().conditions) {
      if (foreign(c.type)) out_.conditions.push_back(c);
    }
  }

  const StatusInput& in_;
  v1::PodStatus out_;
};

bool is_zero_quantity(const std::string& text) {
  return text.find_first_of("123456789") == std::string::npos;
}

}  // namespace

std::string qos_class(const v1::Pod& pod) {
  bool any = false;
  bool guaranteed = true;
  const auto look = [&](const v1::Container& c) {
    for (const char* resource : {"cpu", "memory"}) {
      const auto limit = c.resources.limits.find(resource);
      const auto request = c.resources.requests.find(resource);
      const bool has_limit = limit != c.resources.limits.end() && !is_zero_quantity(limit->second);
      const bool has_request = request != c.resources.requests.end() && !is_zero_quantity(request->second);
      any = any || has_limit || has_request;
      if (!has_limit || (has_request && request->second != limit->second)) guaranteed = false;
    }
  };
  for (const auto& c : pod.spec.initContainers) look(c);
  for (const auto& c : pod.spec.containers) look(c);
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

v1::PodStatus compute_status(const StatusInput& input) { return StatusBuilder(input).run(); }

}  // namespace coxswain::kubelet
