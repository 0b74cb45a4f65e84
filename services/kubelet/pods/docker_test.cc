// Real pods on a real Docker Engine: COXSWAIN_TEST_DOCKER_SOCKET names its socket, else nothing runs.
// The image is busybox from this machine (Debian's busybox-static), imported as a tar: no registry.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "libs/common/base/clock.h"
#include "libs/common/json/json.h"
#include "services/kubelet/node/machine.h"
#include "services/kubelet/pods/fake_cluster.h"
#include "services/kubelet/pods/pod_manager.h"
#include "services/kubelet/runtime/docker_runtime.h"
#include "services/kubelet/runtime/pause_image.h"
#include "services/kubelet/runtime/runtime_contract.h"

using namespace coxswain;
using namespace coxswain::kubelet;

namespace {

constexpr const char* kImage = "coxswain-test/busybox:1";
constexpr const char* kSubnet = "10.251.7.0/24";

std::string busybox_tar() {
  std::ifstream in("/bin/busybox", std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  std::string layer =
      tar_entry("bin/", "", 0755, '5') + tar_entry("etc/", "", 0755, '5') + tar_entry("tmp/", "", 01777, '5');
  for (const char* name :
       {"sh", "cat", "sleep", "echo", "nc", "hostname", "ls", "touch", "test", "true", "false"}) {
    layer += tar_entry(std::string("bin/") + name, bytes.str(), 0755);
  }
  layer += tar_end();
  return layer;
}

// An image tar of one layer; the layer's digest is what `docker load` computes for itself when absent.
bool import_image(const std::string& socket) {
  const std::string tar = "/tmp/coxswain-busybox-" + std::to_string(::getpid()) + ".tar";
  std::ofstream(tar, std::ios::binary) << busybox_tar();
  const std::string command =
      "curl -fsS --unix-socket '" + socket + "' -X POST -H 'Content-Type: application/x-tar' -T '" + tar +
      "' 'http://localhost/v1.41/images/create?fromSrc=-&repo=coxswain-test/busybox&tag=1' >/dev/null";
  const int rc = std::system(command.c_str());
  std::filesystem::remove(tar);
  return rc == 0;
}

struct Node {
  explicit Node(const std::string& socket) {
    static int serial = 0;
    root = std::filesystem::temp_directory_path() /
           ("coxswain-kubelet-" + std::to_string(::getpid()) + "-" + std::to_string(serial++));
    std::filesystem::create_directories(root);
    auto made = make_docker_runtime(socket, "test@" + root.string());
    REQUIRE(made.ok());
    runtime = *std::move(made);
    REQUIRE(runtime->load_image(pause_image_tar()).ok());
    const auto network = runtime->ensure_network({"coxswain", "cox0", kSubnet, "10.251.7.1"});
    if (!network.ok()) FAIL(network.error().message);
    volumes = std::make_unique<VolumeManager>(root.string());
  }
  ~Node() {
    manager.reset();
    if (auto all = runtime->list(); all.ok()) {
      for (const auto& c : *all) (void)runtime->remove(c.id);
    }
    for (const auto& uid : volumes->pods_on_disk()) (void)volumes->tear_down(uid);
    std::filesystem::remove_all(root);
  }
  void boot(const std::vector<std::shared_ptr<const v1::Pod>>& pods = {}) {
    PodManagerOptions options;
    options.node_name = "test";
    options.host_ip = "127.0.0.1";
    options.relist_ms = 1000;
    options.node = read_machine("/").capacity;
    manager = std::make_unique<PodManager>(*runtime, cluster, *volumes, options);
    manager->set_network_ready(true, "");
    for (const auto& pod : pods) manager->set_pod(pod);
    REQUIRE(manager->start().ok());
  }
  bool eventually(const std::function<bool()>& done, int seconds = 30) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (std::chrono::steady_clock::now() < end) {
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::cerr << cluster.all_events();
    for (auto& [uid, s] : cluster.statuses) std::cerr << json::write(to_json(s)) << "\n";
    return false;
  }
  bool ready(const std::string& uid) {
    for (const auto& c : cluster.status(uid).conditions) {
      if (c.type == "Ready") return c.status == "True";
    }
    return false;
  }
  std::filesystem::path root;
  FakeCluster cluster;
  std::unique_ptr<Runtime> runtime;
  std::unique_ptr<VolumeManager> volumes;
  std::unique_ptr<PodManager> manager;
};

std::shared_ptr<v1::Pod> pod_from(const std::string& name, const std::string& spec) {
  auto parsed = json::parse(R"({"metadata":{"name":")" + name + R"(","namespace":"default","uid":"uid-)" +
                            name + std::to_string(::getpid()) + R"("},"spec":)" + spec + "}");
  REQUIRE(parsed.ok());
  auto pod = std::make_shared<v1::Pod>();
  from_json(*parsed, *pod);
  if (pod->spec.restartPolicy.empty()) pod->spec.restartPolicy = "Always";
  return pod;
}

