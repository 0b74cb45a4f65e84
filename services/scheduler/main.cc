// kube-scheduler: finds a node for every pod. Flags are parsed here and nowhere else.
#include <cstdio>
#include <CLI/CLI.hpp>

#include "libs/client/daemon.h"
#include "libs/client/leader_elector.h"
#include "services/scheduler/scheduler.h"

namespace {

using namespace coxswain;

struct Options {
  std::string kubeconfig;
  std::vector<std::string> api_servers;
  scheduler::SchedulerOptions scheduler;
  bool leader_elect = true;
  client::LeaderElectionFlags election;
  client::DaemonOptions daemon{
      .name = "scheduler", .version = COXSWAIN_VERSION, .healthz_bind_address = "127.0.0.1:10259"};
};

Result<void> run(const Options& options, client::Daemon& daemon) {
  COX_ASSIGN_OR_RETURN(const auto election,
                       client::leader_election_options("kube-scheduler", options.election));
  COX_ASSIGN_OR_RETURN(auto api, client::ApiClient::from_kubeconfig(options.kubeconfig, "kube-scheduler",
                                                                    {.servers = options.api_servers}));
  scheduler::Scheduler scheduler(*api, options.scheduler);
  const auto metrics = daemon.add_metrics([&](std::string& out) { scheduler.write_metrics(out); });
  if (!options.leader_elect) {
    scheduler.run(daemon.stop_token());
    return {};
  }
  client::LeaderElector elector(*api, election);
  const auto leading = daemon.add_metrics([&](std::string& out) { elector.write_metrics(out); });
  if (!elector.run(daemon.stop_token(), [&](std::stop_token leading) { scheduler.run(leading); })) {
    // All that was assumed may be wrong now: forget it, and stand by anew.
    client::restart_process();
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"scheduler finds a node for every pod"};
  app.set_version_flag("--version", COXSWAIN_VERSION);
  app.add_option("--kubeconfig", options.kubeconfig, "How to reach and trust the api-server")->required();
  app.add_option("--api-servers", options.api_servers,
                 "URL,URL,...: the api-servers, in the order to try them, instead of the kubeconfig's")
      ->delimiter(',');
  app.add_option("--scheduler-name", options.scheduler.scheduler_name,
                 "Pods with this spec.schedulerName are ours")
      ->capture_default_str();
  app.add_option("--binders", options.scheduler.binders, "Binds under way at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_flag("--leader-elect,!--no-leader-elect", options.leader_elect,
               "Take part in the election (default)");
  client::add_leader_election_flags(app, options.election);
  app.add_option("--healthz-bind-address", options.daemon.healthz_bind_address,
                 "ADDRESS:PORT of /healthz and /metrics; empty: none")
      ->capture_default_str();
  app.add_option("--log-level", options.daemon.log_level, "debug, info, warning or error")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return client::run_daemon(options.daemon, [&](client::Daemon& daemon) { return run(options, daemon); });
}
