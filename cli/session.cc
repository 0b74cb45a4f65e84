#include <cstdio>

#include "cli/options.h"
#include "libs/common/kubeconfig/kubeconfig.h"

namespace coxswain::cli {

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
