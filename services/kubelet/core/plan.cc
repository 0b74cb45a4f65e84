#include "services/kubelet/core/plan.h"

#include <algorithm>

namespace coxswain::kubelet {
namespace {

constexpr std::int64_t kKillRetryMs = 10'000;

class Planner {
 public:
  Planner(const v1::Pod& pod, const ObservedPod& observed, const PodMemory& memory, std::int64_t now_ms)
      : pod_(pod), observed_(observed), memory_(memory), now_ms_(now_ms) {}

  Plan run() {
    if (memory_.removed || pod_.metadata.deletionTimestamp) {
      tear_down(true);
    } else if (pod_.status.phase == "Failed" || pod_.status.phase == "Succeeded" ||
               deadline_exceeded(pod_, memory_, now_ms_) || containers_finished(pod_, observed_)) {
      tear_down(false);
    } else {
      wake_for_deadline();
      converge();
    }
    return std::move(plan_);
  }

 private:
  void add(Action action) { plan_.actions.push_back(std::move(action)); }
  void wake_at(std::int64_t ms) {
    if (plan_.wake_at_ms == 0 || ms < plan_.wake_at_ms) plan_.wake_at_ms = ms;
  }
  void wake_for_deadline() {
    if (!pod_.spec.activeDeadlineSeconds) return;
    wake_at(start_time_ms(pod_, memory_) + *pod_.spec.activeDeadlineSeconds * 1000);
  }
  // True when `note` asks to wait; arranges the next look.
  bool held_back(const StartNote& note) {
    if (note.reason.empty() || note.retry_at_ms <= now_ms_) return false;
    wake_at(note.retry_at_ms);
    return true;
  }

  // One step of hook -> SIGTERM -> SIGKILL for a running container.
  void kill(const ObservedContainer& c, std::int64_t grace_ms, const std::string& message) {
    const auto it = memory_.kills.find(c.id);
    if (it == memory_.kills.end()) {
      add({.kind = ActionKind::kBeginKill,
           .container = c.name,
           .id = c.id,
           .grace_ms = grace_ms,
           .message = message});
      return;
    }
    const KillState& state = it->second;
    const std::int64_t deadline = state.since_ms + std::min(grace_ms, state.grace_ms);
    switch (state.stage) {
      case KillStage::kHook:
        if (state.hook_done || now_ms_ >= deadline) {
          add({.kind = ActionKind::kSendTerm, .container = c.name, .id = c.id});
        } else {
          wake_at(deadline);
        }
        break;
      case KillStage::kTermSent: {
        // A hook may have eaten the grace period: SIGTERM still gets a moment, unless nobody is to wait.
        const std::int64_t due =
            grace_ms == 0 ? deadline : std::max(deadline, state.signalled_ms + kMinimumGraceMs);
        if (now_ms_ >= due) {
          add({.kind = ActionKind::kSendKill, .container = c.name, .id = c.id});
        } else {
          wake_at(due);
        }
        break;
      }
      case KillStage::kKillSent:
        if (now_ms_ - state.signalled_ms >= kKillRetryMs) {
          add({.kind = ActionKind::kSendKill, .container = c.name, .id = c.id});
        } else {
          wake_at(state.signalled_ms + kKillRetryMs);
        }
        break;
    }
  }

  std::int64_t grace_ms() const {
    if (memory_.removed) return 0;
    if (pod_.metadata.deletionGracePeriodSeconds) return *pod_.metadata.deletionGracePeriodSeconds * 1000;
    return pod_.spec.terminationGracePeriodSeconds.value_or(30) * 1000;
  }

  bool sidecar_name(const std::string& name) const {
    bool init = false;
    const auto* c = find_container(pod_, name, &init);
    return c && init && is_sidecar(*c);
  }

  // Application containers together, then sidecars from the last to the first.
  bool stop_containers(const std::string& message) {
    bool waiting = false;
    for (const auto& c : observed_.containers) {
      if (c.state != RunState::kRunning || sidecar_name(c.name)) continue;
      kill(c, grace_ms(), message);
      waiting = true;
    }
    if (waiting) return false;
    for (auto it = pod_.spec.initContainers.rbegin(); it != pod_.spec.initContainers.rend(); ++it) {
      const auto* c = observed_.latest(it->name);
      if (!c || c->state != RunState::kRunning) continue;
      kill(*c, grace_ms(), message);
      return false;
    }
    return true;
  }

  // `forget`: the object is on its way out, so nothing may stay behind. Otherwise the dead containers
  // are kept: their logs and exit codes still have readers.
  void tear_down(bool forget) {
    if (!stop_containers("Stopping container")) return;
    if (!forget) {
      for (const auto& s : observed_.sandboxes) {
        if (s.state == RunState::kRunning) add({.kind = ActionKind::kStopSandbox, .id = s.id});
      }
      return;
    }
    if (memory_.object_deleted) return;
    for (const auto& c : observed_.containers) {
      add({.kind = ActionKind::kRemoveContainer, .container = c.name, .id = c.id});
    }
    for (const auto& s : observed_.sandboxes) add({.kind = ActionKind::kRemoveContainer, .id = s.id});
    add({.kind = ActionKind::kTearDownVolumes});
    add({.kind = ActionKind::kDeleteObject});
  }

  void converge() {
    if (!memory_.volumes_ready) {
      if (!held_back(memory_.volumes)) add({.kind = ActionKind::kPrepareVolumes});
      return;
    }
    const ObservedContainer* sandbox = observed_.sandbox();
    if (!sandbox || sandbox->state != RunState::kRunning) {
      replace_sandbox(sandbox);
      return;
    }
    remove_leftovers(*sandbox);
    if (!start_init_containers(*sandbox)) return;
    for (const auto& c : pod_.spec.containers) drive(c, false, *sandbox);
  }

