#include "services/kubelet/pods/pod_manager.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "libs/client/reflector.h"
#include "libs/common/log/log.h"
#include "services/kubelet/core/container_spec.h"
#include "services/kubelet/core/status.h"

namespace coxswain::kubelet {
namespace {

constexpr int kMaxTurns = 64;  // of plan and act in one go; more is a bug, not a pod
constexpr std::int64_t kWatchRetryMs = 1000;

}  // namespace

PodManager::PodManager(Runtime& runtime, Cluster& cluster, VolumeManager& volumes, PodManagerOptions options)
    : runtime_(runtime),
      cluster_(cluster),
      volumes_(volumes),
      options_(std::move(options)),
      statuses_(cluster),
      prober_(
          runtime,
          [this](const std::string& uid, const std::string& id, ProbeVerdict verdict) {
            post(uid, [id, verdict](Entry& e) { e.memory.probes[id] = verdict; });
          },
          [this](const std::string& uid, const std::string& container, const std::string& kind,
                 const std::string& message) {
            const EntryPtr entry = find(uid);
            std::shared_ptr<const v1::Pod> pod;
            {
              const std::lock_guard lock(mutex_);
              if (const auto it = wanted_.find(uid); it != wanted_.end()) pod = it->second;
            }
            if (pod) cluster_.event(*pod, container, true, "Unhealthy", kind + " probe failed: " + message);
          }) {}

PodManager::~PodManager() { stop(); }

Result<void> PodManager::start() {
  COX_RETURN_IF_ERROR(relist(true));
  statuses_.start();
  prober_.start(options_.probe_threads);
  for (int i = 0; i < options_.workers; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { work(stop); });
  }
  threads_.emplace_back([this](std::stop_token stop) { watch_loop(stop); });
  threads_.emplace_back([this](std::stop_token stop) { relist_loop(stop); });
  const std::lock_guard lock(mutex_);
  for (const auto& [uid, pod] : wanted_) queue_.add(uid);
  return {};
}

void PodManager::stop() {
  prober_.stop();
  queue_.shutdown();
  for (auto& t : threads_) t.request_stop();
  threads_.clear();
  tasks_.wait();
  statuses_.stop();
}

PodManager::EntryPtr PodManager::find(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(uid);
  return it == entries_.end() ? nullptr : it->second;
}

PodManager::EntryPtr PodManager::find_or_make(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  EntryPtr& entry = entries_[uid];
  if (!entry) entry = std::make_shared<Entry>();
  return entry;
}

void PodManager::post(const std::string& uid, std::function<void(Entry&)> change) {
  const EntryPtr entry = find(uid);
  if (!entry) return;
  {
    const std::lock_guard lock(entry->inbox_mutex);
    entry->inbox.push_back(std::move(change));
  }
  queue_.add(uid);
}

void PodManager::mark_dirty(const std::string& uid, const std::string& id) {
  const EntryPtr entry = find(uid);
  if (!entry) return;
  {
    const std::lock_guard lock(entry->inbox_mutex);
    entry->dirty.insert(id);
  }
  queue_.add(uid);
}

void PodManager::set_pod(std::shared_ptr<const v1::Pod> pod) {
  const std::string uid = pod->metadata.uid;
  {
    const std::lock_guard lock(mutex_);
    wanted_[uid] = pod;
  }
  find_or_make(uid);
  post(uid, [this, pod](Entry& e) {
    e.pod = pod;
    if (e.memory.first_seen_ms == 0) e.memory.first_seen_ms = now_ms();
  });
}

void PodManager::pod_gone(const std::string& uid) {
  {
    const std::lock_guard lock(mutex_);
    wanted_.erase(uid);
  }
  post(uid, [](Entry& e) { e.memory.removed = true; });
}

void PodManager::references_changed(const std::string& ns) {
  for (const auto& pod : pods()) {
    if (pod->metadata.namespace_ != ns) continue;
    post(pod->metadata.uid, [](Entry& e) {
      e.memory.volumes_ready = false;  // prepare again: refreshes what changed
      e.memory.volumes.retry_at_ms = 0;
      for (auto& [name, note] : e.memory.notes) {
        if (note.reason == "CreateContainerConfigError") note.retry_at_ms = 0;
      }
    });
  }
}

void PodManager::set_network_ready(bool ready, const std::string& why_not) {
  {
    const std::lock_guard lock(mutex_);
    network_ready_ = ready;
    network_message_ = why_not;
  }
  if (!ready) return;
  for (const auto& pod : pods()) post(pod->metadata.uid, [](Entry& e) { e.memory.sandbox.retry_at_ms = 0; });
}

std::vector<std::shared_ptr<const v1::Pod>> PodManager::pods() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const v1::Pod>> out;
  for (const auto& [uid, pod] : wanted_) out.push_back(pod);
  return out;
}

