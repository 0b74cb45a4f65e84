#include <CLI/CLI.hpp>

#include "libs/common/base/strings.h"
#include "services/controller-manager/manager.h"

namespace {

constexpr const char* kVersion = "0.1.0";

}  // namespace

int main(int argc, char** argv) {
  coxswain::client::DaemonOptions daemon_options;
  coxswain::controllers::ManagerOptions options;
  daemon_options.name = "controller-manager";
  daemon_options.healthz_bind_address = "127.0.0.1:10257";

  CLI::App app("Runs the control loops that bring a cluster to the state its objects describe.");
  app.set_version_flag("--version", std::string("controller-manager ") + kVersion);
  app.add_option("--kubeconfig", options.kubeconfig, "How to reach the api-server")->required();
  app.add_option("--api-servers", options.api_servers,
                 "URL,URL,...: the api-servers, in the order to try them, instead of the kubeconfig's")
      ->delimiter(',');
  app.add_option("--cluster-cidr", options.settings.cluster_cidr, "Range of pod addresses")
      ->capture_default_str();
  app.add_option("--node-cidr-mask-size", options.settings.node_cidr_mask_size,
                 "Size of each node's share of it")
      ->capture_default_str();
  const auto seconds = [](std::int64_t ms) { return std::to_string(ms / 1000) + "s"; };
  std::string grace = seconds(options.settings.node_monitor_grace_ms);
  std::string period = seconds(options.settings.node_monitor_period_ms);
  app.add_option("--node-monitor-grace-period", grace, "How long a silent node counts as healthy")
      ->capture_default_str();
  app.add_option("--node-monitor-period", period, "How often nodes are looked at")->capture_default_str();
  app.add_option("--terminated-pod-gc-threshold", options.settings.terminated_pod_threshold,
                 "How many finished pods are kept; 0 keeps all")
      ->capture_default_str();
  app.add_flag("--leader-elect,!--no-leader-elect", options.leader_elect,
               "Hold the Lease kube-system/kube-controller-manager")
      ->capture_default_str();
  coxswain::client::LeaderElectionFlags election;
  coxswain::client::add_leader_election_flags(app, election);
  app.add_option("--healthz-bind-address", daemon_options.healthz_bind_address,
                 "ADDRESS:PORT of /healthz and /metrics; \"\" disables")
      ->capture_default_str();
  app.add_option("--log-level", daemon_options.log_level, "debug, info, warning or error")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  std::string bad;
  const auto duration = [&bad](const std::string& name, const std::string& text) -> std::int64_t {
    const auto ms = coxswain::parse_duration_ms(text);
    if (!ms) bad = name + " must be a duration like 50s, got \"" + text + "\"";
    return ms.value_or(0);
  };
  options.settings.node_monitor_grace_ms = duration("--node-monitor-grace-period", grace);
  options.settings.node_monitor_period_ms = duration("--node-monitor-period", period);
  return coxswain::client::run_daemon(
      daemon_options, [&](coxswain::client::Daemon& daemon) -> coxswain::Result<void> {
        if (!bad.empty()) return coxswain::make_error(coxswain::ErrorCode::kInvalidArgument, bad);
        COX_ASSIGN_OR_RETURN(options.election,
                             coxswain::client::leader_election_options("kube-controller-manager", election));
        return coxswain::controllers::run_manager(daemon, options);
      });
}
