#include "services/kubelet/node/node_agent.h"

#include <algorithm>

#include "api/types/coordination_v1.h"
#include "libs/client/reflector.h"
#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"
#include "services/kubelet/core/container_spec.h"
#include "services/kubelet/node/network.h"

namespace coxswain::kubelet {
namespace {

constexpr std::size_t kImagesReported = 50;
constexpr std::int64_t kFastMs = 1'000;  // until the node is ready
constexpr std::int64_t kLowMemoryBytes = 100LL << 20;
constexpr const char* kLeaseNamespace = "kube-node-lease";
constexpr const char* kKubeletVersion = "v1.36.0";

std::string kib(std::int64_t bytes) { return std::to_string(bytes / 1024) + "Ki"; }

void condition(v1::NodeStatus& out, const v1::NodeStatus& old, const char* type, bool value,
               const char* reason, const std::string& message, std::int64_t now_ms) {
  v1::NodeCondition c;
  c.type = type;
  c.status = value ? "True" : "False";
  c.reason = reason;
  c.message = message;
  c.lastHeartbeatTime.unix_ms = now_ms;
  c.lastTransitionTime.unix_ms = now_ms;
  for (const auto& before : old.conditions) {
    if (before.type == type && before.status == c.status) c.lastTransitionTime = before.lastTransitionTime;
  }
  out.conditions.push_back(std::move(c));
}

}  // namespace

v1::NodeStatus NodeAgent::make_status(const NodeAgentOptions& options, const Machine& machine,
                                      const RuntimeInfo* runtime, const std::string& not_ready,
                                      const std::vector<ImageInfo>& images, const v1::NodeStatus& old,
                                      std::int64_t now_ms) {
  v1::NodeStatus out;
  out.capacity = {{"cpu", std::to_string(machine.capacity.milli_cpu / 1000)},
                  {"memory", kib(machine.capacity.memory_bytes)},
                  {"ephemeral-storage", kib(machine.disk_bytes)},
                  {"pods", std::to_string(options.max_pods)}};
  out.allocatable = out.capacity;
  out.allocatable["memory"] = kib(std::max<std::int64_t>(0, machine.capacity.memory_bytes - kLowMemoryBytes));
  out.allocatable["ephemeral-storage"] = std::to_string(machine.disk_bytes / 10 * 9);
  const bool low_memory = machine.memory_available_bytes < kLowMemoryBytes;
  const bool low_disk = machine.disk_free_bytes < machine.disk_bytes / 20;
  condition(
      out, old, "MemoryPressure", low_memory,
      low_memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
      low_memory ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available",
      now_ms);
  condition(out, old, "DiskPressure", low_disk,
            low_disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
            low_disk ? "kubelet has disk pressure" : "kubelet has no disk pressure", now_ms);
  condition(out, old, "PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available",
            now_ms);
  condition(out, old, "Ready", not_ready.empty(), not_ready.empty() ? "KubeletReady" : "KubeletNotReady",
            not_ready.empty() ? "kubelet is posting ready status" : not_ready, now_ms);
  out.addresses = {{"InternalIP", options.node_ip}, {"Hostname", options.node_name}};
  out.daemonEndpoints.kubeletEndpoint.Port = options.port;
  out.nodeInfo.machineID = machine.machine_id;
  out.nodeInfo.systemUUID = machine.system_uuid;
  out.nodeInfo.bootID = machine.boot_id;
  out.nodeInfo.kernelVersion = machine.kernel;
  out.nodeInfo.osImage = machine.os_image;
  out.nodeInfo.containerRuntimeVersion =
      runtime ? "docker://" + runtime->version : old.nodeInfo.containerRuntimeVersion;
  out.nodeInfo.kubeletVersion = kKubeletVersion;
  out.nodeInfo.operatingSystem = "linux";
  out.nodeInfo.architecture = machine.architecture;
  for (const auto& image : images) {
    if (image.names.empty() || out.images.size() >= kImagesReported) continue;
    out.images.push_back({image.names, image.size_bytes});
  }
  std::sort(out.images.begin(), out.images.end(),
            [](const auto& a, const auto& b) { return a.sizeBytes > b.sizeBytes; });
  return out;
}

NodeAgent::NodeAgent(client::ApiClient& client, Runtime& runtime, NodeAgentOptions options,
                     std::function<bool()> runtime_ok, OnNetwork on_network)
    : client_(client),
      runtime_(runtime),
      options_(std::move(options)),
      runtime_ok_(std::move(runtime_ok)),
      on_network_(std::move(on_network)) {}

void NodeAgent::start() {
  thread_ = std::jthread([this](std::stop_token stop) { loop(stop); });
  lease_thread_ = std::jthread([this](std::stop_token stop) { lease_loop(stop); });
}

void NodeAgent::stop() {
  for (auto* t : {&thread_, &lease_thread_}) {
    if (!t->joinable()) continue;
    t->request_stop();
    t->join();
  }
}

void NodeAgent::loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (ensure_registered()) report();
    const bool settled = registered_ && network_ready_ && runtime_ok_();
    if (!client::sleep_for_ms(settled ? options_.heartbeat_ms : kFastMs, stop)) return;
  }
}

