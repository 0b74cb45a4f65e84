#include "services/kubelet/core/plan.h"
#include "services/kubelet/core/env.h"

#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/common/json/json.h"
#include "services/kubelet/core/status.h"

using namespace coxswain;
using namespace coxswain::kubelet;

namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

v1::Pod pod_from(const std::string& spec) {
  auto parsed = json::parse(R"({"metadata":{"name":"p","namespace":"d","uid":"u"},"spec":)" + spec + "}");
  REQUIRE(parsed.ok());
  v1::Pod pod;
  from_json(*parsed, pod);
  if (pod.spec.restartPolicy.empty()) pod.spec.restartPolicy = "Always";
  return pod;
}

// A runtime and worker in one: does what the plan says; containers end when the test says so.
struct World {
  v1::Pod pod;
  ObservedPod observed;
  PodMemory memory;
  std::int64_t now = kNow;
  int serial = 0;
  int started = 0;
  bool deleted = false;
  std::vector<std::string> order;

  explicit World(v1::Pod p) : pod(std::move(p)) { memory.first_seen_ms = now; }

  void restart_kubelet() {  // what is not in the runtime or the API is forgotten
    memory = {};
    memory.first_seen_ms = now;
  }
  Plan plan() const { return make_plan(pod, observed, memory, now); }
  ObservedContainer* by_id(const std::string& id) {
    for (auto* list : {&observed.containers, &observed.sandboxes}) {
      for (auto& c : *list) {
        if (c.id == id) return &c;
      }
    }
    return nullptr;
  }
  void exit(const std::string& name, int code) {
    auto* c = by_id(observed.latest(name)->id);
    c->state = RunState::kExited;
    c->exit_code = code;
    c->finished_ms = now;
  }
  void start(const Action& a) {
    if (auto* made = by_id(a.id)) {
      made->state = RunState::kRunning;
      made->started_ms = now;
      return;
    }
    for (const auto& c : observed.containers)
      REQUIRE_FALSE((c.name == a.container && c.attempt == a.attempt));
    for (const auto& c : observed.containers)
      REQUIRE_FALSE((c.name == a.container && c.state == RunState::kRunning));
    ObservedContainer c;
    c.id = "c" + std::to_string(serial++);
    c.name = a.container;
    c.attempt = a.attempt;
    c.backoff_ms = a.backoff_ms;
    c.sandbox_id = observed.sandbox()->id;
    c.spec_hash = container_hash(*find_container(pod, a.container));
    c.state = RunState::kRunning;
    c.created_ms = c.started_ms = now;
    observed.containers.push_back(c);
    memory.notes.erase(a.container);
    order.push_back(a.container);
    ++started;
  }
  void act(const Action& a) {
    switch (a.kind) {
      case ActionKind::kPrepareVolumes:
        memory.volumes_ready = true;
        break;
      case ActionKind::kCreateSandbox: {
        ObservedContainer s;
        s.id = "s" + std::to_string(serial++);
        s.sandbox = true;
        s.attempt = a.attempt;
        s.state = RunState::kRunning;
        s.ip = "10.0.0.1";
        observed.sandboxes.push_back(s);
        break;
      }
      case ActionKind::kEnsureImage:
        memory.notes[a.container].image = ImageStep::kPresent;
        break;
      case ActionKind::kStartContainer:
        start(a);
        break;
      case ActionKind::kBeginKill:
        memory.kills[a.id] = {KillStage::kTermSent, now, a.grace_ms, 0, true};
        break;
      case ActionKind::kSendTerm:
        memory.kills[a.id].stage = KillStage::kTermSent;
        break;
      case ActionKind::kSendKill: {
        auto* c = by_id(a.id);
        c->state = RunState::kExited;
        c->exit_code = 137;
        c->finished_ms = now;
        break;
      }
      case ActionKind::kStopSandbox:
        by_id(a.id)->state = RunState::kExited;
        break;
      case ActionKind::kRemoveContainer: {
        const auto same = [&](const auto& c) { return c.id == a.id; };
        std::erase_if(observed.containers, same);
        std::erase_if(observed.sandboxes, same);
        break;
      }
      case ActionKind::kTearDownVolumes:
        memory.volumes_ready = false;
        break;
      case ActionKind::kDeleteObject:
        memory.object_deleted = deleted = true;
        break;
    }
  }
  // Until nothing is left to do now. `crash_after` actions the kubelet dies and starts again.
  void settle(int crash_after = -1) {
    for (int turn = 0; turn < 100; ++turn) {
      const Plan p = plan();
      if (p.actions.empty()) return;
      for (const auto& a : p.actions) {
        if (crash_after-- == 0) {
          restart_kubelet();
          break;
        }
        act(a);
      }
    }
    FAIL("the plan does not converge");
  }
  v1::PodStatus status() const { return compute_status({pod, observed, memory, "192.0.2.1", now}); }
};

