// The kubelet's decisions: what to do next for one pod. Pure: the same input gives the same actions.
//
// Actions are steps of a level-triggered loop: the worker does them, looks again and plans again until
// nothing is left. Doing an action twice is harmless, so a kubelet may die between any two of them.
#pragma once

#include <string>
#include <vector>

#include "services/kubelet/core/model.h"

namespace coxswain::kubelet {

enum class ActionKind {
  kPrepareVolumes,
  kCreateSandbox,    // attempt
  kEnsureImage,      // container
  kStartContainer,   // container, attempt, backoff_ms
  kBeginKill,        // id, grace_ms, reason, message: hook, then SIGTERM
  kSendTerm,         // id
  kSendKill,         // id
  kStopSandbox,      // id
  kRemoveContainer,  // id: a dead container or sandbox that nobody needs any more
  kTearDownVolumes,
  kDeleteObject,  // everything is gone: the API may drop the pod
};

struct Action {
  ActionKind kind;
  std::string container;
  std::string id;
  int attempt = 0;
  std::int64_t backoff_ms = 0;
  std::int64_t grace_ms = 0;
  std::string message;
};

struct Plan {
  std::vector<Action> actions;
  std::int64_t wake_at_ms = 0;  // plan again then at the latest; 0: only when something changes
};

inline constexpr std::int64_t kBackoffFirstMs = 10'000;
inline constexpr std::int64_t kBackoffMaxMs = 300'000;
inline constexpr std::int64_t kBackoffResetMs = 600'000;  // a run of this length forgives earlier crashes
inline constexpr std::int64_t kMinimumGraceMs = 2'000;    // after SIGTERM, however little grace is left

Plan make_plan(const v1::Pod& pod, const ObservedPod& observed, const PodMemory& memory, std::int64_t now_ms);

// --- Shared with the status ------------------------------------------------------------------------
const v1::Container* find_container(const v1::Pod& pod, const std::string& name, bool* init = nullptr);
bool is_sidecar(const v1::Container& container);  // an init container with restartPolicy Always
std::string container_hash(const v1::Container& container);
bool restarts(const v1::Pod& pod, const v1::Container& container, bool init, int exit_code);
std::int64_t owed_backoff_ms(const ObservedContainer& dead);  // before the next attempt
std::int64_t next_backoff_ms(const ObservedContainer* dead);  // label of the next attempt
bool initialized(const v1::Pod& pod, const ObservedPod& observed, const PodMemory& memory);
bool is_started(const v1::Container& container, const ObservedContainer* observed, const PodMemory& memory);
bool init_failed(const v1::Pod& pod, const ObservedPod& observed);          // for good
bool containers_finished(const v1::Pod& pod, const ObservedPod& observed);  // all ended, none restarts
bool deadline_exceeded(const v1::Pod& pod, const PodMemory& memory, std::int64_t now_ms);
std::int64_t start_time_ms(const v1::Pod& pod, const PodMemory& memory);

}  // namespace coxswain::kubelet
