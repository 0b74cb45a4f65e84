// The cluster as the scheduler sees it, kept up to date piece by piece: a change costs the size of the
// change. Pods that are being bound count as if they were there already (assumed). Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "services/scheduler/model.h"

namespace coxswain::scheduler {

class Cluster {
 public:
  // Each answers which ClusterEvents it was, 0 when nothing that matters changed.
  unsigned set_node(NodeInfo node);
  void remove_node(const std::string& name);
  unsigned set_pod(const PodInfo& pod);  // one that has a node
  unsigned remove_pod(const std::string& key);

  void assume(const PodInfo& pod, const std::string& node);
  void forget(const std::string& key);  // the bind failed
  // Its bind is under way: to try it again would place it twice.
  bool is_assumed(const PodInfo& pod) const;

  const std::vector<const NodeInfo*>& nodes() const { return order_; }
  const NodeInfo* node(const std::string& name) const;
  const std::map<std::string, std::int64_t>& image_nodes() const { return image_nodes_; }

 private:
  struct Placed {
    PodInfo pod;
    bool assumed = false;
  };
  void account(const PodInfo& pod, int sign);
  void count_images(const NodeInfo& node, int sign);

  std::map<std::string, std::unique_ptr<NodeInfo>> nodes_;
  std::vector<const NodeInfo*> order_;
  std::unordered_map<std::string, Placed> pods_;  // also on nodes that are not known (yet)
  std::map<std::string, std::int64_t> image_nodes_;
};

}  // namespace coxswain::scheduler
