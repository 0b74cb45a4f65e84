// Which pods nobody else will ever remove; pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/controller-manager/pod_view.h"

namespace coxswain::controllers {

struct PodGcInput {
  std::vector<PodPointer> pods;
  std::set<std::string> nodes;
  std::set<std::string> out_of_service;                  // nodes with that taint that are not ready
  std::map<std::string, std::int64_t> missing_since_ms;  // nodes that pods name and nobody knows
  std::int64_t now_ms = 0;
  std::int64_t terminated_threshold = 12'500;
};
struct PodGcPlan {
  std::vector<PodPointer> orphaned;  // their node is gone: check that it is, live
  std::vector<PodPointer> remove;    // with grace period 0
  std::map<std::string, std::int64_t> missing_since_ms;
};
PodGcPlan plan_pod_gc(const PodGcInput& input);

}  // namespace coxswain::controllers
