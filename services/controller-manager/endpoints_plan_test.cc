#include "services/controller-manager/endpoints_plan.h"

#include <catch2/catch.hpp>

#include <set>

#include "libs/client/codec.h"

namespace coxswain::controllers {
namespace {

PodPointer pod(int n, bool ready = true, bool deleting = false) {
  auto p = std::make_shared<PodView>();
  p->metadata.uid = p->metadata.name = "p" + std::to_string(n);
  p->ips = {"10.0." + std::to_string(n / 250) + "." + std::to_string(n % 250 + 1)};
  p->node = "n1";
  p->phase = "Running";
  p->ready = ready;
  p->metadata.deleting = deleting;
  p->named_ports = {{"web", "TCP", n % 2 ? 8080 : 8081}};
  return p;
}
Service service() {
  Service s;
  s.metadata.name = "svc";
  s.metadata.uid = "su";
  s.metadata.namespace_ = "ns";
  s.spec.ports.resize(1);
  s.spec.ports[0].name = "http";
  s.spec.ports[0].port = 80;
  s.spec.ports[0].targetPort = api::IntOrString::of(8000);
  return s;
}
// What the server would hold after the plan.
std::vector<EndpointSlice> apply(std::vector<EndpointSlice> slices, const SlicePlan& plan, int& counter) {
  for (const auto& name : plan.remove)
    std::erase_if(slices, [&](const auto& s) { return s.metadata.name == name; });
  for (const auto& update : plan.update) {
    for (auto& slice : slices) {
      if (slice.metadata.name == update.metadata.name) slice = update;
    }
  }
  for (auto slice : plan.create) {
    slice.metadata.name = slice.metadata.generateName + std::to_string(++counter);
    slices.push_back(slice);
  }
  return slices;
}

TEST_CASE("conditions: ready, serving, terminating") {
  Service s = service();
  auto groups = group_endpoints(s, {pod(1), pod(2, false), pod(3, true, true)}, {{"n1", "z1"}});
  REQUIRE(groups.size() == 1);
  const auto& e = groups[0].endpoints;
  REQUIRE(e.size() == 3);
  CHECK((*e[0].conditions.ready && *e[0].conditions.serving && !*e[0].conditions.terminating));
  CHECK((!*e[1].conditions.ready && !*e[1].conditions.serving));
  CHECK((!*e[2].conditions.ready && *e[2].conditions.serving && *e[2].conditions.terminating));
  CHECK(*e[0].zone == "z1");
  const auto subsets = plan_subsets(s, groups);
  REQUIRE(subsets.size() == 1);
  CHECK(subsets[0].addresses.size() == 1);
  CHECK(subsets[0].notReadyAddresses.size() == 1);
  s.spec.publishNotReadyAddresses = true;
  groups = group_endpoints(s, {pod(2, false)}, {});
  CHECK(*groups[0].endpoints[0].conditions.ready);
}

TEST_CASE("named ports resolve per pod; a pod without the port is left out") {
  Service s = service();
  s.spec.ports[0].targetPort = api::IntOrString::of(std::string("web"));
  const auto groups = group_endpoints(s, {pod(1), pod(2), pod(3)}, {});
  REQUIRE(groups.size() == 2);
  CHECK(*groups[0].ports[0].port == 8080);
  CHECK(groups[0].endpoints.size() == 2);
  s.spec.ports[0].protocol = "UDP";
  CHECK(group_endpoints(s, {pod(1)}, {}).empty());
}

TEST_CASE("slices: at most 100 each, stable, empty ones go but one stays") {
  const Service s = service();
  std::vector<PodPointer> pods;
  for (int i = 0; i < 250; ++i) pods.push_back(pod(i));
  int counter = 0;
  auto slices = apply({}, plan_slices(s, group_endpoints(s, pods, {}), {}), counter);
  REQUIRE(slices.size() == 3);
  CHECK(slices[0].metadata.labels.at("kubernetes.io/service-name") == "svc");
  auto plan = plan_slices(s, group_endpoints(s, pods, {}), slices);
  CHECK((plan.create.empty() && plan.update.empty() && plan.remove.empty()));

  pods[5] = pod(5, false);  // one readiness change touches one slice
  plan = plan_slices(s, group_endpoints(s, pods, {}), slices);
  CHECK(plan.update.size() == 1);
  slices = apply(slices, plan, counter);

  pods.erase(pods.begin() + 10);
  pods.push_back(pod(300));  // a replacement: one goes, one comes, one slice
  plan = plan_slices(s, group_endpoints(s, pods, {}), slices);
  CHECK(plan.update.size() == 1);
  slices = apply(slices, plan, counter);
  std::set<std::string> seen;
  for (const auto& slice : slices) {
    CHECK(slice.endpoints.size() <= kMaxEndpointsPerSlice);
    for (const auto& e : slice.endpoints) CHECK(seen.insert(e.targetRef->uid).second);
  }
  CHECK(seen.size() == 250);

  slices = apply(slices, plan_slices(s, {}, slices), counter);
  REQUIRE(slices.size() == 1);
  CHECK(slices[0].endpoints.empty());
  plan = plan_slices(s, {}, slices);
  CHECK((plan.create.empty() && plan.update.empty() && plan.remove.empty()));
  slices = apply(slices, plan_slices(s, group_endpoints(s, {pod(1)}, {}), slices), counter);
  CHECK(slices.size() == 1);
}

}  // namespace
}  // namespace coxswain::controllers
