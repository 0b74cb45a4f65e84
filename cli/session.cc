#include <cstdio>

#include "cli/options.h"
#include "libs/common/kubeconfig/kubeconfig.h"

namespace coxswain::cli {

Result<Session> connect(const GlobalOptions& options) {
  COX_ASSIGN_OR_RETURN(const kubeconfig::Config config, kubeconfig::load(options.kubeconfig));
  Session session;
  COX_ASSIGN_OR_RETURN(session.api, client::ApiClient::from_kubeconfig(options.kubeconfig, "coxctl"));
  session.ns = !options.ns.empty() ? options.ns : !config.ns.empty() ? config.ns : "default";
  session.server = config.server;
  return session;
}

int fail(const api::Status& status) {
  if (client::is_connection_error(status)) {
    std::fprintf(stderr, "error: %s\n", status.message.c_str());
  } else {
    std::fprintf(stderr, "Error from server (%s): %s\n", status.reason.c_str(), status.message.c_str());
  }
  return 1;
}

int fail(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  return 1;
}

int fail_usage(const std::string& message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return 2;
}

}  // namespace coxswain::cli
