// All control loops over one set of informers, run while this process leads.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "libs/client/daemon.h"
#include "libs/client/leader_elector.h"
#include "services/controller-manager/context.h"

namespace coxswain::controllers {

struct ManagerOptions {
  std::string kubeconfig;
  std::vector<std::string> api_servers;  // instead of the kubeconfig's one
  bool leader_elect = true;
  client::LeaderElectionOptions election{.name = "kube-controller-manager"};
  Settings settings;
};

// Until a stop is requested. An error when it cannot start. A process that
// loses leadership starts anew as a candidate (client::restart_process).
Result<void> run_manager(client::Daemon& daemon, ManagerOptions options);

}  // namespace coxswain::controllers
