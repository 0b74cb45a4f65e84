// Pod workers over the recording fake: order, back-off, deletion, adoption, and a runtime that fails at every
// call. Time is a clock that the test moves; a pod is looked at again by handing it in again.
#include "services/kubelet/pods/pod_manager.h"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "libs/common/json/json.h"
#include "services/kubelet/pods/fake_cluster.h"
#include "services/kubelet/pods/hook_listener.h"
#include "services/kubelet/runtime/fake_runtime.h"

using namespace coxswain;
using namespace coxswain::kubelet;

namespace {

constexpr const char* kServe =
    R"("image":"app:1","command":["sh","-c","trap 'exit 0' TERM; while true; do sleep 1; done"])";
constexpr const char* kStubborn = R"("image":"app:1","command":["sleep","1000"])";

std::string container(const std::string& name, const std::string& rest) {
  return R"({"name":")" + name + "\"," + rest + "}";
}

std::shared_ptr<v1::Pod> pod_from(const std::string& spec) {
  auto parsed =
      json::parse(R"({"metadata":{"name":"web","namespace":"default","uid":"uid-1"},"spec":)" + spec + "}");
  REQUIRE(parsed.ok());
  auto pod = std::make_shared<v1::Pod>();
  from_json(*parsed, *pod);
  if (pod->spec.restartPolicy.empty()) pod->spec.restartPolicy = "Always";
  pod->spec.hostNetwork = true;  // no bridge in a unit test
  return pod;
}

// Asks the test what has happened so far whenever a container is about to get a signal.
struct WatchedRuntime : FakeRuntime {
  using FakeRuntime::FakeRuntime;
  Result<void> signal(const std::string& id, const std::string& sig) override {
    if (before_signal) before_signal();
    return FakeRuntime::signal(id, sig);
  }
  std::function<void()> before_signal;
};

struct Node {
  Node() {
    static int serial = 0;
    root = std::filesystem::temp_directory_path() /
           ("coxswain-pods-" + std::to_string(::getpid()) + "-" + std::to_string(serial++));
    std::filesystem::create_directories(root);
    volumes = std::make_unique<VolumeManager>(root.string());
    runtime.add_image("app:1");
  }
  ~Node() {
    manager.reset();
    std::filesystem::remove_all(root);
  }
  void boot() {
    PodManagerOptions options;
    options.node_name = "test";
    options.host_ip = "127.0.0.1";
    options.workers = 2;
    options.probe_threads = 1;
    options.relist_ms = 50;
    options.clock = &clock;
    manager = std::make_unique<PodManager>(runtime, cluster, *volumes, options);
    manager->set_network_ready(true, "");
    if (pod) {
      auto known = std::make_shared<v1::Pod>(*pod);
      known->status = cluster.status("uid-1");
      manager->set_pod(known);
    }
    REQUIRE(manager->start().ok());
  }
  void run(std::shared_ptr<v1::Pod> wanted) {
    pod = std::move(wanted);
    if (manager) {
      manager->set_pod(pod);
    } else {
      boot();
    }
  }
  void remove_pod(std::int64_t grace_s) {
    auto going = std::make_shared<v1::Pod>(*pod);
    going->metadata.deletionTimestamp = api::Time{clock.unix_ms()};
    going->metadata.deletionGracePeriodSeconds = grace_s;
    run(going);
  }
  // `step_ms`: how far the clock goes at each look.
  bool eventually(const std::function<bool()>& done, std::int64_t step_ms = 0) {
    for (int i = 0; i < 10'000; ++i) {
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (step_ms > 0) clock.advance_ms(step_ms);
    }
    UNSCOPED_INFO(cluster.all_events() << json::write(to_json(cluster.status("uid-1"))));
    return false;
  }
  // Long enough that the workers would have acted (a relist passes).
  void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(150)); }
  bool ready() {
    for (const auto& c : cluster.status("uid-1").conditions) {
      if (c.type == "Ready") return c.status == "True";
    }
    return false;
  }
  v1::ContainerStatus status(std::size_t i = 0) {
    const auto s = cluster.status("uid-1");
    return i < s.containerStatuses.size() ? s.containerStatuses[i] : v1::ContainerStatus();
  }
  std::string waiting() {
    const auto s = status();
    return s.state.waiting ? s.state.waiting->reason : "";
  }
  std::size_t running(const std::string& name) {
    std::size_t n = 0;
    auto all = runtime.list();
    if (!all.ok()) all = runtime.list();  // a failure that the test asked for may hit us
    if (!all.ok()) return 99;
    for (const auto& c : *all) n += c.name == name && !c.sandbox && c.state == RunState::kRunning;
    return n;
  }

  std::filesystem::path root;
  SharedManualClock clock;
  WatchedRuntime runtime{clock};
  FakeCluster cluster;
  std::unique_ptr<VolumeManager> volumes;
  std::shared_ptr<v1::Pod> pod;
  std::unique_ptr<PodManager> manager;
};

