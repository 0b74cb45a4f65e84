// Makes the runtime run what the API wants on this node. One pod is worked on by one thread at a time;
// everything that happens meanwhile (API changes, runtime events, probes, hooks, pulls) is posted to
// the pod and read at the start of its next turn.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libs/client/work_queue.h"
#include "libs/common/base/clock.h"
#include "services/kubelet/core/etc_files.h"
#include "services/kubelet/core/plan.h"
#include "services/kubelet/core/task_group.h"
#include "services/kubelet/pods/cluster.h"
#include "services/kubelet/pods/prober.h"
#include "services/kubelet/pods/status_writer.h"
#include "services/kubelet/runtime/runtime.h"
#include "services/kubelet/volumes/volume_manager.h"

namespace coxswain::kubelet {

struct PodManagerOptions {
  std::string node_name;
  std::string host_ip;
  NodeCapacity node;
  DnsSettings dns;
  int workers = 12;
  int probe_threads = 8;
  std::int64_t relist_ms = 10'000;
  const Clock* clock = &system_clock();  // of back-offs, deadlines and grace periods
};

class PodManager {
 public:
  PodManager(Runtime& runtime, Cluster& cluster, VolumeManager& volumes, PodManagerOptions options);
  ~PodManager();

  // Adopts what runs, then starts the threads. Call when the runtime answers and the pods of the API are
  // known (every one was given to set_pod), because what belongs to no pod is removed.
  Result<void> start();
  void stop();

  void set_pod(std::shared_ptr<const v1::Pod> pod);  // added or changed
  void pod_gone(const std::string& uid);             // deleted from the API
  void references_changed(const std::string& ns);    // a ConfigMap or Secret in `ns`
  void set_network_ready(bool ready, const std::string& why_not);
  bool runtime_ok() const { return runtime_ok_; }
  std::vector<std::shared_ptr<const v1::Pod>> pods() const;
  // The id of a container whose logs to show: the running or latest one, or the one before it. The
  // error is a message for users.
  Result<std::string> log_container(const std::string& ns, const std::string& pod,
                                    const std::string& container, bool previous) const;

 private:
  struct Entry {
    std::mutex inbox_mutex;
    std::vector<std::function<void(Entry&)>> inbox;  // guarded by inbox_mutex
    std::set<std::string> dirty;                     // container ids to look at; guarded by inbox_mutex
    // Below: only the worker that has the pod.
    std::shared_ptr<const v1::Pod> pod;
    ObservedPod observed;
    PodMemory memory;
    bool forgetting = false;  // containers are being removed: no more statuses
    bool watching = false;
  };
  using EntryPtr = std::shared_ptr<Entry>;

  EntryPtr find(const std::string& uid) const;
  EntryPtr find_or_make(const std::string& uid);
  void post(const std::string& uid, std::function<void(Entry&)> change);
  void mark_dirty(const std::string& uid, const std::string& id);

  void work(std::stop_token stop);
  void sync(const std::string& uid);
  void refresh(Entry& entry);
  void observe(Entry& entry, ObservedContainer container);
  void container_ended(Entry& entry, ObservedContainer& container);
  void publish(Entry& entry);
  bool execute(Entry& entry, const Action& action);  // false: look again later
  bool prepare_volumes(Entry& entry);
  bool create_sandbox(Entry& entry, const Action& action);
  bool ensure_image(Entry& entry, const Action& action);
  void start_pull(Entry& entry, const v1::Container& container);
  bool start_container(Entry& entry, const Action& action);
  Result<ContainerSpec> make_spec(Entry& entry, const v1::Container& container, const Action& action);
  void post_start(Entry& entry, const v1::Container& container, const ObservedContainer& running);
  bool begin_kill(Entry& entry, const Action& action);
  bool send_term(Entry& entry, const std::string& id);
  bool send_kill(Entry& entry, const std::string& id);
  bool remove_container(Entry& entry, const Action& action);
  bool delete_object(Entry& entry);
  void fail_start(Entry& entry, const std::string& container, const std::string& reason,
                  const std::string& message, std::int64_t retry_ms);
  PodFacts facts(const Entry& entry) const;
  std::vector<std::string> image_auths(const v1::Pod& pod, const std::string& image);

  void watch_loop(std::stop_token stop);
  void relist_loop(std::stop_token stop);
  Result<void> relist(bool first);
  void remove_orphans(const std::vector<ObservedContainer>& all);
  void runtime_failed(const Error& error);
  void run_async(std::function<void()> task);
  std::int64_t now_ms() const { return options_.clock->unix_ms(); }

  Runtime& runtime_;
  Cluster& cluster_;
  VolumeManager& volumes_;
  const PodManagerOptions options_;
  StatusWriter statuses_;
  Prober prober_;
  client::WorkQueue queue_;
  mutable std::mutex mutex_;
  std::map<std::string, EntryPtr> entries_;                       // by pod uid; guarded by mutex_
  std::map<std::string, std::shared_ptr<const v1::Pod>> wanted_;  // what the API has; guarded by mutex_
  struct PullBackoff {
    std::int64_t delay_ms = 0;
    std::int64_t failed_ms = 0;
    std::string message;
  };
  std::map<std::string, PullBackoff> pulls_;                     // by pod uid and image; guarded by mutex_
  bool network_ready_ = false;                                   // guarded by mutex_
  std::string network_message_ = "the node has no podCIDR yet";  // guarded by mutex_
  std::atomic<bool> runtime_ok_{true};
  TaskGroup tasks_;  // hooks and pulls
  std::vector<std::jthread> threads_;
};

}  // namespace coxswain::kubelet
