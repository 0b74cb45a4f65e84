// The values that the kubelet's pure core works on: what runs (as the runtime reports it) and what the
// kubelet remembers between two looks. No clock, no I/O. Times are unix milliseconds; 0 is "never".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/types/core_v1.h"

namespace coxswain::kubelet {

namespace v1 = api::core::v1;

enum class RunState { kCreated, kRunning, kExited };

struct ObservedContainer {
  std::string id;    // the runtime's full id
  std::string name;  // of the container in the pod; "" for a sandbox
  std::string pod_uid;
  std::string pod_name;
  std::string pod_namespace;
  bool sandbox = false;
  int attempt = 0;                       // the restart count it was made with
  std::int64_t backoff_ms = 0;           // wait that its successor owes if it dies young (a label)
  std::string sandbox_id;                // whose namespaces it joined (a label)
  std::string spec_hash;                 // container_hash() at creation (a label)
  std::string termination_message_path;  // on the host (a label); "" when none
  RunState state = RunState::kCreated;
  std::int64_t created_ms = 0;
  std::int64_t started_ms = 0;
  std::int64_t finished_ms = 0;
  int exit_code = 0;
  bool oom_killed = false;
  std::string error;    // why the runtime could not start it
  std::string message;  // termination message
  std::string image;
  std::string image_id;
  std::string image_digest;  // where the image came from (a label); empty: made on this machine
  std::string ip;            // sandboxes
};

struct ObservedPod {
  std::vector<ObservedContainer> sandboxes;
  std::vector<ObservedContainer> containers;  // every attempt that still exists

  const ObservedContainer* latest(const std::string& name) const;
  const ObservedContainer* previous(const std::string& name) const;  // the attempt before the latest
  const ObservedContainer* sandbox() const;                          // the newest one
  bool any_running() const;                                          // containers, not sandboxes
};

// What the probes say about one container (by container id). Absent: no verdict yet.
struct ProbeVerdict {
  bool started = false;       // startup probe passed
  bool ready = false;         // readiness probe passed
  bool must_restart = false;  // liveness or startup probe gave up
  std::string message;
};

enum class ImageStep { kUnknown, kPulling, kPresent };

// Why a container has not been started yet (by container name); cleared when it starts.
struct StartNote {
  ImageStep image = ImageStep::kUnknown;
  std::string reason;  // "" or ErrImagePull, CreateContainerConfigError, ...
  std::string message;
  std::int64_t retry_at_ms = 0;  // not before
  std::string image_digest{};  // image present: "repository@sha256:..."; empty for one that was never pulled
};

// A container that is being stopped (by container id).
enum class KillStage { kHook, kTermSent, kKillSent };
struct KillState {
  KillStage stage = KillStage::kHook;
  std::int64_t since_ms = 0;  // when stopping began: the grace period counts from here
  std::int64_t grace_ms = 0;
  std::int64_t signalled_ms = 0;  // when the last signal was sent
  bool hook_done = false;
  bool start_failed = false;  // it is stopped because its postStart hook failed: it never was up
};

struct PodMemory {
  std::map<std::string, ProbeVerdict> probes;
  std::map<std::string, StartNote> notes;
  std::map<std::string, KillState> kills;
  bool volumes_ready = false;
  StartNote volumes;               // why they are not
  StartNote sandbox;               // why it could not be made
  std::int64_t first_seen_ms = 0;  // startTime when the API has none yet
  bool removed = false;            // the object is gone from the API
  bool object_deleted = false;     // we asked the API to drop the object
};

}  // namespace coxswain::kubelet
