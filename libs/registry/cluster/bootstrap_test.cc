// What is there before anybody wrote anything.
#include <catch2/catch.hpp>

#include "libs/registry/test_cluster.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kInDefault = "/api/v1/namespaces/default";
const std::string kSlice = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";

Options advertising(const char* address, std::int32_t port) {
  Options options;
  options.settings.service_cluster_ip_range = "10.32.0.0/16";
  options.advertise_address = address;
  options.advertise_port = port;
  return options;
}

std::string text(const json::Value& object, std::initializer_list<std::string_view> path) {
  const json::Value* found = object.find_path(path);
  return found == nullptr ? "" : json::write(*found);
}

// Where the Service, then the Endpoints and the EndpointSlice, lead to.
void check_endpoints(Cluster& cluster, const std::string& address, const std::string& port) {
  const std::string ports = R"([{"name":"https","port":)" + port + R"(,"protocol":"TCP"}])";
  const json::Value endpoints = cluster.json("GET", kInDefault + "/endpoints/kubernetes", 200);
  CHECK(text(endpoints, {"subsets"}) ==
        R"([{"addresses":[{"ip":")" + address + R"("}],"ports":)" + ports + "}]");
  const json::Value slice = cluster.json("GET", kSlice, 200);
  CHECK(text(slice, {"addressType"}) == R"("IPv4")");
  CHECK(text(slice, {"endpoints"}) ==
        R"([{"addresses":[")" + address + R"("],"conditions":{"ready":true}}])");
  CHECK(text(slice, {"ports"}) == ports);
  CHECK(slice.get_string_path({"metadata", "labels", "kubernetes.io/service-name"}) == "kubernetes");
}

}  // namespace

TEST_CASE("a new cluster has its four namespaces") {
  Cluster cluster;
  std::vector<std::string> names;
  const json::Value namespaces = cluster.json("GET", "/api/v1/namespaces", 200);
  for (const json::Value& item : namespaces.find("items")->as_array()) {
    names.push_back(item.get_string_path({"metadata", "name"}));
    CHECK(item.get_string_path({"status", "phase"}) == "Active");
  }
  CHECK(names == std::vector<std::string>{"default", "kube-node-lease", "kube-public", "kube-system"});
}

TEST_CASE("the Service kubernetes leads to the advertised address") {
  Cluster cluster(advertising("192.0.2.7", 7443));
  const json::Value service = cluster.json("GET", kInDefault + "/services/kubernetes", 200);
  CHECK(service.get_string_path({"spec", "type"}) == "ClusterIP");
  CHECK(service.get_string_path({"spec", "clusterIP"}) == "10.32.0.1");
  CHECK(text(service, {"spec", "clusterIPs"}) == R"(["10.32.0.1"])");
  CHECK(text(service, {"spec", "ports"}) ==
        R"([{"name":"https","protocol":"TCP","port":443,"targetPort":7443}])");
  CHECK(text(service, {"spec", "selector"}).empty());  // nobody else manages its endpoints
  check_endpoints(cluster, "192.0.2.7", "7443");
}

TEST_CASE("a second start corrects the endpoints and leaves the rest alone") {
  Cluster cluster(advertising("192.0.2.7", 7443));
  cluster.json("PATCH", kInDefault, 200, R"({"metadata":{"labels":{"team":"a"}}})",
               "application/merge-patch+json");
  const json::Value service = cluster.json("GET", kInDefault + "/services/kubernetes", 200);
  Options options = advertising("192.0.2.8", 8443);
  options.authenticate = false;
  cluster.registry = std::make_unique<Registry>(*cluster.store, options);
  REQUIRE(cluster.registry->bootstrap().ok());
  check_endpoints(cluster, "192.0.2.8", "8443");
  CHECK(cluster.json("GET", kInDefault + "/services/kubernetes", 200) == service);
  CHECK(cluster.json("GET", kInDefault, 200).get_string_path({"metadata", "labels", "team"}) == "a");

  const store::Revision before = cluster.store->revision();
  REQUIRE(cluster.registry->bootstrap().ok());
  CHECK(cluster.store->revision() == before);
}

TEST_CASE("a range of addresses that is none is refused") {
  const std::unique_ptr<store::Store> store = std::move(store::open_memory_store().value());
  Options options;
  options.settings.service_cluster_ip_range = "10.32.0.0";
  Registry registry(*store, options);
  const Result<void> made = registry.bootstrap();
  REQUIRE_FALSE(made.ok());
  CHECK(made.error().message.find("--service-cluster-ip-range") != std::string::npos);
}
