#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "services/scheduler/cycle.h"
#include "services/scheduler/queue.h"

using namespace coxswain;
using namespace coxswain::scheduler;

namespace {

PodInfo pod(const std::string& name, const char* spec = "{}", const char* status = "{}") {
  const std::string text = R"({"metadata":{"namespace":"ns","name":")" + name + R"(","uid":"u-)" + name +
                           R"("},"spec":)" + spec + R"(,"status":)" + status + "}";
  const auto parsed = json::parse(text);
  INFO(text);
  REQUIRE(parsed.ok());
  api::core::v1::Pod object;
  api::from_json(*parsed, object);
  return pod_info(object);
}

NodeInfo node(const std::string& name, const char* extra = R"("spec":{})",
              const char* allocatable = R"({"cpu":"4","memory":"8Gi","pods":"110"})") {
  const std::string text = R"({"metadata":{"name":")" + name + R"(","labels":{"zone":"a","n":"5"}},)" +
                           extra + R"(,"status":{"allocatable":)" + allocatable + "}}";
  const auto parsed = json::parse(text);
  INFO(text);
  REQUIRE(parsed.ok());
  api::core::v1::Node object;
  api::from_json(*parsed, object);
  return node_info(object);
}

constexpr const char* kBig =
    R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"memory":"900Gi"}}}]})";

// What follows when no pod of lower priority could make room.
const std::string kHopeless =
    " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
const std::string kNoVictims =
    " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

// Where the pod goes; "a tie" when the start or the choice among equals makes a difference.
std::string choice(const PodInfo& wanted, const Cluster& cluster) {
  const std::string first = decide(wanted, cluster, 0, 0).node;
  for (std::size_t start = 0; start < cluster.nodes().size(); ++start) {
    for (std::uint64_t pick = 0; pick < cluster.nodes().size(); ++pick) {
      if (decide(wanted, cluster, start, pick).node != first) return "a tie";
    }
  }
  return first;
}

std::string asking_for(const char* cpu, const char* memory) {
  return std::string(R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":")") + cpu +
         R"(","memory":")" + memory + R"("}}}]})";
}

}  // namespace

TEST_CASE("one node, one pod: does it fit, and what is said") {
  struct Row {
    const char* why;
    const char* pod;
    const char* node;
    const char* message;  // "" fits
  };
  const Row rows[] = {
      {"empty fits", "{}", R"("spec":{})", ""},
      {"memory", kBig, R"("spec":{})", "0/1 nodes are available: 1 Insufficient memory."},
      {"cpu and memory",
       R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"memory":"900Gi","cpu":"5"}}}]})",
       R"("spec":{})", "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."},
      {"extended", R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"x.io/gpu":"1"}}}]})",
       R"("spec":{})", "0/1 nodes are available: 1 Insufficient x.io/gpu."},
      {"init container maximum",
       R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"1"}}}],
        "initContainers":[{"name":"i","image":"i","resources":{"requests":{"cpu":"5"}}}]})",
       R"("spec":{})", "0/1 nodes are available: 1 Insufficient cpu."},
      {"sidecar adds up", R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"2"}}}],
        "initContainers":[{"name":"i","image":"i","restartPolicy":"Always","resources":{"requests":{"cpu":"3"}}}]})",
       R"("spec":{})", "0/1 nodes are available: 1 Insufficient cpu."},
      {"cordoned", "{}", R"("spec":{"unschedulable":true})",
       "0/1 nodes are available: 1 node(s) were unschedulable."},
      {"taint", "{}", R"("spec":{"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})",
       "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}."},
      {"tolerated", R"({"tolerations":[{"key":"k","operator":"Exists"}]})",
       R"("spec":{"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})", ""},
      {"tolerated by value",
       R"({"tolerations":[{"key":"k","operator":"Equal","value":"v","effect":"NoSchedule"}]})",
       R"("spec":{"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})", ""},
      {"prefer is no ban", "{}", R"("spec":{"taints":[{"key":"k","value":"v","effect":"PreferNoSchedule"}]})",
       ""},
      {"selector", R"({"nodeSelector":{"zone":"b"}})", R"("spec":{})",
       "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
      {"affinity Gt",
       R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"n","operator":"Gt","values":["4"]}]}]}}}})",
       R"("spec":{})", ""},
      {"affinity NotIn",
       R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"zone","operator":"NotIn","values":["a"]}]}]}}}})",
       R"("spec":{})", "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
      {"affinity by name",
       R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchFields":[{"key":"metadata.name","operator":"In","values":["n1"]}]}]}}}})",
       R"("spec":{})", ""},
  };
  for (const Row& row : rows) {
    INFO(row.why);
    Cluster cluster;
    cluster.set_node(node("n1", row.node));
    const Decision decision = decide(pod("p", row.pod), cluster, 0, 0);
    if (*row.message == '\0')
      CHECK(decision.node == "n1");
    else
      CHECK(decision.message() == row.message + kHopeless);
  }
  CHECK(decide(pod("p"), Cluster(), 0, 0).message() == "no nodes available to schedule pods");
}

