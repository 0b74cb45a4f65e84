// kubelet: runs the pods that are assigned to this node on a Docker Engine.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <CLI/CLI.hpp>

#include "libs/client/daemon.h"
#include "libs/client/informer.h"
#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"
#include "services/kubelet/node/api_cluster.h"
#include "services/kubelet/node/node_agent.h"
#include "services/kubelet/pods/pod_manager.h"
#include "services/kubelet/runtime/docker_runtime.h"
#include "services/kubelet/runtime/pause_image.h"
#include "services/kubelet/server/server.h"

namespace coxswain::kubelet {
namespace {

constexpr const char* kVersion = "0.1.0";

struct Flags {
  std::string kubeconfig, node_name, node_ip = "127.0.0.1", root_dir = "/var/lib/coxswain/kubelet";
  std::string docker_socket = "/var/run/docker.sock", cluster_cidr = "10.244.0.0/16",
              cluster_domain = "cluster.local";
  std::vector<std::string> cluster_dns, api_servers;
  std::string cert, key, client_ca, healthz = "127.0.0.1:10248", log_level = "info", address = "0.0.0.0";
  int port = 10250, max_pods = 110;
  bool version = false;
};

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Blocks until Docker answers; one line says what to do meanwhile.
bool wait_for_runtime(Runtime& runtime, std::stop_token stop) {
  for (bool said = false;; said = true) {
    const auto info = runtime.info();
    if (info.ok()) {
      const auto loaded = runtime.load_image(pause_image_tar());
      if (loaded.ok()) return true;
      log_error("cannot load the pause image; trying again", {{"error", loaded.error().message}});
    } else if (!said) {
      log_error(info.error().message + "; trying again every second");
    }
    if (!client::sleep_for_ms(1000, stop)) return false;
  }
}

// Adopts what runs already, once Docker and the api-server have both said what there is. False: stopped.
bool start_pods(Runtime& runtime, PodManager& pods, const std::function<bool()>& synced,
                std::stop_token stop) {
  bool go = wait_for_runtime(runtime, stop);
  while (go && !synced()) go = client::sleep_for_ms(5, stop);
  while (go) {
    const auto started = pods.start();
    if (started.ok()) return true;
    log_error(started.error().message);
    go = client::sleep_for_ms(1000, stop);
  }
  return false;
}

Result<void> run(const Flags& flags, client::Daemon& daemon) {
  std::error_code ec;
  std::filesystem::create_directories(flags.root_dir, ec);
  if (ec) return make_error(ErrorCode::kIo, "cannot make --root-dir " + flags.root_dir + ": " + ec.message());
  const std::string root = std::filesystem::canonical(flags.root_dir, ec);
  COX_ASSIGN_OR_RETURN(
      auto client, client::ApiClient::from_kubeconfig(flags.kubeconfig, "kubelet/" + std::string(kVersion),
                                                      {.servers = flags.api_servers}));
  COX_ASSIGN_OR_RETURN(auto runtime, make_docker_runtime(flags.docker_socket, flags.node_name + "@" + root));
  const std::stop_token stop = daemon.stop_token();

  PodManagerOptions options;
  options.node_name = flags.node_name;
  options.host_ip = flags.node_ip;
  options.node = read_machine(root).capacity;
  options.dns = {flags.cluster_dns, flags.cluster_domain, read_file("/etc/resolv.conf")};
  VolumeManager volumes(root);
  PodManager* manager = nullptr;
  ApiCluster cluster(*client, flags.node_name,
                     [&](const std::string& ns) { manager->references_changed(ns); });
  PodManager pods(*runtime, cluster, volumes, options);
  manager = &pods;

  ServerSettings server_settings;
  server_settings.address = flags.address;
  server_settings.port = static_cast<std::uint16_t>(flags.port);
  server_settings.tls = {flags.cert, flags.key, flags.client_ca, true};
  COX_ASSIGN_OR_RETURN(auto server, serve_kubelet(server_settings, pods, *runtime));

  NodeAgentOptions node;
  node.node_name = flags.node_name;
  node.node_ip = flags.node_ip;
  node.root_dir = root;
  node.cluster_cidr = flags.cluster_cidr;
  node.port = server->port();
  node.max_pods = flags.max_pods;
  NodeAgent agent(
      *client, *runtime, node, [&] { return pods.runtime_ok(); },
      [&](bool ready, const std::string& why) { pods.set_network_ready(ready, why); });
  agent.start();
  const auto runtime_check = daemon.add_health_check(
      "runtime", [&] { return pods.runtime_ok() ? "" : "the container runtime does not answer"; });

  client::ReflectorOptions mine;
  mine.backoff_max_ms = 1000;  // one watch: ask again at once when the server is back
  mine.field_selector = "spec.nodeName=" + flags.node_name;
  client::Informer<v1::Pod> informer(*client, mine);
  informer.add_handler([&](const client::Change<v1::Pod>& change) {
    if (change.type == client::ChangeType::kDeleted) return pods.pod_gone(change.object->metadata.uid);
    const auto& old = change.old_object;
    if (old && old->metadata.uid != change.object->metadata.uid) pods.pod_gone(old->metadata.uid);
    pods.set_pod(change.object);
  });
  cluster.start();
  informer.start();
  const auto synced = [&] { return informer.synced() && cluster.services_synced(); };
  if (start_pods(*runtime, pods, synced, stop)) {
    log_info("kubelet ready", {{"node", flags.node_name}, {"port", std::to_string(server->port())}});
  }
  client::wait_for_stop(stop);
  server->stop();
  informer.stop();
  agent.stop();
  cluster.stop();
  pods.stop();
  return {};
}

int main_with(int argc, char** argv) {
  Flags flags;
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  flags.node_name = to_lower(host);
  CLI::App app("Runs the pods that are assigned to this node.", "kubelet");
  app.add_option("--kubeconfig", flags.kubeconfig, "How to reach the API server");
  app.add_option("--api-servers", flags.api_servers,
                 "URL,URL,...: the api-servers, in the order to try them, instead of the kubeconfig's")
      ->delimiter(',');
  app.add_option("--node-name", flags.node_name, "Name of the Node object")->capture_default_str();
  app.add_option("--node-ip", flags.node_ip, "Address that other machines see")->capture_default_str();
  app.add_option("--root-dir", flags.root_dir, "Where volumes and pod files live")->capture_default_str();
  app.add_option("--docker-socket", flags.docker_socket, "Docker Engine's unix socket")
      ->capture_default_str();
  app.add_option("--address", flags.address, "Address to serve on")->capture_default_str();
  app.add_option("--port", flags.port, "Port of the HTTPS server")->capture_default_str();
  app.add_option("--tls-cert-file", flags.cert, "Serving certificate");
  app.add_option("--tls-private-key-file", flags.key, "Its key");
  app.add_option("--client-ca-file", flags.client_ca, "CA of clients that may ask");
  app.add_option("--cluster-cidr", flags.cluster_cidr, "Addresses of all pods: no masquerade towards them")
      ->capture_default_str();
  app.add_option("--cluster-dns", flags.cluster_dns, "Cluster DNS addresses; default: the node's resolvers")
      ->delimiter(',');
  app.add_option("--cluster-domain", flags.cluster_domain, "DNS domain of the cluster")
      ->capture_default_str();
  app.add_option("--max-pods", flags.max_pods, "How many pods the node takes")->capture_default_str();
  app.add_option("--healthz-bind-address", flags.healthz, "Where /healthz and /metrics are; \"\" serves none")
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level, "debug, info, warning or error")->capture_default_str();
  app.set_version_flag("--version", std::string("kubelet ") + kVersion);
  CLI11_PARSE(app, argc, argv);
  if (flags.kubeconfig.empty() || flags.cert.empty() || flags.key.empty() || flags.client_ca.empty()) {
    std::cerr
        << "kubelet: --kubeconfig, --tls-cert-file, --tls-private-key-file and --client-ca-file are needed; "
           "`api-server issue-node NAME` makes them\n";
    return 1;
  }
  client::DaemonOptions options;
  options.name = "kubelet";
  options.version = kVersion;
  options.log_level = flags.log_level;
  options.healthz_bind_address = flags.healthz;
  return client::run_daemon(options, [&](client::Daemon& daemon) { return run(flags, daemon); });
}

}  // namespace
}  // namespace coxswain::kubelet

int main(int argc, char** argv) { return coxswain::kubelet::main_with(argc, argv); }
