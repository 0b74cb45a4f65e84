// The small planners, data-driven.
#include <catch2/catch.hpp>

#include <algorithm>

#include "libs/client/codec.h"
#include "libs/common/json/json.h"
#include "services/controller-manager/context.h"
#include "services/controller-manager/deployment_plan.h"
#include "services/controller-manager/expectations.h"
#include "services/controller-manager/node_ipam.h"
#include "services/controller-manager/node_lifecycle_plan.h"
#include "services/controller-manager/pod_gc.h"
#include "services/controller-manager/replicaset_plan.h"

namespace coxswain::controllers {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

TEST_CASE("pod view keeps what controllers read") {
  const auto value = json::parse(R"({"metadata":{"namespace":"a","name":"p","uid":"u","labels":{"x":"y"},
    "deletionTimestamp":"2026-01-01T00:00:00Z","annotations":{"controller.kubernetes.io/pod-deletion-cost":"-5"},
    "ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"o","controller":true}]},
    "spec":{"nodeName":"n","containers":[{"ports":[{"name":"web","containerPort":80},{"containerPort":9}]}]},
    "status":{"phase":"Running","podIP":"10.0.0.1","conditions":[{"type":"Ready","status":"True",
    "lastTransitionTime":"2026-01-01T00:00:00Z"}],"containerStatuses":[{"restartCount":2},{"restartCount":7}]}})");
  REQUIRE(value.ok());
  const auto pod = client::decode<PodView>(*value);
  CHECK(pod.metadata.deleting);
  CHECK(pod.deletion_cost == -5);
  CHECK(pod.named_ports.size() == 1);
  CHECK(pod.ips == std::vector<std::string>{"10.0.0.1"});
  CHECK(pod.ready);
  CHECK(pod.restarts == 7);
  CHECK_FALSE(pod.active());
  CHECK(client::controller_of(pod.metadata.ownerReferences)->uid == "o");
}

TEST_CASE("the more expendable pod goes first") {
  struct Row {
    const char* what;
    void (*first)(PodView&);
    void (*second)(PodView&);
  };
  const auto nothing = [](PodView&) {};
  const Row rows[] = {
      {"unassigned", [](PodView& p) { p.node.clear(); }, nothing},
      {"pending", [](PodView& p) { p.phase = "Pending"; }, nothing},
      {"not ready", [](PodView& p) { p.ready = false; }, nothing},
      {"cheaper", [](PodView& p) { p.deletion_cost = -1; }, nothing},
      {"doubled up", [](PodView& p) { p.node = "crowded"; }, nothing},
      {"ready for less long", [](PodView& p) { p.ready_since_ms = kNow - 1000; }, nothing},
      {"restarted more", [](PodView& p) { p.restarts = 3; }, nothing},
      {"younger", [](PodView& p) { p.metadata.created_ms = kNow - 1000; }, nothing},
      {"not ready beats restarts", [](PodView& p) { p.ready = false; }, [](PodView& p) { p.restarts = 9; }},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    PodView base;
    base.node = "n";
    base.phase = "Running";
    base.ready = true;
    base.ready_since_ms = base.metadata.created_ms = kNow - 1'000'000;
    PodView a = base, b = base;
    a.metadata.uid = "z";  // the tie-break would prefer b
    b.metadata.uid = "a";
    row.first(a);
    row.second(b);
    CHECK(more_expendable(a, b, {{"crowded", 3}, {"n", 1}}, kNow));
    CHECK_FALSE(more_expendable(b, a, {{"crowded", 3}, {"n", 1}}, kNow));
  }
}