TEST_CASE("ports, pod counts and room freed again") {
  Cluster cluster;
  cluster.set_node(node("n1", R"("spec":{})", R"({"cpu":"4","memory":"8Gi","pods":"2"})"));
  const char* with_port =
      R"({"containers":[{"name":"c","image":"i","ports":[{"containerPort":80,"hostPort":80}]}]})";
  cluster.assume(pod("a", with_port), "n1");
  CHECK(decide(pod("b", with_port), cluster, 0, 0).message() ==
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports." +
            kNoVictims);
  cluster.assume(pod("c"), "n1");
  CHECK(decide(pod("d"), cluster, 0, 0).message() ==
        "0/1 nodes are available: 1 Too many pods." + kNoVictims);
  CHECK(cluster.remove_pod("ns/a") == kPodRemoved);
  CHECK(decide(pod("b", with_port), cluster, 0, 0).node == "n1");
  cluster.forget("ns/c");
  CHECK(cluster.node("n1")->requested.pods == 0);
}

TEST_CASE("several nodes, several reasons: counted, sorted as text, with the answer about preemption") {
  Cluster cluster;
  cluster.set_node(node("full", R"("spec":{})", R"({"cpu":"4","memory":"8Gi","pods":"1"})"));
  cluster.assume(pod("a"), "full");
  cluster.set_node(node("small", R"("spec":{})", R"({"cpu":"1","memory":"8Gi","pods":"9"})"));
  for (int i = 0; i < 10; ++i)
    cluster.set_node(
        node("t" + std::to_string(i), R"("spec":{"taints":[{"key":"k","effect":"NoExecute"}]})"));
  const char* two_cpus = R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"2"}}}]})";
  const std::string reasons =
      "0/12 nodes are available: 1 Insufficient cpu, 1 Too many pods, 10 node(s) had untolerated taint {k: "
      "}.";
  CHECK(decide(pod("b", two_cpus), cluster, 3, 0).message() ==
        reasons +
            " preemption: 0/12 nodes are available: 1 No preemption victims found for incoming pod, "
            "11 Preemption is not helpful for scheduling.");
  const char* never =
      R"({"preemptionPolicy":"Never","containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"2"}}}]})";
  CHECK(decide(pod("b", never), cluster, 3, 0).message() ==
        reasons + " preemption: not eligible due to preemptionPolicy=Never.");
}

TEST_CASE("a pod whose bind is under way is known, and counts once however often it is assumed") {
  Cluster cluster;
  cluster.set_node(node("n1"));
  cluster.set_node(node("n2"));
  CHECK_FALSE(cluster.is_assumed(pod("a")));
  cluster.assume(pod("a"), "n1");
  CHECK(cluster.is_assumed(pod("a")));
  PodInfo namesake = pod("a");
  namesake.uid = "another";
  CHECK_FALSE(cluster.is_assumed(namesake));
  cluster.assume(namesake, "n2");
  CHECK(cluster.node("n1")->requested.pods == 0);
  CHECK(cluster.node("n2")->requested.pods == 1);
  namesake.node_name = "n2";
  cluster.set_pod(namesake);
  CHECK_FALSE(cluster.is_assumed(namesake));
  CHECK(cluster.node("n2")->requested.pods == 1);
}

TEST_CASE("a pod that names its node fits that node only") {
  const PodInfo named = pod("p", R"({"nodeName":"n2"})");
  Cluster cluster;
  cluster.set_node(node("n1"));
  CHECK(decide(named, cluster, 0, 0).message() ==
        "0/1 nodes are available: 1 node(s) didn't match the requested node name." + kHopeless);
  cluster.set_node(node("n2"));
  cluster.set_node(node("n3"));
  CHECK(choice(named, cluster) == "n2");
}

