#include "services/scheduler/model.h"

#include <algorithm>

#include "libs/api/meta/quantity.h"

namespace coxswain::scheduler {
namespace {

using api::core::v1::Container;

constexpr std::int64_t kDefaultCpu_milli = 100;
constexpr std::int64_t kDefaultMemory_bytes = 200LL * 1024 * 1024;

Resources parse(const std::map<std::string, std::string>& list) {
  Resources out;
  for (const auto& [name, text] : list) {
    const auto quantity = api::Quantity::parse(text);
    if (!quantity.ok()) continue;  // the api-server let none through
    if (name == "cpu")
      out.cpu_milli = quantity->milli_value();
    else if (name == "memory")
      out.memory_bytes = quantity->value();
    else if (name == "ephemeral-storage")
      out.ephemeral_bytes = quantity->value();
    else if (name == "pods")
      out.pods = quantity->value();
    else
      out.extended[name] = quantity->value();
  }
  return out;
}

void raise_to(Resources& a, const Resources& b) {
  a.cpu_milli = std::max(a.cpu_milli, b.cpu_milli);
  a.memory_bytes = std::max(a.memory_bytes, b.memory_bytes);
  a.ephemeral_bytes = std::max(a.ephemeral_bytes, b.ephemeral_bytes);
  for (const auto& [name, amount] : b.extended) a.extended[name] = std::max(a.extended[name], amount);
}

void add_ports(const Container& container, std::vector<HostPort>& out) {
  for (const auto& port : container.ports) {
    if (port.hostPort == 0) continue;
    out.push_back({port.hostIP.empty() ? "0.0.0.0" : port.hostIP,
                   port.protocol.empty() ? "TCP" : port.protocol, port.hostPort});
  }
}

std::string normalized_image(const std::string& image) {
  const std::size_t slash = image.rfind('/');
  const bool tagged = image.find(':', slash == std::string::npos ? 0 : slash) != std::string::npos;
  return tagged ? image : image + ":latest";
}

}  // namespace

void Resources::add(const Resources& other) {
  cpu_milli += other.cpu_milli;
  memory_bytes += other.memory_bytes;
  ephemeral_bytes += other.ephemeral_bytes;
  pods += other.pods;
  for (const auto& [name, amount] : other.extended) extended[name] += amount;
}

void Resources::sub(const Resources& other) {
  cpu_milli -= other.cpu_milli;
  memory_bytes -= other.memory_bytes;
  ephemeral_bytes -= other.ephemeral_bytes;
  pods -= other.pods;
  for (const auto& [name, amount] : other.extended) extended[name] -= amount;
}

bool HostPort::conflicts_with(const HostPort& other) const {
  const bool same_address = ip == other.ip || ip == "0.0.0.0" || other.ip == "0.0.0.0";
  return same_address && protocol == other.protocol && port == other.port;
}

Resources pod_requests(const api::core::v1::PodSpec& spec) {
  Resources running, sidecars, starting;
  for (const Container& container : spec.containers) running.add(parse(container.resources.requests));
  for (const Container& container : spec.initContainers) {
    const Resources needs = parse(container.resources.requests);
    if (container.restartPolicy.value_or("") == "Always") {
      running.add(needs);
      sidecars.add(needs);
      raise_to(starting, sidecars);
    } else {
      Resources at_once = sidecars;
      at_once.add(needs);
      raise_to(starting, at_once);
    }
  }
  raise_to(running, starting);
  running.add(parse(spec.overhead));
  running.pods = 1;
  return running;
}

PodInfo pod_info(const api::core::v1::Pod& pod) {
  PodInfo info;
  info.ns = pod.metadata.namespace_;
  info.name = pod.metadata.name;
  info.uid = pod.metadata.uid;
  info.node_name = pod.spec.nodeName;
  info.scheduler_name = pod.spec.schedulerName;
  info.priority = pod.spec.priority.value_or(0);
  info.created_unix_ms = pod.metadata.creationTimestamp.unix_ms;
  info.requests = pod_requests(pod.spec);
  for (const Container& container : pod.spec.containers) {
    const Resources needs = parse(container.resources.requests);
    info.scoring_cpu_milli +=
        container.resources.requests.contains("cpu") ? needs.cpu_milli : kDefaultCpu_milli;
    info.scoring_memory_bytes +=
        container.resources.requests.contains("memory") ? needs.memory_bytes : kDefaultMemory_bytes;
    add_ports(container, info.host_ports);
    info.images.push_back(normalized_image(container.image));
  }
  info.tolerations = pod.spec.tolerations;
  info.node_selector = pod.spec.nodeSelector;
  if (pod.spec.affinity) info.node_affinity = pod.spec.affinity->nodeAffinity;
  info.never_preempts = pod.spec.preemptionPolicy.value_or("") == "Never";
  info.gated = !pod.spec.schedulingGates.empty();
  info.deleting = pod.metadata.deletionTimestamp.has_value();
  info.finished = pod.status.phase == "Succeeded" || pod.status.phase == "Failed";
  return info;
}

NodeInfo node_info(const api::core::v1::Node& node) {
  NodeInfo info;
  info.name = node.metadata.name;
  info.labels = node.metadata.labels;
  info.taints = node.spec.taints;
  info.unschedulable = node.spec.unschedulable;
  info.allocatable = parse(node.status.allocatable);
  for (const auto& image : node.status.images) {
    for (const std::string& name : image.names) info.images[normalized_image(name)] = image.sizeBytes;
  }
  return info;
}

}  // namespace coxswain::scheduler
