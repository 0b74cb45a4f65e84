// What every coxctl command gets: the flags that all share, and a connection made on first use.
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "libs/client/api_client.h"

namespace coxswain::cli {

struct GlobalOptions {
  std::string kubeconfig;       // --kubeconfig; "": $KUBECONFIG, then ~/.kube/config
  std::string ns;               // -n
  bool all_namespaces = false;  // -A
};

// One connection, and the namespace that the kubeconfig's context or -n names.
struct Session {
  std::shared_ptr<client::ApiClient> api;
  std::string ns;
  std::string server;
};

Result<Session> connect(const GlobalOptions& options);

// Prints `Error from server (Reason): message`, or the plain message when there was no server.
int fail(const api::Status& status);
int fail(const Error& error);
int fail_usage(const std::string& message);

}  // namespace coxswain::cli
