#include "services/controller-manager/node_zones.h"

#include <algorithm>

namespace coxswain::controllers {
namespace {

constexpr int kLargeZone = 50;
constexpr int kUnhealthyPercent = 55;
constexpr std::int64_t kTurn_ms = 10'000;
constexpr std::int64_t kSlowTurn_ms = 100'000;
constexpr std::int64_t kAskAgain_ms = 5'000;

}  // namespace

ZoneState zone_state(int ready, int not_ready) {
  if (ready == 0 && not_ready > 0) return ZoneState::kFullDisruption;
  const bool many = not_ready > 2 && not_ready * 100 >= kUnhealthyPercent * (ready + not_ready);
  return many ? ZoneState::kPartialDisruption : ZoneState::kNormal;
}

std::string zone_key(const api::core::v1::Node& node) {
  const auto label = [&](const char* key) {
    const auto at = node.metadata.labels.find(key);
    return at == node.metadata.labels.end() ? std::string() : at->second;
  };
  return label("topology.kubernetes.io/region") + ":" + label("topology.kubernetes.io/zone");
}

void NodeZones::set(const std::string& node, const std::string& zone, bool ready) {
  remove(node);
  nodes_[node] = {zone, ready};
  ++(ready ? zones_[zone].ready : zones_[zone].not_ready);
}

// A zone without nodes stays known: its last turn still counts when a node comes back.
void NodeZones::remove(const std::string& node) {
  const auto at = nodes_.find(node);
  if (at == nodes_.end()) return;
  Zone& zone = zones_[at->second.zone];
  --(at->second.ready ? zone.ready : zone.not_ready);
  nodes_.erase(at);
}

bool NodeZones::all_disrupted() const {
  return !nodes_.empty() &&
         std::none_of(zones_.begin(), zones_.end(), [](const auto& entry) { return entry.second.ready > 0; });
}

std::int64_t NodeZones::take_turn_ms(const std::string& key, std::int64_t now_ms) {
  if (all_disrupted()) return kAskAgain_ms;
  Zone& zone = zones_[key];
  std::int64_t pause_ms = kTurn_ms;
  if (zone_state(zone.ready, zone.not_ready) == ZoneState::kPartialDisruption) {
    if (zone.ready + zone.not_ready <= kLargeZone) return kAskAgain_ms;
    pause_ms = kSlowTurn_ms;
  }
  if (zone.last_turn_ms && now_ms < *zone.last_turn_ms + pause_ms)
    return std::min(kAskAgain_ms, *zone.last_turn_ms + pause_ms - now_ms);
  zone.last_turn_ms = now_ms;
  return 0;
}

}  // namespace coxswain::controllers
