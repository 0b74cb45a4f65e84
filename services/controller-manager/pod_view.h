// What controllers read of a Pod, and nothing else: with 20,000 pods the rest would be most of the
// process. Use with Informer<PodView>.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/core_v1.h"
#include "api/types/meta_v1.h"

namespace coxswain::controllers {

struct PodMeta {
  std::string namespace_;
  std::string name;
  std::string uid;
  std::string resourceVersion;
  std::int64_t created_ms = 0;
  std::map<std::string, std::string> labels;
  std::vector<api::meta::v1::OwnerReference> ownerReferences;
  bool deleting = false;
};

struct PodPort {
  std::string name;
  std::string protocol;
  std::int32_t port = 0;
};

struct PodView {
  static constexpr std::string_view kGroup = "";
  static constexpr std::string_view kVersion = "v1";
  static constexpr std::string_view kKind = "Pod";
  static constexpr std::string_view kPlural = "pods";
  static constexpr bool kNamespaced = true;

  PodMeta metadata;
  std::string node;
  std::string hostname;
  std::string subdomain;
  std::vector<PodPort> named_ports;  // ports with a name: all that Services look up
  std::vector<api::core::v1::Toleration> tolerations;
  std::string phase;
  std::vector<std::string> ips;
  bool ready = false;
  std::int64_t ready_since_ms = 0;  // last transition of the Ready condition
  std::int32_t restarts = 0;        // the most of any container
  std::int64_t deletion_cost = 0;   // controller.kubernetes.io/pod-deletion-cost

  bool finished() const { return phase == "Succeeded" || phase == "Failed"; }
  bool active() const { return !finished() && !metadata.deleting; }
  bool available(std::int64_t min_ready_seconds, std::int64_t now_unix_ms) const {
    return ready && (min_ready_seconds == 0 || ready_since_ms + min_ready_seconds * 1000 <= now_unix_ms);
  }
};
using PodPointer = std::shared_ptr<const PodView>;

void from_json(const json::Value& value, PodView& pod);

}  // namespace coxswain::controllers