TEST_CASE("among equals, the start and the choice decide") {
  Cluster cluster;
  cluster.set_node(node("n1"));
  cluster.set_node(node("n2"));
  CHECK(decide(pod("p"), cluster, 0, 0).node == "n1");
  CHECK(decide(pod("p"), cluster, 0, 1).node == "n2");
  CHECK(decide(pod("p"), cluster, 1, 0).node == "n2");
  CHECK(choice(pod("p"), cluster) == "a tie");
}

// Each node is used as evenly as the other, so that only LeastAllocated sees a difference.
TEST_CASE("scores prefer the emptier node") {
  Cluster cluster;
  cluster.set_node(node("n1"));
  cluster.set_node(node("n2"));
  cluster.assume(pod("a", asking_for("2", "4Gi").c_str()), "n1");
  cluster.assume(pod("b", asking_for("1", "2Gi").c_str()), "n2");
  CHECK(choice(pod("p"), cluster) == "n2");
  cluster.assume(pod("c", asking_for("2", "4Gi").c_str()), "n2");
  CHECK(choice(pod("p"), cluster) == "n1");
}

// Half of each node is free, so that only BalancedAllocation sees a difference.
TEST_CASE("scores prefer the node whose resources are used alike") {
  Cluster cluster;
  cluster.set_node(node("n1"));
  cluster.set_node(node("n2"));
  cluster.assume(pod("a", asking_for("1", "6Gi").c_str()), "n1");
  cluster.assume(pod("b", asking_for("2", "4Gi").c_str()), "n2");
  CHECK(choice(pod("p"), cluster) == "n2");
  cluster.assume(pod("b", asking_for("3500m", "1Gi").c_str()), "n2");
  CHECK(choice(pod("p"), cluster) == "n1");
}

TEST_CASE("scores prefer fewer soft taints") {
  Cluster soft;
  soft.set_node(node("n1", R"("spec":{"taints":[{"key":"k","value":"v","effect":"PreferNoSchedule"}]})"));
  soft.set_node(node("n2"));
  CHECK(choice(pod("b"), soft) == "n2");
  CHECK(choice(pod("b", R"({"tolerations":[{"key":"k","operator":"Exists"}]})"), soft) == "a tie");
}

TEST_CASE("scores prefer the node that the pod would rather have") {
  Cluster cluster;
  cluster.set_node(node("n1"));
  NodeInfo other = node("n2");
  other.labels["zone"] = "b";
  cluster.set_node(other);
  const auto prefers = [](const std::string& terms) {
    return pod("p", (R"({"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[)" +
                     terms + "]}}}")
                        .c_str());
  };
  const auto zone = [](const char* weight, const char* name) {
    return std::string(R"({"weight":)") + weight +
           R"(,"preference":{"matchExpressions":[{"key":"zone","operator":"In","values":[")" + name +
           R"("]}]}})";
  };
  CHECK(choice(prefers(zone("1", "a")), cluster) == "n1");
  CHECK(choice(prefers(zone("1", "b")), cluster) == "n2");
  CHECK(choice(prefers(zone("10", "a") + "," + zone("11", "b")), cluster) == "n2");
  CHECK(choice(prefers(zone("1", "c")), cluster) == "a tie");
  // More than a little room: a quarter of n2 in use makes 25 points, the wish 200.
  cluster.assume(pod("a", asking_for("1", "2Gi").c_str()), "n2");
  CHECK(choice(prefers(zone("1", "b")), cluster) == "n2");
}

TEST_CASE("scores prefer the node that has a large image already") {
  struct Row {
    const char* wanted;
    const char* image;
    const char* bytes;
    const char* choice;
  };
  const Row rows[] = {
      {"r.io/big:1", "r.io/big:1", "900000000", "n2"},
      {"r.io/big", "r.io/big:latest", "900000000", "n2"},
      {"r.io/big:1", "r.io/big:2", "900000000", "a tie"},
      {"r.io/big:1", "r.io/big:1", "44000000", "a tie"},  // too small to matter on one of two nodes
  };
  for (const Row& row : rows) {
    INFO(row.wanted << " " << row.image << " " << row.bytes);
    const std::string status =
        std::string(R"({"cpu":"4","memory":"8Gi","pods":"110"},"images":[{"names":[")") + row.image +
        R"("],"sizeBytes":)" + row.bytes + "}]";
    const std::string spec = std::string(R"({"containers":[{"name":"c","image":")") + row.wanted + R"("}]})";
    Cluster cluster;
    cluster.set_node(node("n1"));
    cluster.set_node(node("n2", R"("spec":{})", status.c_str()));
    CHECK(choice(pod("p", spec.c_str()), cluster) == row.choice);
  }
}