std::string simple() { return R"({"containers":[)" + container("c", kServe) + "]}"; }

std::string full() {
  return R"({"initContainers":[)" + container("one", R"("image":"app:1","command":["true"])") + "," +
         container("side", kServe + std::string(R"(,"restartPolicy":"Always")")) + "," +
         container("two", R"("image":"app:1","command":["true"])") + R"(],"containers":[)" +
         container("a", kServe) + "," + container("b", kServe) + "]}";
}

std::string pre_stop(const std::string& kind, const std::string& hook) {
  return R"(,"lifecycle":{"preStop":{")" + kind + "\":" + hook + "}}";
}

std::string post_start(const std::string& kind, const std::string& hook) {
  return R"(,"lifecycle":{"postStart":{")" + kind + "\":" + hook + "}}";
}

}  // namespace

TEST_CASE("sandbox, init containers in order, sidecar, containers; the sidecar stops last") {
  Node node;
  node.run(pod_from(full()));
  REQUIRE(node.eventually([&] { return node.ready(); }));
  CHECK(node.runtime.calls("start") == std::vector<std::string>{"sandbox", "one", "side", "two", "a", "b"});
  node.remove_pod(30);
  REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }));
  CHECK(node.runtime.calls("signal") == std::vector<std::string>{"a SIGTERM", "b SIGTERM", "side SIGTERM"});
  CHECK(node.runtime.list()->empty());
}

TEST_CASE("crashes are answered at once, then after 10 s doubling to 5 min, and forgiven after 10 min") {
  Node node;
  node.run(pod_from(simple()));
  REQUIRE(node.eventually([&] { return node.ready(); }));
  const auto crash = [&] { node.runtime.end_container(node.runtime.id_of("c"), 1); };
  int restarts = 0;
  const auto restarted = [&] { return node.status().restartCount == restarts && node.ready(); };
  for (const std::int64_t wait_s : {0, 10, 20, 40, 80, 160, 300, 300}) {
    INFO(wait_s);
    crash();
    if (wait_s > 0) {
      REQUIRE(node.eventually([&] { return node.waiting() == "CrashLoopBackOff"; }));
      node.clock.advance_ms(wait_s * 1000 - 1);
      node.settle();
      REQUIRE(node.status().restartCount == restarts);
      node.clock.advance_ms(1);
    }
    ++restarts;
    REQUIRE(node.eventually(restarted));
  }
  CHECK(node.status().lastState.terminated->exitCode == 1);
  node.clock.advance_ms(600'000);
  crash();
  ++restarts;
  CHECK(node.eventually(restarted));  // no wait
}

TEST_CASE("restart policies decide the phase") {
  struct Row {
    const char* policy;
    int exit_code;
    const char* phase;
    bool restarts;
  };
  for (const Row& row : {Row{"Never", 0, "Succeeded", false}, Row{"Never", 3, "Failed", false},
                         Row{"OnFailure", 0, "Succeeded", false}, Row{"OnFailure", 3, "Running", true},
                         Row{"Always", 0, "Running", true}}) {
    INFO(row.policy << " " << row.exit_code);
    Node node;
    auto pod = pod_from(simple());
    pod->spec.restartPolicy = row.policy;
    node.run(pod);
    REQUIRE(node.eventually([&] { return node.ready(); }));
    node.runtime.end_container(node.runtime.id_of("c"), row.exit_code);
    CHECK(node.eventually([&] {
      return node.cluster.status("uid-1").phase == row.phase && node.status().restartCount == row.restarts;
    }));
    if (!row.restarts) CHECK(node.status().state.terminated->exitCode == row.exit_code);
  }
}

TEST_CASE("SIGTERM, the grace period, SIGKILL") {
  Node node;
  node.run(pod_from(R"({"containers":[)" + container("c", kStubborn) + "]}"));
  REQUIRE(node.eventually([&] { return node.ready(); }));
  node.remove_pod(30);
  REQUIRE(node.eventually([&] { return !node.runtime.calls("signal").empty(); }));
  node.clock.advance_ms(29'000);
  node.settle();
  CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM"});
  node.clock.advance_ms(1'000);
  REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }));
  CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM", "c SIGKILL"});
}

