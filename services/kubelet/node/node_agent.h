// The Node object and its Lease: registers, reports, keeps beating; sets up the pod network when the
// node has a podCIDR.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "libs/client/api_client.h"
#include "services/kubelet/node/machine.h"
#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

struct NodeAgentOptions {
  std::string node_name;
  std::string node_ip;
  std::string root_dir;
  std::string cluster_cidr;
  int port = 10250;
  int max_pods = 110;
  std::int64_t lease_seconds = 40;
  std::int64_t heartbeat_ms = 10'000;
  std::int64_t full_report_ms = 300'000;
};

class NodeAgent {
 public:
  using OnNetwork = std::function<void(bool ready, const std::string& why_not)>;
  // `runtime_ok` says whether the pod side reaches the runtime.
  NodeAgent(client::ApiClient& client, Runtime& runtime, NodeAgentOptions options,
            std::function<bool()> runtime_ok, OnNetwork on_network);
  ~NodeAgent() { stop(); }
  void start();
  void stop();

  // Pure: the status to report.
  static v1::NodeStatus make_status(const NodeAgentOptions& options, const Machine& machine,
                                    const RuntimeInfo* runtime, const std::string& not_ready,
                                    const std::vector<ImageInfo>& images, const v1::NodeStatus& old,
                                    std::int64_t now_ms);

 private:
  void loop(std::stop_token stop);
  void lease_loop(std::stop_token stop);
  bool ensure_registered();
  void report();
  void beat();
  void set_up_network(const std::string& pod_cidr);

  client::ApiClient& client_;
  Runtime& runtime_;
  const NodeAgentOptions options_;
  const std::function<bool()> runtime_ok_;
  const OnNetwork on_network_;
  // Node thread only.
  bool registered_ = false;
  bool network_ready_ = false;
  std::string network_problem_ = "the node has no podCIDR yet";
  std::string reported_;  // last status without heartbeat times
  std::int64_t reported_ms_ = 0;
  bool complained_ = false;
  // Lease thread only.
  std::string node_uid_;
  std::jthread thread_;
  std::jthread lease_thread_;
};

}  // namespace coxswain::kubelet