const char* socket_path() {
  const char* path = std::getenv("COXSWAIN_TEST_DOCKER_SOCKET");
  if (!path) std::cout << "SKIPPED: set COXSWAIN_TEST_DOCKER_SOCKET to a Docker socket to run this\n";
  return path;
}

std::string cat(Node& node, const std::string& uid, const std::string& container, const std::string& file) {
  const auto all = node.runtime->list();
  if (!all.ok()) return all.error().message;
  for (const auto& c : *all) {
    if (c.pod_uid != uid || c.name != container || c.state != RunState::kRunning) continue;
    auto out = node.runtime->exec(c.id, {"cat", file}, 5000);
    return out.ok() ? out->output : out.error().message;
  }
  return "";
}

}  // namespace

TEST_CASE("a pod runs, survives the kubelet, restarts a killed container, and goes away", "[docker]") {
  const char* socket = socket_path();
  if (!socket) return;
  REQUIRE(import_image(socket));
  Node node(socket);
  node.cluster.put_config_map("conf", {{"key", "one"}});
  auto pod = pod_from("web", R"({"terminationGracePeriodSeconds":5,
    "volumes":[{"name":"shared","emptyDir":{}},{"name":"conf","configMap":{"name":"conf"}}],
    "initContainers":[{"name":"init","image":"coxswain-test/busybox:1","command":["sh","-c","echo made > /shared/init"],
      "volumeMounts":[{"name":"shared","mountPath":"/shared"}]}],
    "containers":[
     {"name":"a","image":"coxswain-test/busybox:1","command":["sh","-c","trap 'exit 0' TERM; while true; do echo hi | nc -l -p 8080 >/dev/null; done & while true; do sleep 0.1; done"],
      "env":[{"name":"KEY","valueFrom":{"configMapKeyRef":{"name":"conf","key":"key"}}}],
      "readinessProbe":{"tcpSocket":{"port":8080},"periodSeconds":1},
      "volumeMounts":[{"name":"shared","mountPath":"/shared"},{"name":"conf","mountPath":"/conf"},
                      {"name":"conf","mountPath":"/one","subPath":"key"}]},
     {"name":"b","image":"coxswain-test/busybox:1","command":["sh","-c","trap 'exit 0' TERM; while true; do sleep 0.1; done"]}]})");
  const std::string uid = pod->metadata.uid;
  node.boot();
  const auto began = std::chrono::steady_clock::now();
  node.manager->set_pod(pod);
  REQUIRE(node.eventually([&] { return node.ready(uid); }));
  std::cout << "ready after "
            << std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began)
                   .count()
            << " ms\n";
  auto status = node.cluster.status(uid);
  CHECK(status.phase == "Running");
  CHECK(status.podIP.substr(0, 9) == "10.251.7.");
  CHECK(status.initContainerStatuses.at(0).state.terminated->reason == "Completed");
  CHECK(cat(node, uid, "a", "/shared/init") == "made\n");
  CHECK(cat(node, uid, "a", "/conf/key") == "one");
  CHECK(cat(node, uid, "a", "/one") == "one");
  const std::string ip = status.podIP;
  const std::string id_a = status.containerStatuses.at(0).containerID;

  // A changed ConfigMap shows up in the volume.
  node.cluster.put_config_map("conf", {{"key", "two"}});
  node.manager->references_changed("default");
  CHECK(node.eventually([&] { return cat(node, uid, "a", "/conf/key") == "two"; }, 5));

  // A kubelet that restarts adopts what runs.
  node.manager.reset();
  auto known = std::make_shared<v1::Pod>(*pod);
  known->status = node.cluster.status(uid);
  node.boot({known});
  std::this_thread::sleep_for(std::chrono::seconds(2));
  REQUIRE(node.ready(uid));
  CHECK(node.cluster.status(uid).containerStatuses.at(0).containerID == id_a);
  CHECK(node.cluster.status(uid).containerStatuses.at(0).restartCount == 0);

  // docker kill: the container comes back in the same sandbox, with the same address.
  REQUIRE(node.runtime->signal(id_a.substr(9), "SIGKILL").ok());
  REQUIRE(node.eventually(
      [&] { return node.cluster.status(uid).containerStatuses.at(0).restartCount == 1 && node.ready(uid); }));
  status = node.cluster.status(uid);
  CHECK(status.podIP == ip);
  CHECK(status.containerStatuses.at(0).lastState.terminated->exitCode == 137);
  CHECK(status.containerStatuses.at(1).restartCount == 0);

  auto going = std::make_shared<v1::Pod>(*pod);
  going->metadata.deletionTimestamp = api::Time{system_clock().unix_ms()};
  going->metadata.deletionGracePeriodSeconds = 5;
  node.manager->set_pod(going);
  REQUIRE(node.eventually([&] { return node.cluster.is_deleted(uid); }));
  CHECK(node.runtime->list()->empty());
  CHECK(node.volumes->pods_on_disk().empty());
}

