#include "services/controller-manager/endpoints_mirror.h"

#include <catch2/catch.hpp>

#include "libs/client/codec.h"

namespace coxswain::controllers {
namespace {

Endpoints endpoints(const char* text) {
  const auto parsed = json::parse(text);
  REQUIRE(parsed.ok());
  return client::decode<Endpoints>(*parsed);
}

constexpr const char* kByHand = R"({"metadata":{"namespace":"ns","name":"db","uid":"e","labels":{"tier":"x"}},
  "subsets":[{"addresses":[{"ip":"192.0.2.1"},{"ip":"2001:db8::1"}],"notReadyAddresses":[{"ip":"192.0.2.2"}],
  "ports":[{"name":"sql","port":5432,"protocol":"TCP"}]}]})";

TEST_CASE("endpoints by hand become a slice, and stay one without further writes") {
  const Endpoints by_hand = endpoints(kByHand);
  SlicePlan plan = plan_mirror(by_hand, {});
  REQUIRE(plan.create.size() == 1);
  EndpointSlice slice = plan.create[0];
  CHECK(slice.metadata.generateName == "db-");
  CHECK(slice.metadata.labels.at("kubernetes.io/service-name") == "db");
  CHECK(slice.metadata.labels.at("endpointslice.kubernetes.io/managed-by") == kMirroredBy);
  CHECK(slice.metadata.labels.at("tier") == "x");
  CHECK(slice.metadata.ownerReferences.at(0).kind == "Endpoints");
  CHECK(slice.metadata.ownerReferences.at(0).uid == "e");
  CHECK(slice.ports.at(0).port == 5432);
  REQUIRE(slice.endpoints.size() == 2);  // IPv4 only
  CHECK(slice.endpoints[0].conditions.ready == true);
  CHECK(slice.endpoints[1].conditions.ready == false);

  slice.metadata.name = "db-1";
  plan = plan_mirror(by_hand, {slice});
  CHECK((plan.create.empty() && plan.update.empty() && plan.remove.empty()));
  Endpoints changed = by_hand;
  changed.subsets[0].notReadyAddresses.clear();
  plan = plan_mirror(changed, {slice});
  REQUIRE(plan.update.size() == 1);
  CHECK(plan.update[0].endpoints.size() == 1);
  CHECK(plan.update[0].metadata.labels.at("endpointslice.kubernetes.io/managed-by") == kMirroredBy);
}

TEST_CASE("which endpoints are mirrored") {
  Endpoints by_hand = endpoints(kByHand);
  CHECK(wants_mirror(by_hand));
  by_hand.metadata.labels["endpointslice.kubernetes.io/skip-mirror"] = "true";
  CHECK_FALSE(wants_mirror(by_hand));
  by_hand = endpoints(kByHand);
  by_hand.metadata.labels["endpoints.kubernetes.io/managed-by"] = "endpoint-controller";
  CHECK_FALSE(wants_mirror(by_hand));
  by_hand = endpoints(kByHand);
  by_hand.metadata.annotations["control-plane.alpha.kubernetes.io/leader"] = "{}";
  CHECK_FALSE(wants_mirror(by_hand));
}

}  // namespace
}  // namespace coxswain::controllers
