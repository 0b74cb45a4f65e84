// Discovery as clients ask for it: one document for all, or the legacy ones.
#include <algorithm>
#include <catch2/catch.hpp>

#include "libs/registry/follower_store.h"
#include "libs/registry/test_cluster.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kAggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

}  // namespace

TEST_CASE("discovery is aggregated for those who ask for it, and legacy for the others") {
  struct Row {
    std::string accept;
    const char* path;
    const char* kind;
    std::string type;
  };
  const std::string json = "application/json";
  const Row rows[] = {
      {kAggregated, "/api", "APIGroupDiscoveryList", kAggregated},
      {kAggregated, "/apis", "APIGroupDiscoveryList", kAggregated},
      // What kubectl sends: the newest first, the legacy form last.
      {kAggregated + ",application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList," + json,
       "/apis", "APIGroupDiscoveryList", kAggregated},
      {"application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io", "/apis",
       "APIGroupDiscoveryList", kAggregated},
      {json, "/api", "APIVersions", json},
      {json, "/apis", "APIGroupList", json},
      {"", "/apis", "APIGroupList", json},
      {"*/*", "/api", "APIVersions", json},
      // A version that is not spoken here.
      {"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList," + json, "/apis",
       "APIGroupList", json},
      {kAggregated + "," + json, "/apis/apps", "APIGroup", json},
      {kAggregated + "," + json, "/apis/apps/v1", "APIResourceList", json},
      {kAggregated + "," + json, "/api/v1", "APIResourceList", json},
  };
  Cluster cluster;
  for (const Row& row : rows) {
    INFO(row.path << " " << row.accept);
    const auto answer = cluster.send("GET", row.path, "", "", {{"Accept", row.accept}});
    REQUIRE(answer->status() == 200);
    CHECK(http::find_header(answer->headers(), "Content-Type") == row.type);
    CHECK(http::find_header(answer->headers(), "Vary") == "Accept");
    const auto document = json::parse(answer->body());
    REQUIRE(document.ok());
    CHECK(document->get_string("kind") == row.kind);
  }
}

TEST_CASE("the two forms of discovery tell of the same groups") {
  Cluster cluster;
  std::vector<std::string> legacy;
  const json::Value groups = cluster.json("GET", "/apis", 200);
  for (const json::Value& group : groups.find("groups")->as_array())
    legacy.push_back(group.get_string("name"));
  const auto answer = cluster.send("GET", "/apis", "", "", {{"Accept", kAggregated}});
  const auto document = json::parse(answer->body());
  REQUIRE(document.ok());
  std::vector<std::string> aggregated;
  for (const json::Value& group : document->find("items")->as_array())
    aggregated.push_back(group.get_string_path({"metadata", "name"}));
  CHECK(std::find(legacy.begin(), legacy.end(), "apps") != legacy.end());
  CHECK(aggregated == legacy);
}

TEST_CASE("a document that the client knows is not sent again") {
  Cluster cluster;
  const auto first = cluster.send("GET", "/apis", "", "", {{"Accept", kAggregated}});
  const std::string etag(http::find_header(first->headers(), "ETag"));
  REQUIRE_FALSE(etag.empty());
  const auto again = cluster.send("GET", "/apis", "", "", {{"Accept", kAggregated}, {"If-None-Match", etag}});
  CHECK(again->status() == 304);
  CHECK(again->body().empty());
  // The other form is another document.
  CHECK(cluster.send("GET", "/apis", "", "", {{"If-None-Match", etag}})->status() == 200);
}

TEST_CASE("a server whose store has no quorum is alive but not ready, and says why to those who may know") {
  Cluster cluster;
  FollowerStore store(*cluster.store);
  Registry registry(store, Options{});
  const auto ask = [&](const std::string& target, const std::string& user) {
    http::Request request = make_request("GET", target);
    request.peer.common_name = user;
    auto exchange = std::make_shared<LocalExchange>(std::move(request));
    registry.handle(exchange);
    return std::pair(exchange->status(), exchange->body());
  };
  const auto has = [](const std::string& body, const std::string& text) {
    return body.find(text) != body.npos;
  };
  CHECK(ask("/readyz/store", "") == std::pair(200, std::string("ok")));
  store.set_not_serving("member 1 knows of no leader");
  for (const char* target : {"/readyz", "/readyz?verbose", "/readyz/store"}) {
    INFO(target);
    const auto [code, body] = ask(target, "kubernetes-admin");
    CHECK(code == 500);
    CHECK(has(body, "[-]store failed: member 1 knows of no leader\n"));
    const auto [anonymous_code, anonymous] = ask(target, "");
    CHECK(anonymous_code == 500);
    CHECK(has(anonymous, "[-]store failed: reason withheld\n"));
    CHECK_FALSE(has(anonymous, "member 1"));
  }
  CHECK(ask("/livez", "").first == 200);
  CHECK(ask("/healthz", "").first == 200);
  CHECK_FALSE(has(ask("/livez?verbose", "").second, "store"));
  CHECK(ask("/livez/store", "").first == 404);
  store.set_not_serving("");
  CHECK(ask("/readyz/store", "") == std::pair(200, std::string("ok")));
}