TEST_CASE("crash loop, missing image, missing ConfigMap, run to completion", "[docker]") {
  const char* socket = socket_path();
  if (!socket) return;
  Node node(socket);
  node.boot();
  auto crash = pod_from(
      "crash",
      R"({"containers":[{"name":"c","image":"coxswain-test/busybox:1","terminationMessagePath":"/dev/termination-log",
    "command":["sh","-c","echo why > /dev/termination-log; exit 3"]}]})");
  auto never = pod_from(
      "never", R"({"containers":[{"name":"c","image":"coxswain-test/absent:1","imagePullPolicy":"Never"}]})");
  auto waits = pod_from("waits", R"({"volumes":[{"name":"v","configMap":{"name":"late"}}],
    "containers":[{"name":"c","image":"coxswain-test/busybox:1","command":["sleep","1000"],"volumeMounts":[{"name":"v","mountPath":"/v"}]}]})");
  auto once = pod_from(
      "once",
      R"({"restartPolicy":"Never","containers":[{"name":"c","image":"coxswain-test/busybox:1","command":["true"]}]})");
  for (const auto& p : {crash, never, waits, once}) node.manager->set_pod(p);
  const auto waiting = [&](const std::shared_ptr<v1::Pod>& p) -> std::string {
    const auto s = node.cluster.status(p->metadata.uid);
    if (s.containerStatuses.empty() || !s.containerStatuses[0].state.waiting) return "";
    return s.containerStatuses[0].state.waiting->reason;
  };
  CHECK(node.eventually([&] { return waiting(crash) == "CrashLoopBackOff"; }));
  const auto s = node.cluster.status(crash->metadata.uid).containerStatuses.at(0);
  CHECK(s.lastState.terminated->exitCode == 3);
  CHECK(s.lastState.terminated->message == "why\n");
  CHECK(s.restartCount == 1);
  CHECK(node.eventually([&] { return waiting(never) == "ErrImageNeverPull"; }));
  CHECK(node.eventually(
      [&] { return node.cluster.all_events().find("configmap \"late\" not found") != std::string::npos; }));
  node.cluster.put_config_map("late", {{"k", "v"}});
  node.manager->references_changed("default");
  CHECK(node.eventually([&] { return node.ready(waits->metadata.uid); }));
  CHECK(node.eventually([&] { return node.cluster.status(once->metadata.uid).phase == "Succeeded"; }));
  // Gone from the API without a goodbye: killed and cleaned up.
  for (const auto& p : {crash, never, waits, once}) node.manager->pod_gone(p->metadata.uid);
  CHECK(
      node.eventually([&] { return node.runtime->list()->empty() && node.volumes->pods_on_disk().empty(); }));
}

TEST_CASE("the Docker runtime keeps the contract", "[docker]") {
  const char* socket = socket_path();
  if (!socket) return;
  REQUIRE(import_image(socket));
  Node node(socket);
  RuntimeContract(*node.runtime, kImage).check_all();
}
