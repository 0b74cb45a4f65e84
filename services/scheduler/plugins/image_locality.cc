#include <algorithm>

#include "services/scheduler/plugin.h"

namespace coxswain::scheduler {
namespace {

constexpr std::int64_t kMegabyte = 1024 * 1024;
constexpr std::int64_t kSmallest = 23 * kMegabyte;  // less makes no difference
constexpr std::int64_t kLargest_per_container = 1000 * kMegabyte;

// Bytes of the pod's images that the node has, each scaled by how widely the image is spread, so that
// one node with an image does not draw all pods.
std::int64_t score(const PodInfo& pod, const NodeInfo& node, const ScoreContext& context) {
  if (context.nodes == 0 || context.image_nodes == nullptr) return 0;
  std::int64_t sum = 0;
  for (const std::string& image : pod.images) {
    const auto size = node.images.find(image);
    const auto spread = context.image_nodes->find(image);
    if (size == node.images.end() || spread == context.image_nodes->end()) continue;
    sum += static_cast<std::int64_t>(static_cast<double>(size->second) * static_cast<double>(spread->second) /
                                     static_cast<double>(context.nodes));
  }
  const std::int64_t largest =
      kLargest_per_container * static_cast<std::int64_t>(std::max<std::size_t>(1, pod.images.size()));
  return 100 * (std::clamp(sum, kSmallest, largest) - kSmallest) / (largest - kSmallest);
}

}  // namespace

const Plugin& image_locality_plugin() {
  static const Plugin plugin{.name = "ImageLocality", .score = score};
  return plugin;
}

}  // namespace coxswain::scheduler
