// The choice of a node's pod range; pure.
#pragma once

#include <set>
#include <string>

#include "libs/common/base/result.h"

namespace coxswain::controllers {

// The lowest range of `node_mask` inside `cluster_cidr` (IPv4) that is not used.
Result<std::string> free_pod_cidr(const std::string& cluster_cidr, int node_mask,
                                  const std::set<std::string>& used);

}  // namespace coxswain::controllers
