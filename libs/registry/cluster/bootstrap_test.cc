// What is there before anybody wrote anything.
#include <catch2/catch.hpp>

#include <future>
#include <thread>

#include "libs/registry/follower_store.h"
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

TEST_CASE("servers that start at once make one cluster") {
  for (int round = 0; round < 20; ++round) {
    const std::unique_ptr<store::Store> store = std::move(store::open_memory_store().value());
    std::vector<std::unique_ptr<Registry>> servers;
    for (int i = 0; i < 4; ++i) {
      Options options = advertising("192.0.2.7", 7440 + i);
      options.authenticate = false;
      options.several_servers = true;
      servers.push_back(std::make_unique<Registry>(*store, options));
    }
    std::vector<std::future<Result<void>>> started;
    for (auto& server : servers)
      started.push_back(std::async(std::launch::async, [&server] { return server->bootstrap(); }));
    for (auto& result : started) {
      const Result<void> made = result.get();
      INFO((made.ok() ? "" : made.error().message));
      REQUIRE(made.ok());
    }
    const Registry::Answer namespaces = servers[0]->call("GET", "/api/v1/namespaces");
    CHECK(json::parse(namespaces.body)->find("items")->as_array().size() == 4);
    CHECK(servers[0]->call("GET", kInDefault + "/services/kubernetes").code == 200);
  }
}

TEST_CASE("a store without a quorum is waited for, and resources are refused meanwhile") {
  const std::unique_ptr<store::Store> leader = std::move(store::open_memory_store().value());
  FollowerStore store(*leader);
  Options options;
  options.authenticate = false;
  Registry registry(store, options);
  const auto ask = [&registry](const std::string& target) {
    auto exchange = std::make_shared<LocalExchange>(make_request("GET", target));
    registry.handle(exchange);
    REQUIRE(exchange->wait_done());
    return exchange;
  };
  SECTION("known to have none, then it comes") {
    store.set_not_serving("no quorum");
    auto started = std::async(std::launch::async, [&] { return registry.bootstrap(); });
    CHECK(started.wait_for(std::chrono::milliseconds(600)) == std::future_status::timeout);
    CHECK(leader->revision() == 0);
    CHECK(ask("/readyz")->status() == 500);
    CHECK(ask("/livez")->status() == 200);
    const auto refused = ask("/api/v1/namespaces/default");
    CHECK(refused->status() == 503);
    CHECK(http::find_header(refused->headers(), "Retry-After") == "1");
    store.set_not_serving("");
    REQUIRE(started.get().ok());
    CHECK(ask("/readyz")->status() == 200);
    CHECK(ask("/api/v1/namespaces/default")->status() == 200);
  }
  SECTION("lost while it starts") {
    store.fall_behind();
    auto started = std::async(std::launch::async, [&] { return registry.bootstrap(); });
    for (int i = 0; i < 3; ++i) {
      while (store.waiting() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      store.fail_barriers("nobody leads");
    }
    while (started.wait_for(std::chrono::milliseconds(1)) == std::future_status::timeout) store.catch_up();
    REQUIRE(started.get().ok());
    CHECK(ask("/readyz")->status() == 200);
  }
  SECTION("a stop is heard at once, whatever is waited for") {
    const bool hangs = GENERATE(true, false);
    if (hangs)
      store.fall_behind();
    else
      store.set_not_serving("no quorum");
    std::stop_source stop;
    auto started = std::async(std::launch::async, [&] { return registry.bootstrap(stop.get_token()); });
    CHECK(started.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
    stop.request_stop();
    REQUIRE(started.wait_for(std::chrono::seconds(5)) == std::future_status::ready);
    const Result<void> made = started.get();
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().code == ErrorCode::kCancelled);
    CHECK(ask("/readyz")->status() == 500);
    store.fail_barriers("closing");
  }
}