TEST_CASE("a SIGTERM that could not be sent is sent again") {
  Node node;
  node.run(pod_from(R"({"containers":[)" + container("c", kServe) + "]}"));
  REQUIRE(node.eventually([&] { return node.ready(); }));
  node.runtime.fail_next("signal");
  node.remove_pod(30);
  REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }, 1000));
  CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM", "c SIGTERM"});
}

TEST_CASE("preStop comes before SIGTERM, and a grace period of 0 skips both") {
  const std::string hook = R"(,"lifecycle":{"preStop":{"exec":{"command":["true"]}}})";
  for (const std::int64_t grace_s : {30, 0}) {
    INFO(grace_s);
    Node node;
    node.run(pod_from(R"({"containers":[)" + container("c", kServe + hook) + "]}"));
    REQUIRE(node.eventually([&] { return node.ready(); }));
    node.remove_pod(grace_s);
    REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }));
    CHECK(node.runtime.calls("exec").size() == (grace_s > 0 ? 1u : 0u));
    CHECK(node.runtime.calls("signal") == std::vector<std::string>{grace_s > 0 ? "c SIGTERM" : "c SIGKILL"});
  }
}

TEST_CASE("no container gets SIGTERM before its preStop hook has run, of whatever kind") {
  using Clock = std::chrono::steady_clock;
  for (const std::string kind : {"exec", "httpGet", "tcpSocket", "sleep"}) {
    INFO(kind);
    Node node;
    HookListener listener(kind == "httpGet");
    const std::map<std::string, std::string> hooks = {
        {"exec", R"({"command":["true"]})"},
        {"httpGet", R"({"path":"/bye","port":)" + listener.port() + "}"},
        {"tcpSocket", R"({"port":)" + listener.port() + "}"},
        {"sleep", R"({"seconds":1})"},
    };
    node.run(pod_from(R"({"containers":[)" + container("c", kServe + pre_stop(kind, hooks.at(kind))) + "]}"));
    REQUIRE(node.eventually([&] { return node.ready(); }));
    const auto began = Clock::now();
    const std::map<std::string, std::function<bool()>> has_run = {
        {"exec", [&] { return node.runtime.calls("exec").size() == 1; }},
        {"httpGet", [&] { return listener.requests() == std::vector<std::string>{"GET /bye HTTP/1.1"}; }},
        {"tcpSocket", [&] { return listener.was_called(); }},
        {"sleep", [&] { return Clock::now() - began >= std::chrono::seconds(1); }},
    };
    std::vector<bool> ran_before;  // for each signal
    node.runtime.before_signal = [&] { ran_before.push_back(has_run.at(kind)()); };
    listener.answer();
    node.remove_pod(30);
    REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }));
    CHECK(ran_before == std::vector<bool>{true});
    CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM"});
    CHECK(node.cluster.all_events().find("FailedPreStopHook") == std::string::npos);
  }
}

TEST_CASE("the time that a preStop hook takes is part of the grace period") {
  Node node;
  HookListener listener(true);
  const std::string hook = pre_stop("httpGet", R"({"port":)" + listener.port() + "}");
  node.run(pod_from(R"({"containers":[)" + container("c", kStubborn + hook) + "]}"));
  REQUIRE(node.eventually([&] { return node.ready(); }));
  node.remove_pod(30);
  REQUIRE(node.eventually([&] { return listener.requests().size() == 1; }));
  node.clock.advance_ms(20'000);
  node.settle();
  CHECK(node.runtime.calls("signal").empty());  // the hook waits for its answer
  listener.answer();
  REQUIRE(node.eventually([&] { return !node.runtime.calls("signal").empty(); }));
  node.clock.advance_ms(9'999);
  node.settle();
  CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM"});
  node.clock.advance_ms(1);
  REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }));
  CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM", "c SIGKILL"});
}

TEST_CASE("a preStop hook that eats the grace period: SIGTERM at its end still gets 2 s") {
  for (const std::int64_t late_ms : {0, 5'000}) {  // a look at the pod may come late
    INFO(late_ms);
    Node node;
    HookListener listener(true);
    const std::string hook = pre_stop("httpGet", R"({"port":)" + listener.port() + "}");
    node.run(pod_from(R"({"containers":[)" + container("c", kStubborn + hook) + "]}"));
    REQUIRE(node.eventually([&] { return node.ready(); }));
    node.remove_pod(30);
    REQUIRE(node.eventually([&] { return listener.requests().size() == 1; }));
    node.clock.advance_ms(29'999);
    node.settle();
    CHECK(node.runtime.calls("signal").empty());
    node.clock.advance_ms(1 + late_ms);
    REQUIRE(node.eventually([&] { return !node.runtime.calls("signal").empty(); }));
    node.clock.advance_ms(1'999);
    node.settle();
    CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM"});
    node.clock.advance_ms(1);
    REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }));
    CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM", "c SIGKILL"});
  }
}

