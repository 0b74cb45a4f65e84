// kubeconfig files: which server, whom to trust, who we are. Reads what kubectl reads, writes what the
// cluster hands out.
#pragma once

#include <string>

#include "libs/common/base/result.h"

namespace coxswain::kubeconfig {

// One context, resolved: certificates as PEM text whether they stood inline or in files.
struct Config {
  std::string server;  // "https://127.0.0.1:6443", no trailing slash
  std::string ns;      // the context's namespace; "" when none
  std::string context;
  std::string user;
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
  std::string token;
  bool insecure_skip_verify = false;
};

// `path` empty: $KUBECONFIG (files separated by ':', the first that says a thing wins), then
// ~/.kube/config. `context` empty: current-context. Relative paths inside are relative to the file.
Result<Config> load(const std::string& path = {}, const std::string& context = {});

// YAML with everything inline, for one cluster, user and context.
std::string format(const Config& config, const std::string& cluster_name);
// Written atomically with mode 0600.
Result<void> save(const std::string& path, const Config& config, const std::string& cluster_name);

}  // namespace coxswain::kubeconfig
