#include "services/controller-manager/manager.h"

#include <set>

#include "libs/common/kubeconfig/kubeconfig.h"
#include "libs/common/log/log.h"
#include "services/controller-manager/node_ipam.h"

namespace coxswain::controllers {
namespace {

void lead(Context& context, std::stop_token stop) {
  context.informers.get<PodView>().add_index(
      "controller", [](const PodView& pod) -> std::vector<std::string> {
        const auto* owner = client::controller_of(pod.metadata.ownerReferences);
        return {owner == nullptr ? std::string() : owner->uid};  // "" finds the orphans
      });
  context.informers.get<PodView>().add_index("node",
                                             [](const PodView& pod) { return std::vector{pod.node}; });
  std::vector<std::unique_ptr<Loop>> loops;
  for (const auto make :
       {make_node_ipam, make_node_lifecycle, make_service_account, make_replicaset, make_deployment,
        make_endpoints, make_namespace, make_pod_gc, make_garbage_collector}) {
    loops.push_back(make(context));
  }
  context.informers.start();
  if (context.informers.wait_for_sync(stop)) {
    log_info("informers are synced, controllers start", {});
    for (auto& loop : loops) loop->start();
    client::wait_for_stop(stop);
  }
  // Informers call into the loops' queues: they stop first.
  context.informers.stop();
  for (auto& loop : loops) loop->stop();
}

}  // namespace

Result<void> run_manager(client::Daemon& daemon, ManagerOptions options) {
  COX_RETURN_IF_ERROR(free_pod_cidr(options.settings.cluster_cidr, options.settings.node_cidr_mask_size, {}));
  COX_ASSIGN_OR_RETURN(const auto config, kubeconfig::load(options.kubeconfig));
  options.settings.root_ca_pem = config.ca_pem;
  COX_ASSIGN_OR_RETURN(const auto client,
                       client::ApiClient::from_kubeconfig(options.kubeconfig, "coxswain-controller-manager",
                                                          {.servers = options.api_servers}));
  client::InformerSet informers(*client);
  client::EventRecorder events(*client, "controller-manager");
  Context context{*client, informers, events, options.settings, system_clock()};
  if (!options.leader_elect) {
    lead(context, daemon.stop_token());
    return {};
  }
  client::LeaderElector elector(*client, options.election);
  const auto leading = daemon.add_metrics([&](std::string& out) { elector.write_metrics(out); });
  const bool kept = elector.run(daemon.stop_token(), [&](std::stop_token stop) {
    // Calls in flight must not outlive the lease: whoever lost it drops everything and stands by anew.
    const std::stop_callback on_lost(stop, [&daemon] {
      if (!daemon.stop_token().stop_requested()) {
        log_error("leadership lost, starting anew", {});
        client::restart_process();
      }
    });
    lead(context, stop);
  });
  if (!kept) return make_error(ErrorCode::kUnavailable, "leadership lost");
  return {};
}

}  // namespace coxswain::controllers