  // The containers of a dead sandbox have lost their network: they go, and all starts anew.
  void replace_sandbox(const ObservedContainer* dead) {
    bool running = false;
    for (const auto& c : observed_.containers) {
      if (c.state != RunState::kRunning) continue;
      kill(c, kMinimumGraceMs, "Pod sandbox changed, it will be killed and re-created.");
      running = true;
    }
    if (running || held_back(memory_.sandbox)) return;
    for (const auto& s : observed_.sandboxes) add({.kind = ActionKind::kRemoveContainer, .id = s.id});
    add({.kind = ActionKind::kCreateSandbox, .attempt = dead ? dead->attempt + 1 : 0});
  }

  // Of each container the latest attempt and the one before it are kept (logs -p).
  void remove_leftovers(const ObservedContainer& sandbox) {
    for (const auto& s : observed_.sandboxes) {
      if (s.id != sandbox.id) add({.kind = ActionKind::kRemoveContainer, .id = s.id});
    }
    for (const auto& c : observed_.containers) {
      if (c.state == RunState::kRunning) continue;
      const auto* latest = observed_.latest(c.name);
      const auto* previous = observed_.previous(c.name);
      const bool keep = c.id == latest->id || (previous && c.id == previous->id);
      // A container that was made and never started (we died in between) is started by drive().
      if (!keep) add({.kind = ActionKind::kRemoveContainer, .container = c.name, .id = c.id});
    }
  }

  bool start_init_containers(const ObservedContainer& sandbox) {
    const bool done = initialized(pod_, observed_, memory_);
    for (const auto& c : pod_.spec.initContainers) {
      const auto* latest = observed_.latest(c.name);
      const bool here = latest && latest->sandbox_id == sandbox.id;
      if (is_sidecar(c)) {
        drive(c, true, sandbox);
        if (!done && !(here && is_started(c, latest, memory_))) return false;
        continue;
      }
      if (done || (here && latest->state == RunState::kExited && latest->exit_code == 0)) continue;
      drive(c, true, sandbox);
      return false;
    }
    return true;
  }

  // One container towards "running with the wanted spec".
  void drive(const v1::Container& c, bool init, const ObservedContainer& sandbox) {
    const ObservedContainer* latest = observed_.latest(c.name);
    if (!latest) return start(c, nullptr);
    const bool here = latest->sandbox_id == sandbox.id;
    switch (latest->state) {
      case RunState::kRunning:
        return watch_running(c, *latest, here);
      case RunState::kCreated:
        // Made by a kubelet that died before it started it; the start verb finds it by its name.
        if (!held_back(note_of(c.name))) start_again(c, *latest, here);
        return;
      case RunState::kExited:
        break;
    }
    const bool rerun_init = init && !here;  // a new sandbox runs init containers again
    if (!rerun_init && !restarts(pod_, c, init, latest->exit_code)) return;
    const std::int64_t due = latest->finished_ms + (here ? owed_backoff_ms(*latest) : 0);
    if (now_ms_ < due) {
      wake_at(due);
      return;
    }
    start(c, latest);
  }

  void watch_running(const v1::Container& c, const ObservedContainer& running, bool here) {
    const auto verdict = memory_.probes.find(running.id);
    if (!here) {
      kill(running, kMinimumGraceMs, "Pod sandbox changed, it will be killed and re-created.");
    } else if (running.spec_hash != container_hash(c)) {
      kill(running, grace_ms(), "Container " + c.name + " definition changed, will be restarted");
    } else if (verdict != memory_.probes.end() && verdict->second.must_restart) {
      kill(running, probe_grace_ms(c), verdict->second.message);
    } else if (memory_.kills.count(running.id)) {
      kill(running, grace_ms(), "");  // begun (a failed postStart hook): see it through
    }
  }

  std::int64_t probe_grace_ms(const v1::Container& c) const {
    if (c.livenessProbe && c.livenessProbe->terminationGracePeriodSeconds) {
      return *c.livenessProbe->terminationGracePeriodSeconds * 1000;
    }
    return grace_ms();
  }

  StartNote note_of(const std::string& name) const {
    const auto it = memory_.notes.find(name);
    return it == memory_.notes.end() ? StartNote{} : it->second;
  }

  void start_again(const v1::Container& c, const ObservedContainer& made, bool here) {
    if (here && made.spec_hash == container_hash(c)) {
      add({.kind = ActionKind::kStartContainer,
           .container = c.name,
           .id = made.id,
           .attempt = made.attempt,
           .backoff_ms = made.backoff_ms});
      return;
    }
    add({.kind = ActionKind::kRemoveContainer, .container = c.name, .id = made.id});
  }

  void start(const v1::Container& c, const ObservedContainer* dead) {
    const StartNote note = note_of(c.name);
    if (held_back(note) || note.image == ImageStep::kPulling) return;
    if (note.image == ImageStep::kUnknown) {
      add({.kind = ActionKind::kEnsureImage, .container = c.name});
      return;
    }
    add({.kind = ActionKind::kStartContainer,
         .container = c.name,
         .attempt = dead ? dead->attempt + 1 : 0,
         .backoff_ms = next_backoff_ms(dead)});
  }

  const v1::Pod& pod_;
  const ObservedPod& observed_;
  const PodMemory& memory_;
  const std::int64_t now_ms_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const v1::Pod& pod, const ObservedPod& observed, const PodMemory& memory,
               std::int64_t now_ms) {
  return Planner(pod, observed, memory, now_ms).run();
}

}  // namespace coxswain::kubelet