TEST_CASE("replicaset waits for minReadySeconds and leaves a deleted set alone") {
  ReplicaSet set;
  set.spec.replicas = 3;
  set.spec.minReadySeconds = 10;
  auto pod = std::make_shared<PodView>();
  pod->phase = "Running";
  pod->ready = true;
  pod->ready_since_ms = kNow - 4000;
  auto finished = std::make_shared<PodView>();
  finished->phase = "Failed";
  auto plan = plan_replicaset(set, {pod, finished}, {}, kNow);
  CHECK(plan.create == 2);
  CHECK(plan.status.readyReplicas == 1);
  CHECK(plan.status.availableReplicas == 0);
  CHECK(plan.recheck_ms == 6000);
  set.metadata.deletionTimestamp = api::Time{kNow};
  CHECK(plan_replicaset(set, {pod}, {}, kNow).create == 0);
}

TEST_CASE("claims: adopt matching orphans, release what no longer matches") {
  api::meta::v1::LabelSelector selector;
  selector.matchLabels = {{"a", "b"}};
  const client::Labels yes{{"a", "b"}}, no{{"a", "c"}};
  const std::vector<api::meta::v1::OwnerReference> none, mine{{"", "", "", "me", true, true}},
      other{{"", "", "", "x", true, true}};
  const std::vector<Claimable> objects{{&mine, &yes, false}, {&mine, &no, false},   {&none, &yes, false},
                                       {&none, &no, false},  {&other, &yes, false}, {&none, &yes, true}};
  const auto claim = plan_claim("me", false, selector, objects);
  CHECK(claim.owned == std::vector<std::size_t>{0});
  CHECK(claim.release == std::vector<std::size_t>{1});
  CHECK(claim.adopt == std::vector<std::size_t>{2});
  CHECK(plan_claim("me", true, selector, objects).adopt.empty());
  CHECK(plan_claim("me", false, {}, objects).adopt.empty());
}

Deployment deployment(int replicas) {
  Deployment d;
  d.metadata.name = "d";
  d.metadata.uid = "du";
  d.metadata.generation = 1;
  d.spec.replicas = replicas;
  d.spec.selector.emplace().matchLabels = {{"a", "b"}};
  d.spec.template_.metadata.labels = {{"a", "b"}};
  d.spec.template_.spec.containers.resize(1);
  d.spec.template_.spec.containers[0].image = "new";
  return d;
}
ReplicaSet set_of(const Deployment& d, const std::string& name, const std::string& image, int size,
                  int available) {
  ReplicaSet set;
  set.metadata.name = name;
  set.metadata.creationTimestamp = {kNow - (image == "new" ? 1000 : 5000)};
  set.metadata.annotations[std::string(kRevisionAnnotation)] = image == "new" ? "2" : "1";
  set.metadata.annotations[std::string(kDesiredAnnotation)] = std::to_string(*d.spec.replicas);
  set.metadata.annotations[std::string(kMaxAnnotation)] =
      std::to_string(*d.spec.replicas + rolling_limits(d).surge);
  set.spec.replicas = size;
  set.spec.template_ = d.spec.template_;
  set.spec.template_.metadata.labels[std::string(kHashLabel)] = name;
  set.spec.template_.spec.containers[0].image = image;
  set.status.replicas = size;
  set.status.readyReplicas = set.status.availableReplicas = available;
  return set;
}
const api::apps::v1::DeploymentCondition* progressing(const DeploymentPlan& plan) {
  for (const auto& c : plan.status.conditions) {
    if (c.type == "Progressing") return &c;
  }
  return nullptr;
}

TEST_CASE("rolling limits: surge rounds up, unavailable down, never both zero") {
  Deployment d = deployment(10);
  CHECK(rolling_limits(d).surge == 3);
  CHECK(rolling_limits(d).unavailable == 2);
  d.spec.strategy.rollingUpdate.emplace();
  d.spec.strategy.rollingUpdate->maxSurge = api::IntOrString::of(0);
  d.spec.strategy.rollingUpdate->maxUnavailable = api::IntOrString::of(std::string("1%"));
  CHECK(rolling_limits(d).unavailable == 1);
}