TEST_CASE("after SIGTERM at least 2 s pass, unless somebody asks not to wait") {
  for (const bool impatient : {false, true}) {
    INFO(impatient);
    Node node;
    node.run(pod_from(R"({"containers":[)" + container("c", kStubborn) + "]}"));
    REQUIRE(node.eventually([&] { return node.ready(); }));
    node.remove_pod(1);
    REQUIRE(node.eventually([&] { return !node.runtime.calls("signal").empty(); }));
    node.clock.advance_ms(1'999);
    node.settle();
    CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM"});
    impatient ? node.remove_pod(0) : node.clock.advance_ms(1);
    REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }));
    CHECK(node.runtime.calls("signal") == std::vector<std::string>{"c SIGTERM", "c SIGKILL"});
  }
}

TEST_CASE("a container is not ready before its postStart hook is done, of whatever kind") {
  for (const std::string kind : {"httpGet", "tcpSocket", "sleep"}) {
    INFO(kind);
    Node node;
    HookListener listener(kind == "httpGet", "503 Service Unavailable");  // any answer will do
    const std::string where = R"({"port":)" + listener.port() + "}";
    const auto began = std::chrono::steady_clock::now();
    node.run(pod_from(
        R"({"containers":[)" +
        container("c", kServe + post_start(kind, kind == "sleep" ? R"({"seconds":1})" : where)) + "]}"));
    if (kind == "httpGet") {
      REQUIRE(node.eventually([&] { return listener.requests().size() == 1; }));
      node.settle();
      CHECK_FALSE(node.ready());
      listener.answer();
    }
    REQUIRE(node.eventually([&] { return node.ready(); }));
    if (kind == "tcpSocket") CHECK(listener.was_called());
    if (kind == "sleep") CHECK(std::chrono::steady_clock::now() - began >= std::chrono::seconds(1));
    CHECK(node.runtime.calls("signal").empty());
    CHECK(node.cluster.all_events().find("FailedPostStartHook") == std::string::npos);
  }
}