bool NodeAgent::ensure_registered() {
  if (registered_) return true;
  v1::Node node;
  node.metadata.name = options_.node_name;
  node.metadata.labels = {{"kubernetes.io/hostname", options_.node_name},
                          {"kubernetes.io/os", "linux"},
                          {"kubernetes.io/arch", go_architecture()},
                          {"beta.kubernetes.io/os", "linux"},
                          {"beta.kubernetes.io/arch", go_architecture()}};
  auto made = client_.create(node);
  if (made.ok() || client::is_already_exists(made.error())) {
    registered_ = true;
    complained_ = false;
    return true;
  }
  if (!complained_) log_error("cannot register the node yet", {{"error", made.error().message}});
  complained_ = true;
  return false;
}

void NodeAgent::report() {
  auto node = client_.get<v1::Node>("", options_.node_name);
  if (!node.ok()) {
    if (client::is_not_found(node.error())) registered_ = false;  // somebody deleted it: register again
    return;
  }
  auto info = runtime_.info();
  if (info.ok() && !node->spec.podCIDR.empty() && !network_ready_) set_up_network(node->spec.podCIDR);
  std::string problem;
  if (!info.ok()) {
    problem = "container runtime is down: " + info.error().message;
  } else if (!network_ready_) {
    problem = "container runtime network not ready: " + network_problem_;
  }
  std::vector<ImageInfo> images;
  if (info.ok()) {
    if (auto listed = runtime_.images(); listed.ok()) images = *std::move(listed);
  }
  const std::int64_t now = system_clock().unix_ms();
  v1::NodeStatus status = make_status(options_, read_machine(options_.root_dir), info.ok() ? &*info : nullptr,
                                      problem, images, node->status, now);
  v1::NodeStatus timeless = status;
  for (auto& c : timeless.conditions) c.lastHeartbeatTime = c.lastTransitionTime = {};
  const std::string text = json::write(to_json(timeless));
  const bool foreign_change = std::any_of(node->status.conditions.begin(), node->status.conditions.end(),
                                          [](const auto& c) { return c.status == "Unknown"; });
  if (text == reported_ && !foreign_change && !node->status.conditions.empty() &&
      now - reported_ms_ < options_.full_report_ms) {
    return;
  }
  json::Value body = json::Value::object({{"status", to_json(status)}});
  // Conditions of others (a network plug-in's) stay: strategic merge by type.
  auto written = client_.patch_json(client::resource_of<v1::Node>(), "", options_.node_name,
                                    client::PatchType::kStrategicMerge, body, "status");
  if (!written.ok()) {
    log_warning("cannot report the node's status", {{"error", written.error().message}});
    return;
  }
  reported_ = text;
  reported_ms_ = now;
}

void NodeAgent::set_up_network(const std::string& pod_cidr) {
  const auto gateway = first_address(pod_cidr);
  if (!gateway) {
    network_problem_ = "podCIDR " + pod_cidr + " is not an IPv4 range";
    return;
  }
  auto made = runtime_.ensure_network({kPodNetwork, kBridge, pod_cidr, *gateway});
  if (made.ok()) made = set_up_forwarding(pod_cidr, options_.cluster_cidr);
  if (!made.ok()) {
    if (network_problem_ != made.error().message)
      log_error("cannot set up the pod network", {{"error", made.error().message}});
    network_problem_ = made.error().message;
    on_network_(false, network_problem_);
    return;
  }
  log_info("pod network ready", {{"podCIDR", pod_cidr}, {"bridge", kBridge}});
  network_ready_ = true;
  on_network_(true, "");
}

void NodeAgent::lease_loop(std::stop_token stop) {
  do {
    beat();
  } while (client::sleep_for_ms(options_.heartbeat_ms, stop));
}

void NodeAgent::beat() {
  using api::coordination::v1::Lease;
  const std::string time = format_rfc3339_micro(system_clock().unix_ms());
  const json::Value spec =
      json::Value::object({{"holderIdentity", options_.node_name},
                           {"leaseDurationSeconds", static_cast<long long>(options_.lease_seconds)},
                           {"renewTime", time}});
  auto renewed = client_.patch_json(client::resource_of<Lease>(), kLeaseNamespace, options_.node_name,
                                    client::PatchType::kMerge, json::Value::object({{"spec", spec}}));
  if (renewed.ok() || !client::is_not_found(renewed.error())) return;
  if (node_uid_.empty()) {
    auto node = client_.get<v1::Node>("", options_.node_name);
    if (node.ok()) node_uid_ = node->metadata.uid;
  }
  json::Value metadata = json::Value::object({{"name", options_.node_name}, {"namespace", kLeaseNamespace}});
  if (!node_uid_.empty()) {
    metadata.set(
        "ownerReferences",
        json::Value::array({json::Value::object(
            {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", options_.node_name}, {"uid", node_uid_}})}));
  }
  auto made = client_.create_json(client::resource_of<Lease>(), kLeaseNamespace,
                                  json::Value::object({{"metadata", metadata}, {"spec", spec}}));
  if (!made.ok()) log_debug("cannot make the node's lease yet", {{"error", made.error().message}});
}

}  // namespace coxswain::kubelet