Result<std::string> PodManager::log_container(const std::string& ns, const std::string& pod,
                                              const std::string& container, bool previous) const {
  std::string uid;
  for (const auto& p : pods()) {
    if (p->metadata.namespace_ == ns && p->metadata.name == pod) uid = p->metadata.uid;
  }
  if (uid.empty()) return make_error(ErrorCode::kNotFound, "pod \"" + pod + "\" is not on this node");
  COX_ASSIGN_OR_RETURN(const auto all, runtime_.list());
  ObservedPod seen;
  for (const auto& c : all) {
    if (c.pod_uid == uid && !c.sandbox) seen.containers.push_back(c);
  }
  const auto* found = previous ? seen.previous(container) : seen.latest(container);
  // A crash-looping container is between two attempts: its last run is what `--previous` may mean too.
  if (!found && previous) {
    return make_error(ErrorCode::kInvalidArgument,
                      "previous terminated container \"" + container + "\" in pod \"" + pod + "\" not found");
  }
  if (!found || found->state == RunState::kCreated) {
    return make_error(ErrorCode::kInvalidArgument,
                      "container \"" + container + "\" in pod \"" + pod + "\" is waiting to start");
  }
  return found->id;
}

void PodManager::work(std::stop_token stop) {
  while (auto uid = queue_.get(stop)) {
    sync(*uid);
    queue_.done(*uid);
  }
}

void PodManager::sync(const std::string& uid) {
  const EntryPtr entry = find(uid);
  if (!entry) return;
  for (int turn = 0; turn < kMaxTurns; ++turn) {
    refresh(*entry);
    if (!entry->pod) return;
    if (!entry->watching) {
      entry->watching = true;
      cluster_.watch_references(*entry->pod);
    }
    const std::int64_t now = now_ms();
    const Plan plan = make_plan(*entry->pod, entry->observed, entry->memory, now);
    publish(*entry);
    bool again = !plan.actions.empty();
    for (const Action& action : plan.actions) again = execute(*entry, action) && again;
    if (entry->memory.object_deleted || entry->memory.removed) {
      if (entry->forgetting && entry->observed.containers.empty() && entry->observed.sandboxes.empty() &&
          entry->memory.removed) {
        cluster_.unwatch_references(uid);
        statuses_.forget(uid);
        const std::lock_guard lock(mutex_);
        entries_.erase(uid);
        std::erase_if(pulls_, [&](const auto& pull) { return pull.first.rfind(uid + " ", 0) == 0; });
        return;
      }
    }
    if (!again) {
      if (plan.wake_at_ms > 0) queue_.add_after(uid, std::max<std::int64_t>(1, plan.wake_at_ms - now));
      return;
    }
  }
  queue_.add_after(uid, 1000);
}

// Reads what was posted, and looks at the containers that an event pointed at.
void PodManager::refresh(Entry& entry) {
  std::vector<std::function<void(Entry&)>> inbox;
  std::set<std::string> dirty;
  {
    const std::lock_guard lock(entry.inbox_mutex);
    inbox.swap(entry.inbox);
    dirty.swap(entry.dirty);
  }
  for (const auto& change : inbox) change(entry);
  for (const auto& id : dirty) {
    auto seen = runtime_.inspect(id);
    if (seen.ok()) {
      observe(entry, *std::move(seen));
    } else if (seen.error().code == ErrorCode::kNotFound) {
      const auto gone = [&](const ObservedContainer& c) { return c.id == id; };
      std::erase_if(entry.observed.containers, gone);
      std::erase_if(entry.observed.sandboxes, gone);
      prober_.remove(id);
    } else {
      runtime_failed(seen.error());
      const std::lock_guard lock(entry.inbox_mutex);
      entry.dirty.insert(id);
    }
  }
}

void PodManager::observe(Entry& entry, ObservedContainer container) {
  auto& list = container.sandbox ? entry.observed.sandboxes : entry.observed.containers;
  const auto it = std::find_if(list.begin(), list.end(), [&](const auto& c) { return c.id == container.id; });
  const bool ended =
      container.state == RunState::kExited && (it == list.end() || it->state != RunState::kExited);
  if (ended && !container.sandbox) container_ended(entry, container);
  if (!ended && it != list.end()) container.message = it->message;
  if (container.sandbox && container.ip.empty() && it != list.end()) container.ip = it->ip;
  if (it == list.end()) {
    list.push_back(std::move(container));
  } else {
    *it = std::move(container);
  }
}

