#include "services/kubelet/core/container_spec.h"

#include <algorithm>

#include "libs/common/base/strings.h"
#include "services/kubelet/core/plan.h"
#include "services/kubelet/runtime/pause_image.h"

namespace coxswain::kubelet {
namespace {

constexpr int kSandboxOomScore = -998;
constexpr std::int64_t kPidsLimit = 16'384;

std::string label(std::string_view name) { return std::string(kLabelPrefix) + std::string(name); }

std::string runtime_name(const v1::Pod& pod, const std::string& container, int attempt) {
  return "k8s_" + container + "_" + pod.metadata.name + "_" + pod.metadata.namespace_ + "_" +
         pod.metadata.uid + "_" + std::to_string(attempt);
}

std::map<std::string, std::string> common_labels(const v1::Pod& pod, int attempt) {
  return {{label("pod-uid"), pod.metadata.uid},
          {label("pod-name"), pod.metadata.name},
          {label("pod-namespace"), pod.metadata.namespace_},
          {label("attempt"), std::to_string(attempt)}};
}

std::vector<PortBinding> host_ports(const v1::Pod& pod) {
  std::vector<PortBinding> out;
  if (pod.spec.hostNetwork) return out;
  for (const auto& c : pod.spec.containers) {
    for (const auto& p : c.ports) {
      if (p.hostPort == 0) continue;
      out.push_back(
          {p.containerPort, p.hostPort, to_lower(p.protocol.empty() ? "tcp" : p.protocol), p.hostIP});
    }
  }
  return out;
}

bool is_root(const std::string& image_user) {
  const std::string user = split(image_user, ':').front();
  return user.empty() || user == "0" || user == "root";
}

// Who runs: the container's settings win over the pod's, those over the image's.
Result<void> set_user(const ContainerRequest& in, ContainerSpec& out) {
  const auto& pod = in.pod.spec.securityContext;
  const auto& own = in.container.securityContext;
  std::optional<std::int64_t> user = own ? own->runAsUser : std::nullopt;
  std::optional<std::int64_t> group = own ? own->runAsGroup : std::nullopt;
  std::optional<bool> non_root = own ? own->runAsNonRoot : std::nullopt;
  if (pod) {
    if (!user) user = pod->runAsUser;
    if (!group) group = pod->runAsGroup;
    if (!non_root) non_root = pod->runAsNonRoot;
    for (const auto g : pod->supplementalGroups) out.groups.push_back(std::to_string(g));
    if (pod->fsGroup) out.groups.push_back(std::to_string(*pod->fsGroup));
  }
  if (non_root.value_or(false)) {
    if (user && *user == 0) {
      return make_error(ErrorCode::kInvalidArgument, "container's runAsUser breaks non-root policy");
    }
    if (!user && is_root(in.image_user)) {
      return make_error(ErrorCode::kInvalidArgument, "container has runAsNonRoot and image will run as root");
    }
  }
  if (user) out.user = std::to_string(*user);
  if (group) {
    if (out.user.empty()) out.user = in.image_user.empty() ? "0" : split(in.image_user, ':').front();
    out.user += ":" + std::to_string(*group);
  }
  return {};
}

void set_security(const ContainerRequest& in, ContainerSpec& out) {
  const auto& pod = in.pod.spec.securityContext;
  const auto& own = in.container.securityContext;
  if (own) {
    out.privileged = own->privileged.value_or(false);
    out.read_only_root = own->readOnlyRootFilesystem.value_or(false);
    out.no_new_privileges = own->allowPrivilegeEscalation.has_value() && !*own->allowPrivilegeEscalation;
    if (own->capabilities) {
      out.cap_add = own->capabilities->add;
      out.cap_drop = own->capabilities->drop;
    }
  }
  const auto& profile = own && own->seccompProfile ? own->seccompProfile
                        : pod                      ? pod->seccompProfile
                                                   : std::optional<v1::SeccompProfile>();
  out.seccomp_unconfined = profile && profile->type == "Unconfined";
}

}  // namespace

bool privileged(const v1::Container& c) {
  return c.securityContext && c.securityContext->privileged.value_or(false);
}

std::string pod_hostname(const v1::Pod& pod) {
  std::string name = pod.spec.hostname.empty() ? pod.metadata.name : pod.spec.hostname;
  if (name.size() > 63) name.resize(63);
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  return name;
}

ContainerSpec sandbox_spec(const v1::Pod& pod, int attempt, const NodeCapacity& node) {
  ContainerSpec out;
  out.name = runtime_name(pod, "POD", attempt);
  out.image = std::string(kPauseImage);
  out.labels = common_labels(pod, attempt);
  out.labels[label("kind")] = "sandbox";
  out.network = pod.spec.hostNetwork ? "host" : kPodNetwork;
  out.ipc = pod.spec.hostIPC ? "host" : "shareable";
  if (pod.spec.hostPID) out.pid = "host";
  if (!pod.spec.hostNetwork) out.hostname = pod_hostname(pod);
  out.ports = host_ports(pod);
  out.cpu_shares = 2;
  out.oom_score_adj = std::max(kSandboxOomScore, node.lowest_oom_score_adj);
  out.no_new_privileges = true;
  if (pod.spec.securityContext) {
    for (const auto& s : pod.spec.securityContext->sysctls) out.sysctls[s.name] = s.value;
  }
  return out;
}

Result<ContainerSpec> container_spec(const ContainerRequest& in) {
  const v1::Container& c = in.container;
  ContainerSpec out;
  out.name = runtime_name(in.pod, c.name, in.attempt);
  out.image = c.image;
  out.labels = common_labels(in.pod, in.attempt);
  out.labels[label("kind")] = "container";
  out.labels[label("container")] = c.name;
  out.labels[label("backoff-ms")] = std::to_string(in.backoff_ms);
  out.labels[label("sandbox-id")] = in.sandbox_id;
  out.labels[label("spec-hash")] = container_hash(c);
  out.labels[label("image-digest")] = in.image_digest;
  out.labels[label("termination-message")] = in.termination_message_path;
  for (const auto& word : c.command) out.command.push_back(expand(word, in.environment));
  for (const auto& word : c.args) out.args.push_back(expand(word, in.environment));
  for (const auto& [name, value] : in.environment) out.env.push_back(name + "=" + value);
  out.working_dir = c.workingDir;
  out.mounts = in.mounts;
  if (!in.termination_message_path.empty()) {
    out.mounts.push_back(
        {in.termination_message_path,
         c.terminationMessagePath.empty() ? "/dev/termination-log" : c.terminationMessagePath, false, ""});
  }
  out.network = "container:" + in.sandbox_id;
  out.ipc = in.pod.spec.hostIPC ? "host" : "container:" + in.sandbox_id;
  if (in.pod.spec.hostPID) {
    out.pid = "host";
  } else if (in.pod.spec.shareProcessNamespace.value_or(false)) {
    out.pid = "container:" + in.sandbox_id;
  }
  const ResourceSettings r = resource_settings(in.pod, c, in.node);
  out.cpu_shares = r.cpu_shares;
  out.cpu_quota_us = r.cpu_quota_us;
  out.cpu_period_us = r.cpu_period_us;
  out.memory_bytes = r.memory_bytes;
  out.oom_score_adj = r.oom_score_adj;
  out.pids_limit = kPidsLimit;
  COX_RETURN_IF_ERROR(set_user(in, out));
  set_security(in, out);
  out.tty = c.tty;
  out.stdin_open = c.stdin;
  out.stdin_once = c.stdinOnce;
  if (c.lifecycle && c.lifecycle->stopSignal) out.stop_signal = *c.lifecycle->stopSignal;
  return out;
}

}  // namespace coxswain::kubelet
