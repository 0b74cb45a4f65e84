// api-server: flags, signals, exit codes. The server itself is server.h.
#include <csignal>
#include <cstdio>

#include <CLI/CLI.hpp>

#include "libs/common/log/log.h"
#include "services/api-server/server.h"

namespace {

constexpr const char* kVersion = "api-server v0.1.0 (Kubernetes API v1.36)";

// Blocks every thread's SIGTERM and SIGINT; one thread waits for them.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

void add_store_options(CLI::App& app, coxswain::apiserver::ServerOptions& options) {
  app.add_option("--store,--store-backend", options.store_backend,
                 "local (durable), memory (tests), or an external etcd: etcd://HOST:PORT,HOST:PORT,...")
      ->capture_default_str();
  app.add_option("--etcd-prefix", options.etcd_prefix,
                 "Below which all keys in etcd are (default: /coxswain)");
  app.add_option("--etcd-cafile", options.etcd_ca_path,
                 "CA that signed etcd's certificates: speak TLS to it");
  app.add_option("--etcd-certfile", options.etcd_certificate_path, "Our client certificate for etcd");
  app.add_option("--etcd-keyfile", options.etcd_key_path, "Its private key");
}

void add_group_options(CLI::App& app, coxswain::apiserver::ServerOptions& options) {
  app.add_option("--initial-cluster", options.initial_cluster,
                 "All members of the store's group as ID=HOST:PORT,... (default: this api-server is alone)");
  app.add_option("--member-id", options.member_id, "Which of them this one is");
  app.add_option("--member-name", options.member_name, "Its name for people (default: host name and id)");
  app.add_option("--initial-cluster-state", options.initial_cluster_state,
                 "new: they start the group together; existing: this one joins it (coxctl store member add)")
      ->check(CLI::IsMember({"new", "existing"}))
      ->capture_default_str();
  app.add_option("--cluster-id", options.cluster_id, "The group's id; required to join one");
  app.add_option("--peer-bind-address", options.peer_bind_address, "Address to listen on for other members")
      ->capture_default_str();
  app.add_option("--election-timeout-ms", options.election_timeout_ms,
                 "How long members wait for their leader; the same for all")
      ->check(CLI::Range(100, 60'000))
      ->capture_default_str();
}

void add_log_options(CLI::App& app, coxswain::apiserver::ServerOptions& options) {
  const auto add = [&app](const char* name, std::uint64_t& value, std::uint64_t least, const char* what) {
    app.add_option(name, value, what)->check(CLI::Range(least, std::uint64_t{1} << 30));
  };
  add("--store-log-segment-bytes", options.store_log_segment_bytes, 4 << 10,
      "Size of each file of the store's log (default 16 MiB)");
  add("--store-checkpoint-log-bytes", options.store_checkpoint_log_bytes, 4 << 10,
      "Flush the state and shorten the log when it has grown by this (default 32 MiB)");
  add("--store-keep-entries", options.store_keep_entries, 1,
      "Log entries kept for members that were away; who is further behind gets the whole state "
      "(default 20000)");
}

}  // namespace

int main(int argc, char** argv) {
  coxswain::apiserver::ServerOptions options;
  std::string log_level = "info";
  std::string node_name;
  std::vector<std::string> node_ips;
  CLI::App app{"The Coxswain API server: the cluster's REST API and its store."};
  app.set_version_flag("--version", kVersion);
  app.add_option("--data-dir", options.data_dir, "Where the store, certificates and kubeconfigs live")
      ->capture_default_str();
  app.add_option("--bind-address", options.bind_address, "Address to listen on")->capture_default_str();
  app.add_option("--secure-port", options.port, "HTTPS port; 0: any free one")->capture_default_str();
  app.add_option("--advertise-address", options.advertise_address,
                 "IP address that the cluster reaches this server at (default: that of the default route)");
  app.add_option("--control-plane-endpoint", options.control_plane_endpoint,
                 "HOST[:PORT] where a load balancer leads to any of several api-servers: kubeconfigs lead "
                 "there, and the certificate is valid for it");
  app.add_option("--service-cluster-ip-range", options.service_cluster_ip_range, "Cluster IPs of Services")
      ->capture_default_str();
  app.add_option("--service-node-port-range", options.service_node_port_range, "Ports of NodePort Services")
      ->capture_default_str();
  add_store_options(app, options);
  app.add_option("--history-retention-seconds", options.compaction_interval_s,
                 "How long old versions stay readable")
      ->capture_default_str();
  app.add_option("--event-ttl-seconds", options.event_ttl_s, "How long events are kept")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--io-threads", options.io_threads, "Threads that serve connections")->capture_default_str();
  app.add_option("--port-file", options.port_file, "Write the port here once ready (for --secure-port 0)");
  app.add_option(
      "--shared-port", options.shared_port,
      "One more HTTPS port, which the other api-servers of this machine listen on, too: whoever lives "
      "answers. Kubeconfigs lead there");
  add_group_options(app, options);
  add_log_options(app, options);
  app.add_option("--log-level", log_level, "debug, info, warning or error")->capture_default_str();
  CLI::App* cluster = app.add_subcommand(
      "issue-cluster",
      "Make the CA, certificates and kubeconfigs in --data-dir, for api-servers that share them");
  cluster->fallthrough();
  CLI::App* issue =
      app.add_subcommand("issue-node", "Make the certificates and the kubeconfig of one more node");
  issue->add_option("name", node_name, "The node's name")->required();
  issue->add_option("--ip", node_ips, "Addresses of the node");
  issue->fallthrough();
  CLI11_PARSE(app, argc, argv);
  coxswain::LogLevel level;
  if (!coxswain::parse_log_level(log_level, &level)) {
    std::fprintf(stderr, "api-server: --log-level must be debug, info, warning or error\n");
    return 1;
  }
  coxswain::set_log_level(level);
  const sigset_t signals = block_signals();
  const auto act = [&] {
    if (cluster->parsed()) return coxswain::apiserver::issue_cluster(options);
    if (issue->parsed()) return coxswain::apiserver::issue_node(options, node_name, node_ips);
    return coxswain::apiserver::run(options, [&signals] {
      int signal = 0;
      sigwait(&signals, &signal);
    });
  };
  const coxswain::Result<void> result = act();
  if (result.ok()) return 0;
  std::fprintf(stderr, "api-server: %s\n", result.error().message.c_str());
  return 1;
}