TEST_CASE("deployment: first rollout, recreate, pause, deadline, history, proportional scaling") {
  Deployment d = deployment(3);
  auto plan = plan_deployment(d, {}, false, kNow);
  REQUIRE(plan.create);
  CHECK(*plan.create->spec.replicas == 3);
  CHECK(plan.revision == "1");
  CHECK(progressing(plan)->reason == "NewReplicaSetCreated");
  const auto hash = plan.create->metadata.labels.at(std::string(kHashLabel));
  CHECK(plan.create->metadata.name == "d-" + hash);
  CHECK(plan.create->spec.selector->matchLabels.at(std::string(kHashLabel)) == hash);
  CHECK(template_hash(d.spec.template_, 1) != hash);

  SECTION("Recreate: old pods go first, and the new set waits for the last") {
    d.spec.strategy.type = "Recreate";
    plan = plan_deployment(d, {set_of(d, "old", "old", 3, 3)}, true, kNow);
    REQUIRE(plan.changes.size() == 1);
    CHECK(plan.changes[0].replicas == 0);
    CHECK_FALSE(plan.create);
    CHECK_FALSE(plan_deployment(d, {set_of(d, "old", "old", 0, 0)}, true, kNow).create);
    CHECK(*plan_deployment(d, {set_of(d, "old", "old", 0, 0)}, false, kNow).create->spec.replicas == 3);
  }
  SECTION("paused: no rollout, but a new size is applied") {
    d.spec.paused = true;
    auto old = set_of(d, "old", "old", 3, 3);
    plan = plan_deployment(d, {old}, false, kNow);
    CHECK_FALSE(plan.create);
    CHECK(plan.changes.empty());
    CHECK(progressing(plan)->reason == "DeploymentPaused");
    d.spec.replicas = 5;
    plan = plan_deployment(d, {old}, false, kNow);
    REQUIRE(plan.changes.size() == 1);
    CHECK(plan.changes[0].replicas == 5);
  }
  SECTION("the progress deadline strikes once, and says so") {
    d.spec.progressDeadlineSeconds = 60;
    auto fresh = set_of(d, "new", "new", 3, 0);
    d.status = plan_deployment(d, {fresh}, false, kNow).status;
    plan = plan_deployment(d, {fresh}, false, kNow + 30'000);
    CHECK(progressing(plan)->status == "True");
    CHECK(plan.recheck_ms == 31'000);
    plan = plan_deployment(d, {fresh}, false, kNow + 60'000);
    CHECK(progressing(plan)->status == "False");
    CHECK(progressing(plan)->reason == "ProgressDeadlineExceeded");
    d.status = plan.status;
    fresh.status.availableReplicas = fresh.status.readyReplicas = 3;
    CHECK(progressing(plan_deployment(d, {fresh}, false, kNow + 90'000))->reason == "NewReplicaSetAvailable");
  }
  SECTION("history: the oldest empty sets beyond the limit go") {
    d.spec.revisionHistoryLimit = 1;
    auto a = set_of(d, "a", "a", 0, 0), b = set_of(d, "b", "b", 0, 0);
    b.metadata.annotations[std::string(kRevisionAnnotation)] = "2";
    auto fresh = set_of(d, "new", "new", 3, 3);
    fresh.metadata.annotations[std::string(kRevisionAnnotation)] = "3";
    CHECK(plan_deployment(d, {b, a, fresh}, false, kNow).remove == std::vector<std::string>{"a"});
  }
  SECTION("a new size in the middle of a rollout is shared out") {
    d = deployment(10);
    auto old = set_of(d, "old", "old", 8, 8), fresh = set_of(d, "new", "new", 5, 1);
    d.spec.replicas = 20;
    plan = plan_deployment(d, {old, fresh}, false, kNow);
    int total = 0;
    for (const auto& change : plan.changes) {
      total += change.replicas;
      CHECK(change.replicas > change.from);
    }
    CHECK(plan.changes.size() == 2);
    CHECK(total == 25);
  }
}

TEST_CASE("expectations hold until seen, and lapse") {
  Expectations expectations;
  expectations.expect_creations("k", 2, 0);
  expectations.expect_deletion("k", "u", 0);
  expectations.creation_observed("k");
  CHECK_FALSE(expectations.satisfied("k", 1));
  expectations.creation_observed("k");
  expectations.creation_observed("k");  // one too many does not count for later
  CHECK_FALSE(expectations.satisfied("k", 1));
  expectations.deletion_observed("k", "u");
  CHECK(expectations.satisfied("k", 1));
  expectations.expect_creations("k", 1, 10);
  CHECK_FALSE(expectations.satisfied("k", 300'000));
  CHECK(expectations.satisfied("k", 300'011));
}

TEST_CASE("pod ranges") {
  CHECK(*free_pod_cidr("10.244.0.0/16", 24, {}) == "10.244.0.0/24");
  CHECK(*free_pod_cidr("10.244.7.9/16", 24, {"10.244.0.0/24", "10.244.2.0/24"}) == "10.244.1.0/24");
  CHECK(free_pod_cidr("10.0.0.0/30", 30, {"10.0.0.0/30"}).error().code == ErrorCode::kResourceExhausted);
  for (const char* bad : {"", "10.0.0.0", "10.0.0.0/33", "10.0.0/16", "fd00::/64", "10.0.0.0/x"}) {
    CHECK(free_pod_cidr(bad, 24, {}).error().code == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("a silent node becomes unknown and tainted, and recovers") {
  Node node;
  node.status.conditions.push_back({"Ready", "True", {kNow}, {kNow}, "KubeletReady", ""});
  NodeHeartbeat heartbeat;
  auto plan = plan_node(node, "1", heartbeat, 50'000, 1000, kNow);
  CHECK(plan.conditions.empty());
  CHECK_FALSE(plan.taints);
  CHECK(plan.recheck_ms == 50'000);
  CHECK(plan_node(node, "2", heartbeat, 50'000, 30'000, kNow).recheck_ms == 50'000);
  CHECK(plan_node(node, "2", heartbeat, 50'000, 79'999, kNow).conditions.empty());
  plan = plan_node(node, "2", heartbeat, 50'000, 80'000, kNow);
  REQUIRE(plan.conditions.size() == 4);
  CHECK(plan.conditions[0].reason == "NodeStatusUnknown");
  CHECK(plan.mark_pods_not_ready);
  REQUIRE(plan.taints);
  REQUIRE(plan.taints->size() == 2);
  CHECK(plan.taints->at(0).key == "node.kubernetes.io/unreachable");
  node.spec.taints = *plan.taints;
  node.spec.taints.push_back({"mine", "", "NoSchedule", std::nullopt});
  node.status.conditions = {{"Ready", "False", {}, {}, "", ""}, {"MemoryPressure", "True", {}, {}, "", ""}};
  plan = plan_node(node, "3", heartbeat, 50'000, 90'000, kNow);
  std::vector<std::string> taints;
  for (const auto& taint : *plan.taints) taints.push_back(taint.key + ":" + taint.effect);
  CHECK(taints == std::vector<std::string>{"mine:NoSchedule", "node.kubernetes.io/not-ready:NoSchedule",
                                           "node.kubernetes.io/not-ready:NoExecute",
                                           "node.kubernetes.io/memory-pressure:NoSchedule"});
  node.spec.taints = {{"node.kubernetes.io/not-ready", "", "NoSchedule", std::nullopt}};
  node.status.conditions = {{"Ready", "True", {}, {}, "", ""}};
  plan = plan_node(node, "4", heartbeat, 50'000, 95'000, kNow);
  REQUIRE(plan.taints);
  CHECK(plan.taints->empty());
}

TEST_CASE("by default a node may be silent for 50 s: at 49 s it is healthy, at 51 s it is lost") {
  const Settings defaults;
  REQUIRE(defaults.node_monitor_grace_ms == 50'000);
  // Lost nodes are found in time, with room for several looks.
  CHECK(defaults.node_monitor_period_ms == 5'000);
  struct Row {
    std::int64_t silent_ms;
    bool lost;
  };
  for (const Row& row : {Row{49'000, false}, Row{49'999, false}, Row{50'000, true}, Row{51'000, true}}) {
    INFO(row.silent_ms);
    Node node;
    node.status.conditions.push_back({"Ready", "True", {kNow}, {kNow}, "KubeletReady", ""});
    NodeHeartbeat heartbeat;
    const std::int64_t began_ms = 7'000;
    const auto look = [&](std::int64_t ms) {
      return plan_node(node, "same", heartbeat, defaults.node_monitor_grace_ms, began_ms + ms, kNow + ms);
    };
    look(0);
    const NodePlan plan = look(row.silent_ms);
    CHECK(plan.mark_pods_not_ready == row.lost);
    CHECK(plan.taints.has_value() == row.lost);
    REQUIRE(plan.conditions.empty() != row.lost);
    if (row.lost) CHECK(plan.conditions[0].status == "Unknown");
    // Not lost yet: the next look is at the very moment that decides.
    if (!row.lost) CHECK(plan.recheck_ms == 50'000 - row.silent_ms);
  }
}

TEST_CASE("evictions follow tolerations") {
  using T = api::core::v1::Toleration;
  const Taint unreachable{"node.kubernetes.io/unreachable", "", "NoExecute", api::Time{kNow - 10'000}};
  const T seconds300{unreachable.key, "Exists", "", "NoExecute", 300};
  const T forever{"", "Exists", "", "", std::nullopt};
  struct Row {
    std::vector<Taint> taints;
    std::vector<T> tolerations;
    std::optional<std::int64_t> due;
  };
  const std::vector<Row> rows = {
      {{}, {}, std::nullopt},
      {{{"x", "", "NoSchedule", std::nullopt}}, {}, std::nullopt},
      {{unreachable}, {}, kNow},
      {{unreachable}, {seconds300}, kNow + 290'000},
      {{unreachable}, {forever}, std::nullopt},
      {{unreachable}, {forever, seconds300}, kNow + 290'000},
      {{unreachable, {"other", "v", "NoExecute", std::nullopt}}, {seconds300}, kNow},
      {{{"other", "v", "NoExecute", std::nullopt}},
       {{"other", "Equal", "v", "", std::nullopt}},
       std::nullopt},
      {{{"other", "v", "NoExecute", std::nullopt}}, {{"other", "Equal", "w", "", std::nullopt}}, kNow},
  };
  for (const auto& row : rows) CHECK(eviction_unix_ms(row.taints, row.tolerations, kNow) == row.due);
}

TEST_CASE("pod garbage: vanished nodes after a quarantine, unscheduled deletions, too many finished") {
  const auto pod = [](const char* name, const char* node, const char* phase, bool deleting,
                      std::int64_t created) {
    auto p = std::make_shared<PodView>();
    p->metadata.name = name;
    p->node = node;
    p->phase = phase;
    p->metadata.deleting = deleting;
    p->metadata.created_ms = created;
    return PodPointer(p);
  };
  PodGcInput input;
  input.nodes = {"n", "out"};
  input.out_of_service = {"out"};
  input.terminated_threshold = 1;
  input.pods = {pod("lost", "gone", "Running", false, 1),    pod("unscheduled", "", "Pending", true, 1),
                pod("stuck", "out", "Running", true, 1),     pod("fine", "n", "Running", true, 1),
                pod("done-new", "n", "Succeeded", false, 9), pod("done-old", "n", "Failed", false, 2)};
  auto plan = plan_pod_gc(input);
  std::vector<std::string> names;
  for (const auto& p : plan.remove) names.push_back(p->metadata.name);
  CHECK(names == std::vector<std::string>{"unscheduled", "stuck", "done-old"});
  CHECK(plan.orphaned.empty());
  input.missing_since_ms = plan.missing_since_ms;
  input.now_ms = 40'000;
  CHECK(plan_pod_gc(input).orphaned.size() == 1);
}

}  // namespace
}  // namespace coxswain::controllers