TEST_CASE("never overcommits, whatever the order (seeded)") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    auto random = seeded_random(seed);
    Cluster cluster;
    for (int i = 0; i < 10; ++i)
      cluster.set_node(
          node("n" + std::to_string(i), R"("spec":{})", R"({"cpu":"2","memory":"2Gi","pods":"8"})"));
    std::vector<std::string> placed;
    for (int step = 0; step < 300; ++step) {
      if (!placed.empty() && random->below(3) == 0) {
        const std::size_t at = random->below(placed.size());
        cluster.remove_pod(placed[at]);
        placed.erase(placed.begin() + static_cast<std::ptrdiff_t>(at));
        continue;
      }
      const std::string spec = R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":")" +
                               std::to_string(random->below(1500)) + R"(m","memory":")" +
                               std::to_string(random->below(1500)) + R"(Mi"}}}]})";
      const PodInfo p = pod("p" + std::to_string(step), spec.c_str());
      const Decision decision = decide(p, cluster, random->below(10), random->next());
      if (!decision.node.empty()) {
        cluster.assume(p, decision.node);
        placed.push_back(p.key());
      } else {
        // The naive oracle agrees: no node has the room.
        for (const NodeInfo* n : cluster.nodes()) {
          const bool room =
              n->requested.pods < n->allocatable.pods &&
              n->requested.cpu_milli + p.requests.cpu_milli <= n->allocatable.cpu_milli &&
              n->requested.memory_bytes + p.requests.memory_bytes <= n->allocatable.memory_bytes;
          INFO("seed " << seed << " step " << step);
          CHECK_FALSE(room);
        }
      }
      for (const NodeInfo* n : cluster.nodes()) {
        REQUIRE(n->requested.cpu_milli <= n->allocatable.cpu_milli);
        REQUIRE(n->requested.memory_bytes <= n->allocatable.memory_bytes);
        REQUIRE(n->requested.pods <= n->allocatable.pods);
      }
    }
    for (const std::string& key : placed) cluster.remove_pod(key);
    for (const NodeInfo* n : cluster.nodes())
      REQUIRE((n->requested.cpu_milli == 0 && n->requested.memory_bytes == 0 && n->requested.pods == 0));
  }
}

TEST_CASE("the queue: priority, back-off, hints, gates") {
  Queue queue;
  std::int64_t now = 1000;
  queue.set(pod("low", R"({"priority":1})"), now);
  queue.set(pod("high", R"({"priority":9})"), now + 1);
  queue.set(pod("gated", R"({"schedulingGates":[{"name":"g"}]})"), now);
  auto first = queue.pop(now);
  REQUIRE(first);
  CHECK(first->pod.name == "high");
  auto second = queue.pop(now);
  CHECK(second->pod.name == "low");
  CHECK_FALSE(queue.pop(now));

  queue.add_unschedulable(*first, kPodRemoved, now);
  queue.on_event(kNodeLabels, now + 2000);
  CHECK_FALSE(queue.pop(now + 2000));  // not what it waits for
  queue.on_event(kPodRemoved, now + 2000);
  CHECK(queue.pop(now + 2000)->pod.name == "high");  // at once: its back-off is over

  queue.add_backoff(*second, now);
  CHECK_FALSE(queue.pop(now + 999));
  CHECK(queue.next_due_ms(now) == now + 1000);
  CHECK(queue.pop(now + 1000)->pod.name == "low");

  queue.set(pod("gated"), now);  // the gate is gone
  auto gated = queue.pop(now);
  REQUIRE(gated);
  queue.on_event(kPodRemoved, now);  // while it is being tried
  queue.add_unschedulable(*gated, kPodRemoved, now);
  CHECK(queue.pop(now + 1000)->pod.name == "gated");
  CHECK(queue.size() == 0);
}

TEST_CASE("an unschedulable pod is tried again after five minutes in any case") {
  Queue queue;
  queue.set(pod("p"), 0);
  queue.add_unschedulable(*queue.pop(0), 0, 0);
  CHECK_FALSE(queue.pop(299'999));
  CHECK(queue.pop(300'000));
}
