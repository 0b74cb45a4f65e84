#include "services/controller-manager/node_zones.h"

#include <catch2/catch.hpp>

#include "services/controller-manager/node_lifecycle_plan.h"

namespace coxswain::controllers {
namespace {

TEST_CASE("the state of a zone") {
  struct Row {
    int ready, not_ready;
    ZoneState state;
  };
  for (const Row& row : std::initializer_list<Row>{{0, 0, ZoneState::kNormal},
                                                   {1, 0, ZoneState::kNormal},
                                                   {0, 1, ZoneState::kFullDisruption},
                                                   {0, 9, ZoneState::kFullDisruption},
                                                   {1, 2, ZoneState::kNormal},  // 66 %, but only two
                                                   {2, 3, ZoneState::kPartialDisruption},
                                                   {9, 11, ZoneState::kPartialDisruption},  // 55 %
                                                   {10, 11, ZoneState::kNormal}}) {
    INFO(row.ready << " ready, " << row.not_ready << " not");
    CHECK(zone_state(row.ready, row.not_ready) == row.state);
  }
}

TEST_CASE("turns: one node in 10 s and zone, none when everything is down") {
  NodeZones zones;
  CHECK_FALSE(zones.all_disrupted());
  zones.set("a1", "a", false);
  CHECK(zones.all_disrupted());
  CHECK(zones.take_turn_ms("a", 0) > 0);
  zones.set("b1", "b", true);
  CHECK_FALSE(zones.all_disrupted());
  zones.set("a2", "a", false);
  CHECK(zones.take_turn_ms("a", 1'000) == 0);  // its whole zone is down: as in a healthy one
  CHECK(zones.take_turn_ms("a", 1'001) == 5'000);
  CHECK(zones.take_turn_ms("a", 10'500) == 500);
  CHECK(zones.take_turn_ms("a", 11'000) == 0);
  zones.set("b2", "b", false);
  CHECK(zones.take_turn_ms("b", 11'000) == 0);  // zones do not wait for each other
  zones.set("b1", "b", false);
  CHECK(zones.all_disrupted());
  zones.remove("a1");
  zones.set("a2", "a", true);
  CHECK_FALSE(zones.all_disrupted());
}

TEST_CASE("turns: a zone that is mostly down evicts slowly when large, not at all when small") {
  NodeZones zones;
  const auto fill = [&](const char* zone, int ready, int not_ready) {
    for (int i = 0; i < ready + not_ready; ++i) zones.set(zone + std::to_string(i), zone, i < ready);
  };
  fill("small", 10, 40);
  fill("large", 11, 40);
  CHECK(zones.take_turn_ms("small", 0) > 0);
  CHECK(zones.take_turn_ms("large", 0) == 0);
  CHECK(zones.take_turn_ms("large", 99'999) == 1);
  CHECK(zones.take_turn_ms("large", 100'000) == 0);
}

TEST_CASE("a lost node gets its NoExecute taint when it is its turn, and loses it when all are lost") {
  const Taint no_schedule{"node.kubernetes.io/unreachable", "", "NoSchedule", std::nullopt};
  const Taint no_execute{"node.kubernetes.io/unreachable", "", "NoExecute", std::nullopt};
  const Taint swapped{"node.kubernetes.io/not-ready", "", "NoExecute", std::nullopt};
  const Taint own{"mine", "", "NoExecute", std::nullopt};
  const std::vector<Taint> wanted{own, no_schedule, no_execute};
  const auto size_of = [](const std::optional<std::vector<Taint>>& taints) {
    return taints ? taints->size() : 99;
  };
  CHECK(wants_eviction_turn({own}, wanted));
  CHECK_FALSE(wants_eviction_turn({own}, {own, no_schedule}));
  CHECK_FALSE(wants_eviction_turn({swapped}, wanted));  // only another name for what it has
  CHECK(size_of(without_eviction({own}, wanted)) == 2);
  CHECK(size_of(without_eviction({own, no_schedule}, wanted)) == 99);  // nothing to write
  CHECK(size_of(without_eviction({own, no_schedule, no_execute}, std::nullopt)) == 2);
}

}  // namespace
}  // namespace coxswain::controllers