const char* kTwo = R"({"containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]})";

std::string condition(const v1::PodStatus& s, const std::string& type) {
  for (const auto& c : s.conditions) {
    if (c.type == type) return c.status;
  }
  return "";
}

}  // namespace

TEST_CASE("init containers run in order, a sidecar goes on, then the containers start") {
  World w(pod_from(
      R"({"initContainers":[{"name":"i1","image":"i"},{"name":"side","image":"i","restartPolicy":"Always"},
    {"name":"i2","image":"i"}],"containers":[{"name":"a","image":"i"}]})"));
  w.settle();
  CHECK(w.order == std::vector<std::string>{"i1"});
  CHECK(w.status().phase == "Pending");
  CHECK(w.status().containerStatuses[0].state.waiting->reason == "PodInitializing");
  CHECK(condition(w.status(), "Initialized") == "False");
  w.exit("i1", 0);
  w.settle();
  CHECK(w.order == std::vector<std::string>{"i1", "side", "i2"});
  w.exit("i2", 0);
  w.settle();
  CHECK(w.order == std::vector<std::string>{"i1", "side", "i2", "a"});
  CHECK(w.status().phase == "Running");
  CHECK(condition(w.status(), "Ready") == "True");
}

TEST_CASE("crashes: at once, then after 10 s doubling to 5 min, forgiven after 10 min of running") {
  World w(pod_from(R"({"containers":[{"name":"a","image":"i"}]})"));
  w.settle();
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 8; ++i) {
    w.now += 1000;
    w.exit("a", 1);
    const std::int64_t died = w.now;
    w.settle();
    if (w.observed.latest("a")->state == RunState::kExited) {
      CHECK(w.status().containerStatuses[0].state.waiting->reason == "CrashLoopBackOff");
      CHECK(w.status().phase == "Running");
      w.now = w.plan().wake_at_ms;
      w.settle();
    }
    waits.push_back((w.now - died) / 1000);
  }
  CHECK(waits == std::vector<std::int64_t>{0, 10, 20, 40, 80, 160, 300, 300});
  CHECK(w.status().containerStatuses[0].restartCount == 8);
  w.now += kBackoffResetMs;
  w.exit("a", 1);
  w.settle();
  CHECK(w.observed.latest("a")->attempt == 9);
  CHECK(w.observed.containers.size() == 2);  // the one that runs and the one before it
}

TEST_CASE("restart policies and phases") {
  struct Row {
    const char* policy;
    int code_a, code_b;
    const char* phase;
  };
  for (const Row& row :
       {Row{"Never", 0, 0, "Succeeded"}, Row{"Never", 0, 2, "Failed"}, Row{"OnFailure", 0, 0, "Succeeded"},
        Row{"OnFailure", 0, 1, "Running"}, Row{"Always", 0, 0, "Running"}}) {
    INFO(row.policy << " " << row.code_a << " " << row.code_b);
    World w(pod_from(kTwo));
    w.pod.spec.restartPolicy = row.policy;
    w.settle();
    w.exit("a", row.code_a);
    w.exit("b", row.code_b);
    w.settle();
    CHECK(w.status().phase == row.phase);
    if (std::string(row.phase) == "Succeeded") CHECK(w.observed.sandbox()->state == RunState::kExited);
  }
}