void PodManager::publish(Entry& entry) {
  if (entry.memory.removed || entry.forgetting) return;
  // Containers that run and are not probed yet: fresh ones and adopted ones.
  const auto* sandbox = entry.observed.sandbox();
  const std::string ip = entry.pod->spec.hostNetwork ? options_.host_ip : sandbox ? sandbox->ip : "";
  for (const auto& c : entry.observed.containers) {
    if (c.state != RunState::kRunning || entry.memory.probes.count(c.id)) continue;
    bool was_ready = false, was_started = false;
    for (const auto* list :
         {&entry.pod->status.containerStatuses, &entry.pod->status.initContainerStatuses}) {
      for (const auto& s : *list) {
        if (s.containerID != "docker://" + c.id) continue;
        was_ready = s.ready;
        was_started = s.started.value_or(false);
      }
    }
    ProbeVerdict first;
    const v1::Container* spec = find_container(*entry.pod, c.name);
    first.started = !(spec && spec->startupProbe) || was_started;
    first.ready = !(spec && spec->readinessProbe) || was_ready;
    entry.memory.probes[c.id] = first;
    prober_.add(entry.pod->metadata.uid, c.id, entry.pod, c.name, ip, c.started_ms, was_ready, was_started);
  }
  statuses_.set(entry.pod,
                compute_status({*entry.pod, entry.observed, entry.memory, options_.host_ip, now_ms()}));
}

PodFacts PodManager::facts(const Entry& entry) const {
  PodFacts out;
  const auto* sandbox = entry.observed.sandbox();
  out.host_ip = options_.host_ip;
  out.node_name = options_.node_name;
  out.node = options_.node;
  out.pod_ip = entry.pod->spec.hostNetwork ? options_.host_ip : sandbox ? sandbox->ip : "";
  return out;
}

void PodManager::run_async(std::function<void()> task) { tasks_.run(std::move(task)); }

void PodManager::runtime_failed(const Error& error) {
  if (error.code != ErrorCode::kUnavailable) return;
  if (runtime_ok_.exchange(false)) log_error(error.message);
}

void PodManager::watch_loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    const auto ended = runtime_.watch(
        [this](const RuntimeEvent& event) {
          if (!event.pod_uid.empty()) mark_dirty(event.pod_uid, event.id);
        },
        stop);
    if (!ended.ok()) runtime_failed(ended.error());
    if (!client::sleep_for_ms(kWatchRetryMs, stop)) return;
    if (auto seen = relist(false); !seen.ok()) runtime_failed(seen.error());
  }
}

void PodManager::relist_loop(std::stop_token stop) {
  while (client::sleep_for_ms(runtime_ok_ ? options_.relist_ms : 1000, stop)) {
    if (auto seen = relist(false); !seen.ok()) runtime_failed(seen.error());
  }
}

// The safety net below the event stream, and how a new kubelet learns what runs.
Result<void> PodManager::relist(bool first) {
  std::map<std::string, EntryPtr> entries;
  {
    const std::lock_guard lock(mutex_);
    entries = entries_;
  }
  COX_ASSIGN_OR_RETURN(const auto all, runtime_.list());
  if (!runtime_ok_.exchange(true)) log_info("the container runtime answers again");
  std::map<std::string, std::map<std::string, RunState>> by_pod;
  for (const auto& c : all) by_pod[c.pod_uid][c.id] = c.state;
  for (const auto& [uid, entry] : entries) {
    if (first) {
      const std::lock_guard lock(entry->inbox_mutex);
      for (const auto& [id, state] : by_pod[uid]) entry->dirty.insert(id);
      continue;
    }
    // Compared on the worker's turn, where `observed` may be read.
    post(uid, [states = by_pod[uid]](Entry& e) {
      std::set<std::string> look;
      for (const auto* list : {&e.observed.containers, &e.observed.sandboxes}) {
        for (const auto& c : *list) {
          const auto it = states.find(c.id);
          if (it == states.end() || it->second != c.state) look.insert(c.id);
        }
      }
      for (const auto& [id, state] : states) {
        const auto same = [&](const ObservedContainer& c) { return c.id == id; };
        if (std::none_of(e.observed.containers.begin(), e.observed.containers.end(), same) &&
            std::none_of(e.observed.sandboxes.begin(), e.observed.sandboxes.end(), same)) {
          look.insert(id);
        }
      }
      const std::lock_guard lock(e.inbox_mutex);
      e.dirty.insert(look.begin(), look.end());
    });
  }
  remove_orphans(all);
  return {};
}

// Pods that the API deleted while nobody looked. Only what was there before the look at `entries_`
// counts: a pod that appears now has its entry before its containers.
void PodManager::remove_orphans(const std::vector<ObservedContainer>& all) {
  std::set<std::string> known;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, entry] : entries_) known.insert(uid);
  }
  for (const auto& c : all) {
    if (known.count(c.pod_uid)) continue;
    log_info("removing a container of a pod that is gone",
             {{"pod", c.pod_namespace + "/" + c.pod_name}, {"id", c.id}});
    if (auto removed = runtime_.remove(c.id); !removed.ok()) runtime_failed(removed.error());
  }
  for (const auto& uid : volumes_.pods_on_disk()) {
    if (known.count(uid)) continue;
    if (auto gone = volumes_.tear_down(uid); !gone.ok()) log_warning(gone.error().message);
  }
}

}  // namespace coxswain::kubelet
