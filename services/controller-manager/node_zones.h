// How fast nodes may lose their pods, so that a broken network or a broken control plane does not empty the
// cluster; pure. The rules and numbers are those of Kubernetes' node lifecycle controller:
//   all zones have no ready node   the trouble is more likely ours: nobody is evicted
//   a zone has no ready node       as in a healthy one: one node in 10 s
//   55 % not ready, at least 3     one node in 100 s where the zone has more than 50, else none
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "api/types/core_v1.h"

namespace coxswain::controllers {

enum class ZoneState { kNormal, kPartialDisruption, kFullDisruption };
ZoneState zone_state(int ready, int not_ready);

// Region and zone, from the node's labels; nodes without them share one.
std::string zone_key(const api::core::v1::Node& node);

// Not thread-safe.
class NodeZones {
 public:
  void set(const std::string& node, const std::string& zone, bool ready);
  void remove(const std::string& node);
  // True when there are nodes and none of them is ready.
  bool all_disrupted() const;
  // Asks to let the pods of one more node of the zone go. Zero: now, and it counts. Else the milliseconds
  // until it is worth to ask again.
  std::int64_t take_turn_ms(const std::string& zone, std::int64_t now_ms);

 private:
  struct Member {
    std::string zone;
    bool ready = false;
  };
  struct Zone {
    int ready = 0;
    int not_ready = 0;
    std::optional<std::int64_t> last_turn_ms;
  };
  std::map<std::string, Member> nodes_;
  std::map<std::string, Zone> zones_;
};

}  // namespace coxswain::controllers
