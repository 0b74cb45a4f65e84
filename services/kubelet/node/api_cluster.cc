#include "services/kubelet/node/api_cluster.h"

#include "services/kubelet/volumes/volume_files.h"

namespace coxswain::kubelet {
namespace {

constexpr std::size_t kEventMessageBytes = 1024;

std::string field_path(const v1::Pod& pod, const std::string& container) {
  if (container.empty()) return {};
  for (const auto& c : pod.spec.initContainers) {
    if (c.name == container) return "spec.initContainers{" + container + "}";
  }
  return "spec.containers{" + container + "}";
}

// The fields of a status that are the kubelet's. A merge patch leaves the others alone.
constexpr const char* kOwned[] = {"observedGeneration",
                                  "phase",
                                  "conditions",
                                  "message",
                                  "reason",
                                  "hostIP",
                                  "hostIPs",
                                  "podIP",
                                  "podIPs",
                                  "startTime",
                                  "initContainerStatuses",
                                  "containerStatuses",
                                  "qosClass"};

}  // namespace

ApiCluster::ApiCluster(client::ApiClient& client, const std::string& node_name,
                       std::function<void(const std::string& ns)> references_changed)
    : client_(client),
      events_(client, "kubelet", node_name),
      services_(client),
      config_maps_(client, references_changed),
      secrets_(client, references_changed) {}

void ApiCluster::start() { services_.start(); }

void ApiCluster::stop() {
  services_.stop();
  config_maps_.stop();
  secrets_.stop();
}

api::ApiResult<void> ApiCluster::write_status(const v1::Pod& pod, const v1::PodStatus& status) {
  const json::Value full = to_json(status);
  json::Value owned = json::Value::object();
  for (const char* name : kOwned) {
    const json::Value* value = full.find(name);
    owned.set(name, value ? *value : json::Value());  // null removes
  }
  const json::Value body = json::Value::object(
      {{"metadata", json::Value::object({{"uid", pod.metadata.uid}})}, {"status", std::move(owned)}});
  auto patched = client_.patch_json(client::resource_of<v1::Pod>(), pod.metadata.namespace_,
                                    pod.metadata.name, client::PatchType::kMerge, body, "status");
  if (!patched.ok()) return std::move(patched).error();
  return {};
}

api::ApiResult<void> ApiCluster::delete_pod(const v1::Pod& pod) {
  client::DeleteOptions options;
  options.grace_period_seconds = 0;
  options.precondition_uid = pod.metadata.uid;
  auto removed = client_.remove<v1::Pod>(pod.metadata.namespace_, pod.metadata.name, options);
  if (!removed.ok() && (removed.error().code == 404 || removed.error().code == 409)) return {};
  return removed;
}

void ApiCluster::event(const v1::Pod& pod, const std::string& container, bool warning,
                       const std::string& reason, const std::string& message) {
  events_.record({client::ref_to(pod, field_path(pod, container)),
                  warning ? client::EventType::kWarning : client::EventType::kNormal, reason,
                  message.substr(0, kEventMessageBytes)});
}

ObjectSource ApiCluster::objects() {
  ObjectSource out;
  out.config_map = [this](const std::string& ns, const std::string& name) {
    return config_maps_.get(ns, name);
  };
  out.secret = [this](const std::string& ns, const std::string& name) { return secrets_.get(ns, name); };
  out.services = [this] { return services_.lister().list(); };
  return out;
}

void ApiCluster::watch_references(const v1::Pod& pod) {
  const PodReferences refs = references_of(pod);
  for (const auto& name : refs.config_maps) config_maps_.add(pod.metadata.namespace_, name, pod.metadata.uid);
  for (const auto& name : refs.secrets) secrets_.add(pod.metadata.namespace_, name, pod.metadata.uid);
}

void ApiCluster::unwatch_references(const std::string& pod_uid) {
  config_maps_.remove_user(pod_uid);
  secrets_.remove_user(pod_uid);
}

}  // namespace coxswain::kubelet