TEST_CASE("a deleted pod: SIGTERM, grace, SIGKILL, then nothing is left") {
  World w(pod_from(kTwo));
  w.settle();
  w.pod.metadata.deletionTimestamp = api::Time{w.now};
  w.pod.metadata.deletionGracePeriodSeconds = 30;
  w.settle();
  CHECK_FALSE(w.deleted);
  CHECK(w.plan().wake_at_ms == w.now + 30'000);
  w.exit("a", 0);
  w.settle();
  CHECK_FALSE(w.deleted);
  w.now += 30'000;
  w.settle();
  CHECK(w.deleted);
  CHECK(w.observed.containers.empty());
  CHECK(w.observed.sandboxes.empty());
}

TEST_CASE("a dead sandbox takes its containers along and all starts anew") {
  World w(pod_from(kTwo));
  w.settle();
  w.observed.sandboxes[0].state = RunState::kExited;
  w.settle();
  w.now += kMinimumGraceMs;
  w.settle();
  CHECK(w.observed.sandbox()->attempt == 1);
  CHECK(w.observed.latest("a")->attempt == 1);
  CHECK(w.observed.latest("a")->state == RunState::kRunning);
}

TEST_CASE("a kubelet that dies after any step converges without restarting what runs") {
  for (int step = 0; step < 20; ++step) {
    INFO("dies before action " << step);
    World w(pod_from(kTwo));
    w.settle(step);
    w.settle();
    CHECK(w.started == 2);
    CHECK(w.observed.sandboxes.size() == 1);
    CHECK(w.status().phase == "Running");
  }
}

TEST_CASE("random histories keep the invariants") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    auto random = seeded_random(seed);
    World w(pod_from(
        R"({"initContainers":[{"name":"i","image":"i"}],"containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]})"));
    for (int i = 0; i < 60; ++i) {
      switch (random->below(6)) {
        case 0:
          w.restart_kubelet();
          break;
        case 1:
        case 2:
          for (auto& c : w.observed.containers) {
            if (c.state != RunState::kRunning || random->below(2)) continue;
            c.state = RunState::kExited;
            c.exit_code = c.name == "i" ? 0 : static_cast<int>(random->below(2));
            c.finished_ms = w.now;
          }
          break;
        case 3:
          if (!w.observed.sandboxes.empty() && random->below(4) == 0)
            w.observed.sandboxes[0].state = RunState::kExited;
          break;
        default:
          w.now += static_cast<std::int64_t>(random->below(400'000));
          break;
      }
      w.settle(random->below(4) == 0 ? static_cast<int>(random->below(6)) : -1);
      (void)w.status();
    }
    // Left alone, it comes to rest with everything running.
    for (int i = 0; i < 20; ++i) {
      w.now += 400'000;
      if (const auto* init = w.observed.latest("i"); init && init->state == RunState::kRunning)
        w.exit("i", 0);
      w.settle();
    }
    CHECK(w.status().phase == "Running");
    CHECK(condition(w.status(), "Ready") == "True");
    w.pod.metadata.deletionTimestamp = api::Time{w.now};
    w.pod.metadata.deletionGracePeriodSeconds = 1;
    for (int i = 0; i < 5 && !w.deleted; ++i) {
      w.settle();
      w.now += 20'000;
    }
    CHECK(w.deleted);
  }
}

TEST_CASE("expansion, quantities and QoS") {
  const Environment env = {{"A", "1"}, {"B", "two"}};
  CHECK(expand("$(A)-$(B)-$(C)-$$(A)-$A-$", env) == "1-two-$(C)-$(A)-$A-$");
  CHECK(quantity_milli("250m") == 250);
  CHECK(quantity_milli("1Ki") == 1024000);
  CHECK(quantity_milli("0.5") == 500);
  CHECK(quantity_milli("0.0005") == 1);  // rounded up
  CHECK(quantity_milli("1e3") == 1'000'000);
  for (const char* bad : {"", "1x", "0x10", "nan", "inf", " 1", "1 ", "--1", "m"}) {
    INFO(bad);
    CHECK_FALSE(quantity_milli(bad).has_value());
  }
  CHECK(qos_class(pod_from(kTwo)) == "BestEffort");
  CHECK(qos_class(
            pod_from(R"({"containers":[{"name":"a","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]})")) ==
        "Guaranteed");
  CHECK(qos_class(pod_from(R"({"containers":[{"name":"a","resources":{"requests":{"cpu":"1"}}}]})")) ==
        "Burstable");
}
