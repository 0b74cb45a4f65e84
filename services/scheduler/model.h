// What scheduling looks at, boiled down from Pods and Nodes once, so that a cycle only compares
// numbers. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/types/core_v1.h"

namespace coxswain::scheduler {

struct Resources {
  std::int64_t cpu_milli = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t ephemeral_bytes = 0;
  std::int64_t pods = 0;
  std::map<std::string, std::int64_t> extended;  // "example.com/gpu"; hugepages too

  void add(const Resources& other);
  void sub(const Resources& other);
};

struct HostPort {
  std::string ip;  // "0.0.0.0" when any
  std::string protocol;
  std::int32_t port = 0;
  bool conflicts_with(const HostPort& other) const;
};

struct PodInfo {
  std::string ns, name, uid;
  std::string node_name;  // "" until bound
  std::string scheduler_name;
  std::int32_t priority = 0;
  std::int64_t created_unix_ms = 0;
  Resources requests;                  // with pods = 1
  std::int64_t scoring_cpu_milli = 0;  // with upstream's defaults for containers that ask for nothing
  std::int64_t scoring_memory_bytes = 0;
  std::vector<HostPort> host_ports;
  std::vector<api::core::v1::Toleration> tolerations;
  std::map<std::string, std::string> node_selector;
  std::optional<api::core::v1::NodeAffinity> node_affinity;
  std::vector<std::string> images;
  bool gated = false;           // spec.schedulingGates is not empty
  bool never_preempts = false;  // preemptionPolicy: Never
  bool deleting = false;
  bool finished = false;  // Succeeded or Failed: takes no room

  std::string key() const { return ns + "/" + name; }
};

struct NodeInfo {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<api::core::v1::Taint> taints;
  bool unschedulable = false;
  Resources allocatable;
  std::map<std::string, std::int64_t> images;  // name -> bytes
  // Sums over the pods on it.
  Resources requested;
  std::int64_t scoring_cpu_milli = 0;
  std::int64_t scoring_memory_bytes = 0;
  std::vector<HostPort> host_ports;
};

PodInfo pod_info(const api::core::v1::Pod& pod);
// Without the pods on it.
NodeInfo node_info(const api::core::v1::Node& node);
// KEP-753: the larger of what runs at once later (containers and sidecars) and what any init container
// needs while the sidecars before it run; plus overhead.
Resources pod_requests(const api::core::v1::PodSpec& spec);

}  // namespace coxswain::scheduler
