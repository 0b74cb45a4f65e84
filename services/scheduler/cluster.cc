#include "services/scheduler/cluster.h"

#include <algorithm>

#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {
namespace {

bool same(const Resources& a, const Resources& b) {
  return a.cpu_milli == b.cpu_milli && a.memory_bytes == b.memory_bytes &&
         a.ephemeral_bytes == b.ephemeral_bytes && a.pods == b.pods && a.extended == b.extended;
}

bool same_taints(const std::vector<api::core::v1::Taint>& a, const std::vector<api::core::v1::Taint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.key == y.key && x.value == y.value && x.effect == y.effect;
  });
}

}  // namespace

// Adds (sign 1) or takes away (-1) a pod's share of its node.
void Cluster::account(const PodInfo& pod, int sign) {
  const auto at = nodes_.find(pod.node_name);
  if (at == nodes_.end()) return;
  NodeInfo& node = *at->second;
  if (sign > 0)
    node.requested.add(pod.requests);
  else
    node.requested.sub(pod.requests);
  node.scoring_cpu_milli += sign * pod.scoring_cpu_milli;
  node.scoring_memory_bytes += sign * pod.scoring_memory_bytes;
  for (const HostPort& port : pod.host_ports) {
    if (sign > 0) {
      node.host_ports.push_back(port);
      continue;
    }
    const auto taken = std::find_if(node.host_ports.begin(), node.host_ports.end(), [&](const HostPort& p) {
      return p.ip == port.ip && p.protocol == port.protocol && p.port == port.port;
    });
    if (taken != node.host_ports.end()) node.host_ports.erase(taken);
  }
}

void Cluster::count_images(const NodeInfo& node, int sign) {
  for (const auto& [image, bytes] : node.images) {
    if ((image_nodes_[image] += sign) <= 0) image_nodes_.erase(image);
  }
}

unsigned Cluster::set_node(NodeInfo node) {
  const auto at = nodes_.find(node.name);
  if (at == nodes_.end()) {
    count_images(node, 1);
    const std::string name = node.name;
    auto& slot = nodes_[name];
    slot = std::make_unique<NodeInfo>(std::move(node));
    order_.push_back(slot.get());
    for (const auto& [key, placed] : pods_) {
      if (placed.pod.node_name == name) account(placed.pod, 1);
    }
    return kNodeAdded;
  }
  NodeInfo& old = *at->second;
  unsigned events = 0;
  if (!same(old.allocatable, node.allocatable)) events |= kNodeAllocatable;
  if (old.labels != node.labels) events |= kNodeLabels;
  if (!same_taints(old.taints, node.taints) || old.unschedulable != node.unschedulable) events |= kNodeTaints;
  if (old.images != node.images) {
    count_images(old, -1);
    count_images(node, 1);
  }
  node.requested = std::move(old.requested);
  node.scoring_cpu_milli = old.scoring_cpu_milli;
  node.scoring_memory_bytes = old.scoring_memory_bytes;
  node.host_ports = std::move(old.host_ports);
  old = std::move(node);
  return events;
}

void Cluster::remove_node(const std::string& name) {
  const auto at = nodes_.find(name);
  if (at == nodes_.end()) return;
  count_images(*at->second, -1);
  std::erase(order_, at->second.get());
  nodes_.erase(at);
}

unsigned Cluster::set_pod(const PodInfo& pod) {
  const std::string key = pod.key();
  unsigned events = 0;
  if (const auto old = pods_.find(key); old != pods_.end()) {
    account(old->second.pod, -1);
    if (old->second.pod.node_name != pod.node_name || pod.finished) events = kPodRemoved;
    pods_.erase(old);
  }
  if (pod.finished) return events;
  account(pod, 1);
  pods_[key] = {pod, false};
  return events;
}

unsigned Cluster::remove_pod(const std::string& key) {
  const auto at = pods_.find(key);
  if (at == pods_.end()) return 0;
  account(at->second.pod, -1);
  pods_.erase(at);
  return kPodRemoved;
}

void Cluster::assume(const PodInfo& pod, const std::string& node) {
  if (const auto old = pods_.find(pod.key()); old != pods_.end()) account(old->second.pod, -1);
  PodInfo placed = pod;
  placed.node_name = node;
  account(placed, 1);
  pods_[pod.key()] = {std::move(placed), true};
}

void Cluster::forget(const std::string& key) {
  const auto at = pods_.find(key);
  if (at == pods_.end() || !at->second.assumed) return;
  account(at->second.pod, -1);
  pods_.erase(at);
}

bool Cluster::is_assumed(const PodInfo& pod) const {
  const auto at = pods_.find(pod.key());
  return at != pods_.end() && at->second.assumed && at->second.pod.uid == pod.uid;
}

const NodeInfo* Cluster::node(const std::string& name) const {
  const auto at = nodes_.find(name);
  return at == nodes_.end() ? nullptr : at->second.get();
}

}  // namespace coxswain::scheduler
