// Measures the pure scheduling cycle: queue, decision, accounting; no api-server, no bind.
// Prints rows of a Markdown table. usage: scheduler_bench [NODES] [PODS]
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "libs/common/base/clock.h"
#include "services/scheduler/cycle.h"
#include "services/scheduler/queue.h"

namespace {

using namespace coxswain;
using namespace coxswain::scheduler;

constexpr double kGoal_per_s = 5'000;

NodeInfo make_node(int i) {
  NodeInfo node;
  node.name = "node-" + std::to_string(i);
  node.labels = {{"kubernetes.io/hostname", node.name},
                 {"kubernetes.io/os", "linux"},
                 {"topology.kubernetes.io/zone", "zone-" + std::to_string(i % 3)}};
  node.allocatable = {32'000, 64LL << 30, 100LL << 30, 110, {}};
  node.images = {{"registry.example.com/base:1", 300LL << 20}};
  if (i % 50 == 0) node.taints.push_back({"dedicated", "batch", "NoSchedule", std::nullopt});
  return node;
}

PodInfo make_pod(int i) {
  PodInfo pod;
  pod.ns = "bench";
  pod.name = "pod-" + std::to_string(i);
  pod.uid = "uid-" + std::to_string(i);
  pod.scheduler_name = "default-scheduler";
  pod.requests = {100 + i % 5 * 100, (128LL << 20) * (1 + i % 4), 0, 1, {}};
  pod.scoring_cpu_milli = pod.requests.cpu_milli;
  pod.scoring_memory_bytes = pod.requests.memory_bytes;
  pod.images = {"registry.example.com/base:1"};
  pod.node_selector = {{"kubernetes.io/os", "linux"}};
  return pod;
}

void report(const std::string& work, int done, double goal, std::chrono::steady_clock::time_point started) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  const double rate = done / seconds;
  const std::string against = goal <= 0 ? "- | " : std::to_string(static_cast<int>(goal)) + " | ";
  std::printf("| %s | %.0f pods/s | - | - | %s%s |\n", work.c_str(), rate, against.c_str(),
              goal <= 0      ? ""
              : rate >= goal ? "reached"
                             : "missed");
}

}  // namespace

int main(int argc, char** argv) {
  const int nodes = argc > 1 ? std::atoi(argv[1]) : 5'000;
  const int pods = argc > 2 ? std::atoi(argv[2]) : 30'000;
  Cluster cluster;
  Queue queue;
  for (int i = 0; i < nodes; ++i) cluster.set_node(make_node(i));
  for (int i = 0; i < pods; ++i) queue.set(make_pod(i), 1);
  auto random = seeded_random(1);
  std::size_t start = 0;
  int placed = 0;
  auto began = std::chrono::steady_clock::now();
  while (auto entry = queue.pop(1)) {
    const Decision decision = decide(entry->pod, cluster, start, random->next());
    start = (start + decision.nodes_seen) % decision.nodes_total;
    if (decision.node.empty()) continue;
    cluster.assume(entry->pod, decision.node);
    ++placed;
  }
  if (placed != pods) std::printf("only %d of %d pods were placed\n", placed, pods);
  const std::string title = "scheduling cycle, " + std::to_string(nodes) + " nodes";
  report(title + ", room everywhere", placed, kGoal_per_s, began);
  // The worst case: every node is looked at and refuses, and why is counted.
  const int refused = 2'000;
  PodInfo huge = make_pod(pods);
  huge.requests.cpu_milli = 31'999'999;
  began = std::chrono::steady_clock::now();
  std::size_t reasons = 0;
  for (int i = 0; i < refused; ++i) reasons += decide(huge, cluster, start, random->next()).reasons.size();
  if (reasons == 0) return 1;
  report(title + ", every node refuses and says why", refused, 0, began);
  return 0;
}
