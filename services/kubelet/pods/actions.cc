// What each action of the plan does. Every one may be repeated.
#include <algorithm>
#include <fstream>
#include <sstream>

#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"
#include "services/kubelet/core/container_spec.h"
#include "services/kubelet/core/image_name.h"
#include "services/kubelet/core/pull_secrets.h"
#include "services/kubelet/node/network.h"
#include "services/kubelet/pods/pod_manager.h"
#include "services/kubelet/runtime/pause_image.h"

namespace coxswain::kubelet {
namespace {

constexpr std::int64_t kRetryMs = 10'000;
constexpr std::int64_t kShortRetryMs = 1'000;
constexpr std::size_t kMaxCredentials = 8;  // tried for one pull
constexpr std::int64_t kHookTimeoutMs = 120'000;
constexpr std::size_t kMessageBytes = 4096;  // of a termination message
constexpr std::size_t kLogMessageBytes = 2048;

ObservedContainer* find_by_id(ObservedPod& observed, const std::string& id) {
  for (auto* list : {&observed.containers, &observed.sandboxes}) {
    for (auto& c : *list) {
      if (c.id == id) return &c;
    }
  }
  return nullptr;
}

}  // namespace

bool PodManager::execute(Entry& entry, const Action& action) {
  switch (action.kind) {
    case ActionKind::kPrepareVolumes:
      return prepare_volumes(entry);
    case ActionKind::kCreateSandbox:
      return create_sandbox(entry, action);
    case ActionKind::kEnsureImage:
      return ensure_image(entry, action);
    case ActionKind::kStartContainer:
      return start_container(entry, action);
    case ActionKind::kBeginKill:
      return begin_kill(entry, action);
    case ActionKind::kSendTerm:
      return send_term(entry, action.id);
    case ActionKind::kSendKill:
      return send_kill(entry, action.id);
    case ActionKind::kStopSandbox: {
      auto sent = runtime_.signal(action.id, "SIGKILL");
      if (!sent.ok()) runtime_failed(sent.error());
      return false;  // its end comes as an event
    }
    case ActionKind::kRemoveContainer:
      return remove_container(entry, action);
    case ActionKind::kTearDownVolumes: {
      auto gone = volumes_.tear_down(entry.pod->metadata.uid);
      if (!gone.ok()) log_warning(gone.error().message);
      return true;
    }
    case ActionKind::kDeleteObject:
      return delete_object(entry);
  }
  return false;
}

bool PodManager::prepare_volumes(Entry& entry) {
  auto made = volumes_.prepare(*entry.pod, facts(entry), cluster_.objects());
  if (made.ok()) {
    entry.memory.volumes_ready = true;
    entry.memory.volumes = {};
    return true;
  }
  // A pod that runs keeps what it has when an object goes away.
  if (entry.observed.any_running()) {
    entry.memory.volumes_ready = true;
    return true;
  }
  cluster_.event(*entry.pod, "", true, "FailedMount", made.error().message);
  entry.memory.volumes = {ImageStep::kUnknown, "FailedMount", made.error().message, now_ms() + kRetryMs};
  return true;
}

bool PodManager::create_sandbox(Entry& entry, const Action& action) {
  Error problem;
  {
    const std::lock_guard lock(mutex_);
    if (!network_ready_ && !entry.pod->spec.hostNetwork) {
      problem = make_error(ErrorCode::kUnavailable, "the pod network is not ready: " + network_message_);
    }
  }
  const auto make = [&]() -> Result<ObservedContainer> {
    if (!problem.message.empty()) return problem;
    const ContainerSpec spec = sandbox_spec(*entry.pod, action.attempt, options_.node);
    auto id = runtime_.create(spec);
    if (!id.ok() && id.error().code == ErrorCode::kNotFound) {  // somebody pruned our image
      COX_RETURN_IF_ERROR(runtime_.load_image(pause_image_tar()));
      id = runtime_.create(spec);
    }
    if (!id.ok()) return std::move(id).error();
    COX_RETURN_IF_ERROR(runtime_.start(*id));
    if (!entry.pod->spec.hostNetwork) allow_hairpin(kBridge);
    return runtime_.inspect(*id);
  };
  auto made = make();
  if (made.ok()) {
    entry.memory.sandbox = {};
    const std::string ip = entry.pod->spec.hostNetwork ? options_.host_ip : made->ip;
    observe(entry, *std::move(made));
    auto written = volumes_.write_etc_files(entry.pod->metadata.uid,
                                            hosts_file(*entry.pod, ip, options_.dns.cluster_domain),
                                            resolv_conf(*entry.pod, options_.dns));
    if (!written.ok()) log_warning(written.error().message);
    entry.memory.volumes_ready = false;  // the downward API may show the address
    return true;
  }
  runtime_failed(made.error());
  cluster_.event(*entry.pod, "", true, "FailedCreatePodSandBox",
                 "Failed to create pod sandbox: " + made.error().message);
  entry.memory.sandbox = {ImageStep::kUnknown, "FailedCreatePodSandBox", made.error().message,
                          now_ms() + (problem.message.empty() ? kRetryMs : kShortRetryMs * 5)};
  return true;
}

void PodManager::fail_start(Entry& entry, const std::string& container, const std::string& reason,
                            const std::string& message, std::int64_t retry_ms) {
  StartNote& note = entry.memory.notes[container];
  note.reason = reason;
  note.message = message;
  note.retry_at_ms = now_ms() + retry_ms;
}

bool PodManager::ensure_image(Entry& entry, const Action& action) {
  const v1::Container* c = find_container(*entry.pod, action.container);
  if (!c) return false;
  if (const char* problem = image_name_problem(c->image)) {
    const std::string message = "Failed to apply default image tag \"" + c->image +
                                "\": couldn't parse image name \"" + c->image + "\": " + problem;
    if (entry.memory.notes[c->name].reason != "InvalidImageName") {
      cluster_.event(*entry.pod, c->name, true, "InspectFailed", message);
      cluster_.event(*entry.pod, c->name, true, "Failed", "Error: InvalidImageName");
    }
    fail_start(entry, c->name, "InvalidImageName", message, kRetryMs);
    return true;
  }
  std::string policy = c->imagePullPolicy;
  if (policy.empty()) policy = "IfNotPresent";
  if (policy == "Always") {
    start_pull(entry, *c);
    return true;
  }
  auto image = runtime_.find_image(c->image);
  if (!image.ok()) {
    runtime_failed(image.error());
    fail_start(entry, c->name, "ImageInspectError", image.error().message, kRetryMs);
    return true;
  }
  if (image->has_value()) {
    StartNote& note = entry.memory.notes[c->name];
    note = {};
    note.image = ImageStep::kPresent;
    note.image_digest = image_digest(c->image, (*image)->names);
    if (!entry.observed.latest(c->name)) {
      cluster_.event(*entry.pod, c->name, false, "Pulled",
                     "Container image \"" + c->image + "\" already present on machine");
    }
    return true;
  }
  if (policy == "Never") {
    const std::string message =
        "Container image \"" + c->image + "\" is not present with pull policy of Never";
    if (entry.memory.notes[c->name].reason != "ErrImageNeverPull") {
      cluster_.event(*entry.pod, c->name, true, "ErrImageNeverPull", message);
      cluster_.event(*entry.pod, c->name, true, "Failed", "Error: ErrImageNeverPull");
    }
    fail_start(entry, c->name, "ErrImageNeverPull", message, kRetryMs);
    return true;
  }
  start_pull(entry, *c);
  return true;
}

void PodManager::start_pull(Entry& entry, const v1::Container& c) {
  const std::string uid = entry.pod->metadata.uid;
  const std::string key = uid + " " + c.image;
  const std::int64_t now = now_ms();
  {
    const std::lock_guard lock(mutex_);
    const auto it = pulls_.find(key);
    if (it != pulls_.end() && now < it->second.failed_ms + it->second.delay_ms) {
      const std::int64_t left = it->second.failed_ms + it->second.delay_ms - now;
      fail_start(entry, c.name, "ImagePullBackOff",
                 "Back-off pulling image \"" + c.image + "\": " + it->second.message, left);
      cluster_.event(*entry.pod, c.name, false, "BackOff", "Back-off pulling image \"" + c.image + "\"");
      return;
    }
  }
  cluster_.event(*entry.pod, c.name, false, "Pulling", "Pulling image \"" + c.image + "\"");
  entry.memory.notes[c.name].image = ImageStep::kPulling;
  const std::string name = c.name, image = c.image;
  const std::vector<std::string> auths = image_auths(*entry.pod, image);
  const auto pod = entry.pod;
  run_async([this, uid, key, name, image, auths, pod] {
    const std::int64_t began = now_ms();
    Result<void> pulled;
    for (const std::string& auth : auths) {
      pulled = runtime_.pull(image, auth);
      if (pulled.ok()) break;
    }
    const std::int64_t ended = now_ms();
    if (pulled.ok()) {
      {
        const std::lock_guard lock(mutex_);
        pulls_.erase(key);
      }
      cluster_.event(
          *pod, name, false, "Pulled",
          "Successfully pulled image \"" + image + "\" in " + std::to_string(ended - began) + "ms");
      const auto found = runtime_.find_image(image);
      const std::string digest = found.ok() && found->has_value() ? image_digest(image, (*found)->names) : "";
      post(uid, [name, digest](Entry& e) {
        e.memory.notes[name] = {};
        e.memory.notes[name].image = ImageStep::kPresent;
        e.memory.notes[name].image_digest = digest;
      });
      return;
    }
    const std::string why = pulled.error().message;
    const std::string message = "failed to pull image \"" + image + "\": " + why;
    {
      const std::lock_guard lock(mutex_);
      PullBackoff& b = pulls_[key];
      b.delay_ms = b.delay_ms == 0 ? kBackoffFirstMs : std::min(b.delay_ms * 2, kBackoffMaxMs);
      b.failed_ms = ended;
      b.message = why;
    }
    cluster_.event(*pod, name, true, "Failed", "Failed to pull image \"" + image + "\": " + why);
    cluster_.event(*pod, name, true, "Failed", "Error: ErrImagePull");
    post(uid, [name, message, ended](Entry& e) {
      e.memory.notes[name] = {ImageStep::kUnknown, "ErrImagePull", message, ended + kShortRetryMs * 2};
    });
  });
}

Result<ContainerSpec> PodManager::make_spec(Entry& entry, const v1::Container& c, const Action& action) {
  const auto* sandbox = entry.observed.sandbox();
  ContainerRequest request{*entry.pod, c};
  request.attempt = action.attempt;
  request.backoff_ms = action.backoff_ms;
  request.sandbox_id = sandbox->id;
  request.node = options_.node;
  request.image_digest = entry.memory.notes[c.name].image_digest;
  COX_ASSIGN_OR_RETURN(request.environment,
                       make_environment(*entry.pod, c, facts(entry), cluster_.objects()));
  COX_ASSIGN_OR_RETURN(request.mounts, volumes_.mounts(*entry.pod, c, request.environment));
  COX_ASSIGN_OR_RETURN(request.termination_message_path,
                       volumes_.termination_file(entry.pod->metadata.uid, c.name, action.attempt));
  const bool ask_image = c.securityContext || entry.pod->spec.securityContext;
  if (ask_image) {
    COX_ASSIGN_OR_RETURN(const auto image, runtime_.find_image(c.image));
    if (image) request.image_user = image->user;
  }
  return container_spec(request);
}

bool PodManager::start_container(Entry& entry, const Action& action) {
  const v1::Container* c = find_container(*entry.pod, action.container);
  if (!c) return false;
  std::string id = action.id;
  if (id.empty()) {
    auto spec = make_spec(entry, *c, action);
    if (!spec.ok()) {
      runtime_failed(spec.error());
      cluster_.event(*entry.pod, c->name, true, "Failed", "Error: " + spec.error().message);
      fail_start(entry, c->name, "CreateContainerConfigError", spec.error().message, kRetryMs);
      return true;
    }
    auto made = runtime_.create(*spec);
    if (!made.ok()) {
      runtime_failed(made.error());
      cluster_.event(*entry.pod, c->name, true, "Failed", "Error: " + made.error().message);
      fail_start(entry, c->name, "CreateContainerError", made.error().message, kRetryMs);
      entry.memory.notes[c->name].image = ImageStep::kUnknown;
      return true;
    }
    id = *made;
    cluster_.event(*entry.pod, c->name, false, "Created", "Created container: " + c->name);
  }
  auto started = runtime_.start(id);
  auto seen = runtime_.inspect(id);
  if (!seen.ok()) {
    runtime_failed(seen.error());
    fail_start(entry, c->name, "RunContainerError", seen.error().message, kShortRetryMs);
    return true;
  }
  entry.memory.notes.erase(c->name);
  if (!started.ok()) {
    runtime_failed(started.error());
    cluster_.event(*entry.pod, c->name, true, "Failed", "Error: " + started.error().message);
    if (seen->state == RunState::kCreated) {
      fail_start(entry, c->name, "RunContainerError", started.error().message, kRetryMs);
    } else {
      seen->finished_ms = std::max(seen->finished_ms, seen->created_ms);
    }
    observe(entry, *std::move(seen));
    return true;
  }
  const ObservedContainer running = *seen;
  observe(entry, *std::move(seen));
  cluster_.event(*entry.pod, c->name, false, "Started", "Started container " + c->name);
  if (c->lifecycle && c->lifecycle->postStart) post_start(entry, *c, running);
  return true;
}

void PodManager::post_start(Entry& entry, const v1::Container& c, const ObservedContainer& running) {
  const v1::LifecycleHandler& hook = *c.lifecycle->postStart;
  if (hook.sleep) {
    std::this_thread::sleep_for(std::chrono::seconds(std::min<std::int64_t>(hook.sleep->seconds, 60)));
    return;
  }
  const ProbeOutcome outcome = run_hook(runtime_, running.id, c, hook, facts(entry).pod_ip, kHookTimeoutMs);
  if (outcome.success) return;
  cluster_.event(*entry.pod, c.name, true, "FailedPostStartHook", "PostStartHook failed: " + outcome.message);
  begin_kill(entry, {.kind = ActionKind::kBeginKill,
                     .container = c.name,
                     .id = running.id,
                     .grace_ms = entry.pod->spec.terminationGracePeriodSeconds.value_or(30) * 1000,
                     .message = "FailedPostStartHook"});
  entry.memory.kills[running.id].start_failed = true;
}

// Starts stopping: the hook runs aside, the plan goes on to SIGTERM when it is done or out of time.
bool PodManager::begin_kill(Entry& entry, const Action& action) {
  const v1::Container* c = find_container(*entry.pod, action.container);
  KillState& kill = entry.memory.kills[action.id];
  kill.since_ms = now_ms();
  kill.grace_ms = action.grace_ms;
  cluster_.event(*entry.pod, action.container, false, "Killing",
                 action.message == "Stopping container" || action.message.empty()
                     ? "Stopping container " + action.container
                     : action.message);
  const bool ending = entry.pod->metadata.deletionTimestamp || entry.memory.removed;
  if (ending) prober_.remove(action.id);
  if (!c || !c->lifecycle || !c->lifecycle->preStop || action.grace_ms == 0)
    return send_term(entry, action.id);
  const std::string uid = entry.pod->metadata.uid;
  const auto pod = entry.pod;
  run_async([this, uid, pod, id = action.id, container = *c, ip = facts(entry).pod_ip,
             grace_ms = action.grace_ms] {
    const v1::LifecycleHandler& hook = *container.lifecycle->preStop;
    if (hook.sleep) {
      std::this_thread::sleep_for(std::chrono::milliseconds(std::min(hook.sleep->seconds * 1000, grace_ms)));
    } else if (const auto outcome = run_hook(runtime_, id, container, hook, ip, grace_ms); !outcome.success) {
      cluster_.event(*pod, container.name, true, "FailedPreStopHook",
                     "PreStopHook failed: " + outcome.message);
    }
    post(uid, [id](Entry& e) {
      if (const auto it = e.memory.kills.find(id); it != e.memory.kills.end()) it->second.hook_done = true;
    });
  });
  return true;
}

bool PodManager::send_term(Entry& entry, const std::string& id) {
  KillState& kill = entry.memory.kills[id];
  const auto* container = find_by_id(entry.observed, id);
  const v1::Container* c = container ? find_container(*entry.pod, container->name) : nullptr;
  const std::string sig =
      c && c->lifecycle && c->lifecycle->stopSignal ? *c->lifecycle->stopSignal : "SIGTERM";
  auto sent = runtime_.signal(id, kill.grace_ms == 0 ? "SIGKILL" : sig);
  if (!sent.ok()) {
    runtime_failed(sent.error());
    kill.hook_done = true;
    if (now_ms() < kill.since_ms + kill.grace_ms) {  // there is time to ask again; later SIGKILL has its turn
      queue_.add_after(entry.pod->metadata.uid, kShortRetryMs);
      return false;
    }
  }
  kill.stage = kill.grace_ms == 0 ? KillStage::kKillSent : KillStage::kTermSent;
  kill.signalled_ms = now_ms();
  return true;
}

bool PodManager::send_kill(Entry& entry, const std::string& id) {
  KillState& kill = entry.memory.kills[id];
  auto sent = runtime_.signal(id, "SIGKILL");
  if (!sent.ok()) runtime_failed(sent.error());
  kill.stage = KillStage::kKillSent;
  kill.signalled_ms = now_ms();
  return true;
}

bool PodManager::remove_container(Entry& entry, const Action& action) {
  if (entry.pod->metadata.deletionTimestamp || entry.memory.removed) {
    if (!entry.forgetting && !entry.memory.removed) statuses_.flush(entry.pod->metadata.uid, 2000);
    entry.forgetting = true;
  }
  auto removed = runtime_.remove(action.id);
  if (!removed.ok()) {
    runtime_failed(removed.error());
    queue_.add_after(entry.pod->metadata.uid, kShortRetryMs);
    return false;
  }
  const auto same = [&](const ObservedContainer& c) { return c.id == action.id; };
  std::erase_if(entry.observed.containers, same);
  std::erase_if(entry.observed.sandboxes, same);
  entry.memory.probes.erase(action.id);
  entry.memory.kills.erase(action.id);
  prober_.remove(action.id);
  return true;
}

bool PodManager::delete_object(Entry& entry) {
  entry.forgetting = true;
  if (!entry.observed.containers.empty() || !entry.observed.sandboxes.empty())
    return true;  // a removal failed
  if (entry.memory.removed) return false;
  auto deleted = cluster_.delete_pod(*entry.pod);
  if (deleted.ok()) {
    entry.memory.object_deleted = true;
    return false;
  }
  log_warning("cannot delete the pod object yet",
              {{"pod", entry.pod->metadata.name}, {"error", deleted.error().message}});
  queue_.add_after(entry.pod->metadata.uid, kShortRetryMs);
  return false;
}

// Reads the termination message while its file is still there.
void PodManager::container_ended(Entry& entry, ObservedContainer& c) {
  prober_.remove(c.id);
  entry.memory.kills.erase(c.id);
  if (!c.termination_message_path.empty()) {
    std::ifstream in(c.termination_message_path, std::ios::binary);
    std::string text(kMessageBytes, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    c.message = text;
  }
  const v1::Container* spec = entry.pod ? find_container(*entry.pod, c.name) : nullptr;
  if (c.message.empty() && c.exit_code != 0 && spec &&
      spec->terminationMessagePolicy == "FallbackToLogsOnError") {
    LogOptions options;
    options.tail = 80;
    std::string text;
    auto read = runtime_.logs(c.id, options,
                              [&](std::string_view bytes) {
                                text += bytes;
                                return true;
                              },
                              {});
    if (read.ok())
      c.message = text.size() > kLogMessageBytes ? text.substr(text.size() - kLogMessageBytes) : text;
  }
  const bool ending = entry.pod && (entry.pod->metadata.deletionTimestamp || entry.memory.removed);
  bool init = false;
  if (entry.pod && spec && !ending) {
    find_container(*entry.pod, c.name, &init);
    if (restarts(*entry.pod, *spec, init, c.exit_code) && owed_backoff_ms(c) > 0) {
      cluster_.event(*entry.pod, c.name, true, "BackOff",
                     "Back-off restarting failed container " + c.name + " in pod " +
                         entry.pod->metadata.name + "_" + entry.pod->metadata.namespace_ + "(" +
                         entry.pod->metadata.uid + ")");
    }
  }
}

// imagePullSecrets: the first docker config that knows the image's registry, as X-Registry-Auth.
// The pod's credentials for an image, best first; one anonymous try when there are none.
std::vector<std::string> PodManager::image_auths(const v1::Pod& pod, const std::string& image) {
  std::vector<std::string> configs;
  for (const auto& ref : pod.spec.imagePullSecrets) {
    const auto secret = cluster_.objects().secret(pod.metadata.namespace_, ref.name);
    if (!secret) continue;
    for (const char* key : {".dockerconfigjson", ".dockercfg"}) {
      const auto it = secret->data.find(key);
      if (it != secret->data.end()) configs.push_back(it->second);
    }
  }
  std::vector<std::string> out;
  for (const RegistryCredential& credential : credentials_for(image, configs)) {
    if (out.size() < kMaxCredentials) out.push_back(registry_auth_header(credential));
  }
  if (out.empty()) out.emplace_back();
  return out;
}

}  // namespace coxswain::kubelet
