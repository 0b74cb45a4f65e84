// kube-proxy: Service routing on one node. Flags are parsed here and nowhere else.
#include <atomic>
#include <cstdio>
#include <fstream>
#include <CLI/CLI.hpp>

#include "libs/client/controller.h"
#include "libs/client/daemon.h"
#include "libs/common/log/log.h"
#include "services/kube-proxy/proxy.h"

namespace {

using namespace coxswain;

constexpr std::int64_t kCoalesce_ms = 20;  // a burst of changes becomes one transaction
constexpr std::int64_t kRetry_ms = 2'000;
constexpr std::int64_t kVerify_ms = 5'000;  // how soon rules that somebody flushed are back
const char* const kSyncKey = "sync";

struct Options {
  std::string kubeconfig;
  std::vector<std::string> api_servers;
  std::string node_name;
  std::string cluster_cidr = "10.244.0.0/16";
  bool cleanup = false;
  client::DaemonOptions daemon{
      .name = "kube-proxy", .version = COXSWAIN_VERSION, .healthz_bind_address = "127.0.0.1:10256"};
};

// Packets between pods and Services are forwarded by this machine.
void enable_forwarding() {
  std::ofstream file("/proc/sys/net/ipv4/ip_forward");
  file << "1\n";
  file.flush();
  if (!file) log_warning("cannot set net.ipv4.ip_forward=1: traffic from pods may not be forwarded");
}

int cleanup() {
  auto dataplane = proxy::make_nft_dataplane();
  if (!dataplane.ok()) {
    std::fprintf(stderr, "kube-proxy: %s\n", dataplane.error().message.c_str());
    return 1;
  }
  if (auto removed = (*dataplane)->remove_table(); !removed.ok()) {
    std::fprintf(stderr, "kube-proxy: %s\n", removed.error().message.c_str());
    return 1;
  }
  std::printf("removed nftables table %s\n", proxy::kTable);
  return 0;
}

Result<void> run(const Options& options, client::Daemon& daemon) {
  COX_ASSIGN_OR_RETURN(auto api, client::ApiClient::from_kubeconfig(options.kubeconfig, "kube-proxy",
                                                                    {.servers = options.api_servers}));
  COX_ASSIGN_OR_RETURN(auto dataplane, proxy::make_nft_dataplane());
  // Without the right to change rules there is nothing to do here: better said now than in every retry.
  COX_RETURN_IF_ERROR(dataplane->apply(std::string("add table ") + proxy::kTable + "\n"));
  proxy::Proxy proxy(*dataplane);
  client::InformerSet informers(*api);
  auto& services = informers.get<api::core::v1::Service>();
  auto& slices = informers.get<api::discovery::v1::EndpointSlice>();
  std::atomic<bool> healthy{false};
  const auto rules_check = daemon.add_health_check("rules", [&healthy] {
    return healthy.load() ? std::string() : std::string("the rules are not in place yet");
  });

  std::int64_t verified_ms = system_clock().now_ms();  // the only worker's
  client::Controller controller({.name = "kube-proxy"}, [&](const std::string&) -> client::ReconcileResult {
    const std::int64_t now_ms = system_clock().now_ms();
    const bool verify = now_ms - verified_ms >= kVerify_ms;
    if (verify) verified_ms = now_ms;
    const auto synced = proxy.sync(
        {services.lister().list(), slices.lister().list(), options.node_name, options.cluster_cidr}, verify);
    healthy.store(synced.ok());
    if (synced.ok()) return client::Requeue::after(kVerify_ms);
    log_error("cannot apply the rules",
              {{"error", synced.error().message}, {"retry_ms", std::to_string(kRetry_ms)}});
    return client::Requeue::after(kRetry_ms);
  });
  services.add_handler([&](const auto&) { controller.enqueue_after(kSyncKey, kCoalesce_ms); });
  slices.add_handler([&](const auto&) { controller.enqueue_after(kSyncKey, kCoalesce_ms); });

  enable_forwarding();
  informers.start();
  // Rules that stand from an earlier run stay until everything is known: no gap in service.
  if (!informers.wait_for_sync(daemon.stop_token())) return {};
  controller.enqueue(kSyncKey);
  controller.start();
  log_info("running", {{"node", options.node_name}});
  client::wait_for_stop(daemon.stop_token());
  controller.stop();
  informers.stop();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"kube-proxy routes Service traffic on a node with nftables"};
  app.set_version_flag("--version", COXSWAIN_VERSION);
  app.add_option("--kubeconfig", options.kubeconfig, "How to reach and trust the api-server");
  app.add_option("--api-servers", options.api_servers,
                 "URL,URL,...: the api-servers, in the order to try them, instead of the kubeconfig's")
      ->delimiter(',');
  app.add_option("--node-name", options.node_name, "This node's name");
  app.add_option("--cluster-cidr", options.cluster_cidr,
                 "The pods' network; other clients of a ClusterIP are masqueraded")
      ->capture_default_str();
  app.add_flag("--cleanup", options.cleanup, "Remove the nftables table and exit");
  app.add_option("--healthz-bind-address", options.daemon.healthz_bind_address,
                 "ADDRESS:PORT of /healthz and /metrics; empty: none")
      ->capture_default_str();
  app.add_option("--log-level", options.daemon.log_level, "debug, info, warning or error")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (options.cleanup) return cleanup();
  if (options.kubeconfig.empty() || options.node_name.empty()) {
    std::fprintf(stderr, "kube-proxy: --kubeconfig and --node-name are needed; see --help\n");
    return 1;
  }
  return client::run_daemon(options.daemon, [&](client::Daemon& daemon) { return run(options, daemon); });
}
