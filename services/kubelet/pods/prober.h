// Runs liveness, readiness and startup probes of running containers on a few threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libs/client/work_queue.h"
#include "services/kubelet/core/probe_counter.h"
#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

struct ProbeOutcome {
  bool success = false;
  std::string message;
  int http_status = 0;  // of an HTTP answer
};

// Once, now. `ip` is where the pod answers.
ProbeOutcome run_probe_action(Runtime& runtime, const std::string& container_id,
                              const v1::Container& container, const v1::Probe& probe, const std::string& ip);
// The same for a lifecycle hook: as upstream, any HTTP answer will do.
ProbeOutcome run_hook(Runtime& runtime, const std::string& container_id, const v1::Container& container,
                      const v1::LifecycleHandler& hook, const std::string& ip, std::int64_t timeout_ms);
ProbeOutcome http_get(const v1::HTTPGetAction& action, const v1::Container& container, const std::string& ip,
                      std::int64_t timeout_ms);

class Prober {
 public:
  // Called from a prober thread when the verdict of a container changed; and with `failure` set for
  // every failed try that users should see as an Unhealthy event.
  using OnVerdict =
      std::function<void(const std::string& pod_uid, const std::string& container_id, ProbeVerdict)>;
  using OnFailure = std::function<void(const std::string& pod_uid, const std::string& container,
                                       const std::string& kind, const std::string& message)>;

  Prober(Runtime& runtime, OnVerdict on_verdict, OnFailure on_failure)
      : runtime_(runtime), on_verdict_(std::move(on_verdict)), on_failure_(std::move(on_failure)) {}
  ~Prober() { stop(); }
  void start(int threads);
  void stop();
  // Idempotent: a container that is probed already goes on. `adopted`: it ran before this kubelet, so it
  // counts as ready until a probe says otherwise when `was_ready`.
  void add(const std::string& pod_uid, const std::string& container_id, std::shared_ptr<const v1::Pod> pod,
           const std::string& container, const std::string& ip, std::int64_t started_unix_ms, bool was_ready,
           bool was_started);
  void remove(const std::string& container_id);

 private:
  struct Track {
    ProbeKind kind;
    v1::Probe probe;
    ProbeCounter counter;
    std::int64_t reported_ms = 0;
  };
  struct Target {
    std::string pod_uid, id, container, ip;
    std::shared_ptr<const v1::Pod> pod;
    std::mutex mutex;
    std::vector<Track> tracks;  // guarded by mutex
    bool started = false;       // guarded by mutex
    bool ready = false;         // guarded by mutex
  };
  void run(const std::string& key);
  void report(Target& target, const std::string& message);

  Runtime& runtime_;
  const OnVerdict on_verdict_;
  const OnFailure on_failure_;
  client::WorkQueue queue_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Target>> targets_;  // by container id; guarded by mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace coxswain::kubelet