TEST_CASE("a postStart hook that nobody answers stops the container, which is never ready") {
  for (const std::string kind : {"httpGet", "tcpSocket"}) {
    INFO(kind);
    Node node;
    const std::string closed = HookListener(false).port();
    // It takes its whole grace period to end, and nothing shows it as ready meanwhile.
    node.run(pod_from(R"({"terminationGracePeriodSeconds":30,"containers":[)" +
                      container("c", kStubborn + post_start(kind, R"({"port":)" + closed + "}")) + "]}"));
    REQUIRE(node.eventually([&] { return !node.runtime.calls("signal").empty(); }));
    REQUIRE(node.eventually([&] { return node.status().state.running.has_value(); }));
    CHECK_FALSE(*node.status().started);
    node.clock.advance_ms(30'000);
    REQUIRE(node.eventually([&] { return node.status().restartCount == 1; }));
    CHECK(node.runtime.calls("signal").at(0) == "c SIGTERM");
    CHECK(node.runtime.calls("signal").at(1) == "c SIGKILL");
    CHECK(node.cluster.all_events().find("FailedPostStartHook") != std::string::npos);
    node.settle();
    CHECK_FALSE(node.cluster.was_ready("uid-1"));
  }
}

TEST_CASE("a container removed behind our back, an OOM kill, a sandbox that dies") {
  Node node;
  node.run(pod_from(simple()));
  REQUIRE(node.eventually([&] { return node.ready(); }));
  node.runtime.end_container(node.runtime.id_of("c"), 137, true);
  REQUIRE(node.eventually([&] { return node.status().restartCount == 1 && node.ready(); }));
  CHECK(node.status().lastState.terminated->reason == "OOMKilled");
  const std::string removed = node.runtime.id_of("c");
  REQUIRE(node.runtime.remove(removed).ok());
  REQUIRE(node.eventually([&] { return node.ready() && node.status().containerID != "docker://" + removed; },
                          1000));
  CHECK(node.running("c") == 1);
  const std::string sandbox = node.runtime.id_of("sandbox");
  node.runtime.end_container(sandbox, 137);
  REQUIRE(node.eventually(
      [&] { return node.ready() && node.runtime.id_of("sandbox") != sandbox && node.running("c") == 1; },
      1000));
}

TEST_CASE("images: absent, never, invalid, and one that appears in the registry") {
  Node node;
  auto pod = pod_from(simple());
  pod->spec.containers[0].image = "late:1";
  node.run(pod);
  REQUIRE(node.eventually([&] { return node.waiting() == "ErrImagePull"; }));
  CHECK(node.status().state.waiting->message.find("manifest unknown") != std::string::npos);
  node.clock.advance_ms(5'000);
  REQUIRE(node.eventually([&] { return node.waiting() == "ImagePullBackOff"; }));
  CHECK(node.runtime.calls("pull").size() == 1);
  node.runtime.add_image("late:1", true);
  REQUIRE(node.eventually([&] { return node.ready(); }, 100));
  CHECK(node.runtime.calls("pull").size() == 2);
  for (const auto& [image, reason] :
       {std::pair{"never:1", "ErrImageNeverPull"}, std::pair{"Bad Name", "InvalidImageName"}}) {
    Node other;
    auto refused = pod_from(simple());
    refused->spec.containers[0].image = image;
    refused->spec.containers[0].imagePullPolicy = "Never";
    other.run(refused);
    CHECK(other.eventually([&] { return other.waiting() == reason; }));
    CHECK(other.runtime.calls("pull").empty());
  }
}

TEST_CASE("activeDeadlineSeconds fails the pod") {
  Node node;
  auto pod = pod_from(simple());
  pod->spec.activeDeadlineSeconds = 60;
  node.run(pod);
  REQUIRE(node.eventually([&] { return node.ready(); }));
  node.clock.advance_ms(60'000);
  REQUIRE(node.eventually([&] { return node.cluster.status("uid-1").phase == "Failed"; }));
  CHECK(node.cluster.status("uid-1").reason == "DeadlineExceeded");
  CHECK(node.eventually([&] { return node.running("c") == 0; }));
}

TEST_CASE("a kubelet that restarts adopts what runs, whatever it did last") {
  for (std::size_t calls = 1; calls < 24; ++calls) {
    INFO(calls);
    Node node;
    node.runtime.fail_call(calls);  // the old kubelet gets this far, then hears nothing good
    node.run(pod_from(full()));
    node.eventually([&] { return node.runtime.calls().size() > calls; });
    node.manager.reset();
    node.boot();
    REQUIRE(node.eventually([&] { return node.ready(); }, 200));
    const std::string a = node.status(0).containerID;
    node.manager.reset();
    node.boot();
    node.settle();
    REQUIRE(node.ready());
    CHECK(node.status(0).containerID == a);
    CHECK(node.status(0).restartCount == 0);
    for (const char* name : {"side", "a", "b"}) CHECK(node.running(name) == 1);
  }
}

TEST_CASE("every call to the runtime may fail once: the pod starts and goes all the same") {
  for (std::size_t n = 1; n < 30; ++n) {
    INFO("call " << n);
    Node node;
    node.runtime.fail_call(n);
    node.run(pod_from(full()));
    REQUIRE(node.eventually([&] { return node.ready(); }, 200));
    for (const char* name : {"side", "a", "b"}) CHECK(node.running(name) == 1);
    CHECK(node.status(0).restartCount == 0);
    node.runtime.fail_call(n % 8);
    node.remove_pod(5);
    REQUIRE(node.eventually([&] { return node.cluster.is_deleted("uid-1"); }, 200));
    CHECK(node.eventually(
        [&] {
          const auto all = node.runtime.list();
          return all.ok() && all->empty();
        },
        200));
  }
}

TEST_CASE("a runtime that is away for a while: nothing is restarted, then what died is") {
  Node node;
  node.run(pod_from(simple()));
  REQUIRE(node.eventually([&] { return node.ready(); }));
  const std::string id = node.status().containerID;
  node.runtime.set_reachable(false);
  REQUIRE(node.eventually([&] { return !node.manager->runtime_ok(); }));
  node.runtime.set_reachable(true);
  REQUIRE(node.eventually([&] { return node.manager->runtime_ok(); }));
  node.settle();
  CHECK(node.status().containerID == id);
  node.runtime.set_reachable(false);
  node.runtime.end_container(node.runtime.id_of("c"), 137);  // dockerd restarted without live-restore
  REQUIRE(node.eventually([&] { return !node.manager->runtime_ok(); }));
  node.runtime.set_reachable(true);
  CHECK(node.eventually([&] { return node.status().restartCount == 1 && node.ready(); }));
  CHECK(node.running("c") == 1);
}
