// Two api-servers on one store: what one acknowledged, the other one must not deny.
#include "libs/registry/freshness.h"

#include <catch2/catch.hpp>

#include "libs/common/base/strings.h"
#include "libs/registry/follower_store.h"
#include "libs/registry/test_cluster.h"
#include "libs/registry/timed_exchange.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kIn = "/api/v1/namespaces/default";
const std::string kMaps = kIn + "/configmaps";
const std::string kDeployments = "/apis/apps/v1/namespaces/default/deployments";
const std::string kPodBody = R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})";
const std::string kDeploymentBody =
    R"({"metadata":{"name":"d"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":{)"
    R"("metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";

std::string map_with(const std::string& name, const std::string& value) {
  return R"({"metadata":{"name":")" + name + R"("},"data":{"k":")" + value + R"("}})";
}

// Cluster `ahead` writes; `behind` is a second api-server, whose member has seen none of it since start.
struct TwoServers {
  Cluster ahead;
  std::unique_ptr<FollowerStore> follower;
  std::unique_ptr<Registry> behind;

  TwoServers() {
    ahead.json("POST", kMaps, 201, map_with("m", "stale"));
    ahead.json("POST", kMaps, 201, map_with("old", "stale"));
    follower = std::make_unique<FollowerStore>(*ahead.store);
    Options options;
    options.authenticate = false;
    behind = std::make_unique<Registry>(*follower, options);
    REQUIRE(behind->bootstrap().ok());
    follower->fall_behind();
  }
  template <typename E = LocalExchange>
  std::shared_ptr<E> ask(const std::string& method, const std::string& target, const std::string& body = {},
                         const std::string& type = "application/json") {
    auto exchange = std::make_shared<E>(make_request(method, target, body, type));
    behind->handle(exchange);
    return exchange;
  }
};

struct Row {
  const char* what;
  std::string method;
  std::string target;
  std::string body;
  int code;
  std::string shows;  // part of the answer that only the latest state can give
  std::string type = "application/json";
};

// What is asked of the server that is behind, after `prepare` at the other one.
std::vector<Row> rows() {
  const std::string merge = "application/merge-patch+json";
  return {
      {"get", "GET", kMaps + "/m", "", 200, "\"fresh\""},
      {"get of a new object", "GET", kMaps + "/new", "", 200, "\"fresh\""},
      {"list", "GET", kMaps, "", 200, "\"new\""},
      {"list of all namespaces", "GET", "/api/v1/configmaps?limit=500", "", 200, "\"new\""},
      {"list by name", "GET", kMaps + "?fieldSelector=metadata.name%3Dnew", "", 200, "\"fresh\""},
      {"create", "POST", "/api/v1/namespaces/made/configmaps", map_with("x", "1"), 201, "\"x\""},
      {"create what is there", "POST", kMaps, map_with("new", "1"), 409, "AlreadyExists"},
      {"dry run", "POST", kMaps + "?dryRun=All", map_with("new", "1"), 409, "AlreadyExists"},
      {"update", "PUT", kMaps + "/new", map_with("new", "again"), 200, "\"again\""},
      {"update without a change", "PUT", kMaps + "/m", map_with("m", "stale"), 200, "\"stale\""},
      {"patch", "PATCH", kMaps + "/new", R"({"data":{"more":"1"}})", 200, "\"fresh\"", merge},
      {"delete", "DELETE", kMaps + "/new", "", 200, "Success"},
      {"delete what is gone", "DELETE", kMaps + "/old", "", 404, "NotFound"},
      {"delete collection", "DELETE", kMaps, "", 200, "\"new\""},
      {"status", "GET", kIn + "/pods/p/status", "", 200, "\"p\""},
      {"status patch", "PATCH", kIn + "/pods/p/status", R"({"status":{"phase":"Running"}})", 200,
       "\"Running\"", merge},
      {"scale", "GET", kDeployments + "/d/scale", "", 200, "\"replicas\":1"},
      {"scale patch", "PATCH", kDeployments + "/d/scale", R"({"spec":{"replicas":3}})", 200, "\"replicas\":3",
       merge},
      {"binding", "POST", kIn + "/pods/p/binding",
       R"({"metadata":{"name":"p"},"target":{"kind":"Node","name":"n"}})", 201, "Success"},
      {"eviction", "POST", kIn + "/pods/p/eviction", R"({"metadata":{"name":"p"}})", 201, "Success"},
      {"finalize", "PUT", "/api/v1/namespaces/made/finalize", R"({"metadata":{"name":"made"},"spec":{}})",
       200, "\"made\""},
      {"log", "GET", kIn + "/pods/p/log", "", 200, ""},
  };
}

void prepare(Cluster& ahead) {
  ahead.json("PUT", kMaps + "/m", 200, map_with("m", "fresh"));
  ahead.json("POST", kMaps, 201, map_with("new", "fresh"));
  ahead.json("DELETE", kMaps + "/old", 200);
  ahead.json("POST", "/api/v1/namespaces", 201, R"({"metadata":{"name":"made"}})");
  ahead.json("POST", kIn + "/pods", 201, kPodBody);
  ahead.json("POST", kDeployments, 201, kDeploymentBody);
}

// "ADDED a", ... of the lines so far.
std::vector<std::string> events_of(const LocalExchange& exchange) {
  std::vector<std::string> out;
  for (const std::string& line : split(exchange.body(), '\n')) {
    if (line.empty()) continue;
    const auto event = json::parse(line);
    REQUIRE(event.ok());
    out.push_back(event->get_string("type") + " " + event->get_string_path({"object", "metadata", "name"}));
  }
  return out;
}

json::Value body_of(const LocalExchange& exchange) {
  const auto value = json::parse(exchange.body());
  REQUIRE(value.ok());
  return *value;
}

}  // namespace

TEST_CASE("every verb waits until this server knows what another one acknowledged") {
  for (const Row& row : rows()) {
    INFO(row.what);
    TwoServers servers;
    prepare(servers.ahead);
    const auto exchange = servers.ask(row.method, row.target, row.body, row.type);
    CHECK_FALSE(exchange->wait_done(20));
    CHECK(exchange->status() == 0);
    REQUIRE(servers.follower->waiting() == 1);
    servers.follower->catch_up();
    CHECK(exchange->status() == 0);  // off the store's thread
    REQUIRE(exchange->wait_done());
    INFO(exchange->body());
    CHECK(exchange->status() == row.code);
    CHECK(exchange->body().find(row.shows) != std::string::npos);
  }
}

TEST_CASE("without a quorum every verb is told to try again, and nothing happens") {
  for (const Row& row : rows()) {
    INFO(row.what);
    TwoServers servers;
    prepare(servers.ahead);
    const store::Revision before = servers.ahead.store->revision();
    const auto exchange = servers.ask(row.method, row.target, row.body, row.type);
    servers.follower->fail_barriers("nobody leads the store");
    REQUIRE(exchange->wait_done());
    CHECK(exchange->status() == 503);
    CHECK(http::find_header(exchange->headers(), "Retry-After") == "1");
    const json::Value status = body_of(*exchange);
    CHECK(status.get_string("reason") == "ServiceUnavailable");
    CHECK(status.get_string("message") == "nobody leads the store");
    CHECK(status.find_path({"details", "retryAfterSeconds"}) != nullptr);
    CHECK(servers.ahead.store->revision() == before);
  }
}

TEST_CASE("what may be of any age, or is asked for by a revision that is here, does not wait") {
  TwoServers servers;
  const std::string here = std::to_string(servers.follower->revision());
  prepare(servers.ahead);
  for (const std::string& target :
       {kMaps + "/m?resourceVersion=0", kMaps + "?resourceVersion=0", kMaps + "?resourceVersion=0&limit=1",
        kMaps + "/m?resourceVersion=" + here, kMaps + "?resourceVersion=" + here,
        kMaps + "?resourceVersion=" + here + "&resourceVersionMatch=Exact",
        kMaps + "?resourceVersion=" + here + "&resourceVersionMatch=NotOlderThan"}) {
    INFO(target);
    const auto exchange = servers.ask("GET", target);
    REQUIRE(exchange->status() == 200);
    CHECK(exchange->body().find("\"stale\"") != std::string::npos);
  }
  for (const std::string query : {"resourceVersion=0", "resourceVersion=1"}) {
    INFO(query);
    const auto watch = servers.ask(std::string("GET"), kMaps + "?watch=1&" + query);
    CHECK(watch->status() == 200);
    watch->close();
  }
  CHECK(servers.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}")->status() == 201);
  CHECK(servers.follower->waiting() == 0);
}

TEST_CASE("a revision that another server told of is waited for, and served as soon as it is here") {
  for (const std::string& target : {kMaps + "/new?resourceVersion=", kMaps + "?resourceVersion=",
                                    kMaps + "?resourceVersionMatch=Exact&resourceVersion="}) {
    INFO(target);
    TwoServers servers;
    prepare(servers.ahead);
    const store::Revision told = servers.ahead.store->revision();
    const auto exchange = servers.ask("GET", target + std::to_string(told));
    CHECK(exchange->status() == 0);
    servers.follower->catch_up();
    REQUIRE(exchange->wait_done());
    CHECK(exchange->status() == 200);
    CHECK(exchange->body().find("\"new\"") != std::string::npos);
  }
}

TEST_CASE("a revision of the future is waited for until 3 s are over") {
  for (const std::string& target : {kMaps + "/m?", kMaps + "?", kMaps + "?watch=1&"}) {
    INFO(target);
    TwoServers servers;
    const store::Revision current = servers.ahead.store->revision();
    const std::string query = "resourceVersion=" + std::to_string(current + 1);
    const auto in_vain = servers.ask<TimedExchange>("GET", target + query);
    const auto in_time = servers.ask<TimedExchange>("GET", target + query);
    servers.follower->catch_up();
    CHECK_FALSE(in_vain->wait_done(0));
    CHECK_FALSE(in_time->wait_done(0));
    in_vain->advance_ms(2'900);
    in_time->advance_ms(2'900);
    CHECK(in_vain->status() == 0);
    CHECK(in_time->status() == 0);

    in_vain->advance_ms(100);
    CHECK(in_vain->status() == 504);
    CHECK(http::find_header(in_vain->headers(), "Retry-After") == "1");
    const json::Value status = body_of(*in_vain);
    CHECK(status.get_string("reason") == "Timeout");
    CHECK(status.get_string("message") ==
          "Timeout: Too large resource version: " + std::to_string(current + 1) +
              ", current: " + std::to_string(current));
    CHECK(json::write(*status.find("details")) ==
          R"({"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],)"
          R"("retryAfterSeconds":1})");

    servers.ahead.json("PUT", kMaps + "/m", 200, map_with("m", "fresh"));
    servers.follower->apply_up_to(servers.ahead.store->revision());
    in_time->advance_ms(20);
    CHECK(in_time->status() == 200);
    in_time->close();
  }
}

TEST_CASE("the next page of a list comes from any server, of the same revision") {
  TwoServers servers;
  prepare(servers.ahead);
  const json::Value first = servers.ahead.json("GET", kMaps + "?limit=1", 200);
  servers.ahead.json("DELETE", kMaps + "/new", 200);  // after the first page was read
  const auto exchange =
      servers.ask("GET", kMaps + "?limit=1&continue=" + first.get_string_path({"metadata", "continue"}));
  CHECK(exchange->status() == 0);
  servers.follower->catch_up();
  REQUIRE(exchange->wait_done());
  CHECK(exchange->status() == 200);
  CHECK(exchange->body().find("\"new\"") != std::string::npos);
}

TEST_CASE("a watch from now begins with what was acknowledged before, and repeats none of it") {
  for (const std::string query : {"", "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"}) {
    INFO(query);
    TwoServers servers;
    prepare(servers.ahead);
    const auto watch = servers.ask("GET", kMaps + "?watch=1" + query);
    CHECK(watch->status() == 0);
    servers.follower->catch_up();
    const auto has = [&](const std::string& text) {
      return watch->wait_body([&](const std::string& body) { return body.find(text) != body.npos; });
    };
    REQUIRE(has("\"new\""));
    servers.ahead.json("POST", kMaps, 201, map_with("later", "1"));
    REQUIRE(has("\"later\""));
    CHECK(events_of(*watch) == std::vector<std::string>{"ADDED m", "ADDED new", "ADDED later"});
    watch->close();
  }
}

TEST_CASE("who goes away while waiting is forgotten, and its write is not done") {
  TwoServers servers;
  prepare(servers.ahead);
  const store::Revision before = servers.ahead.store->revision();
  std::weak_ptr<LocalExchange> gone;
  {
    const auto exchange = servers.ask("DELETE", kMaps + "/m");
    gone = exchange;
    exchange->close();
  }
  CHECK_FALSE(gone.expired());  // the store still has to answer
  servers.follower->catch_up();
  CHECK(gone.expired());
  std::weak_ptr<TimedExchange> looking;
  {
    const auto exchange = servers.ask<TimedExchange>("GET", kMaps + "?resourceVersion=99999");
    looking = exchange;
    servers.follower->catch_up();
    CHECK_FALSE(exchange->wait_done(0));
    exchange->close();
    exchange->advance_ms(20);
    CHECK(exchange->status() == 0);
  }
  CHECK(looking.expired());
  CHECK(servers.ahead.store->revision() == before);
}

TEST_CASE("a write whose outcome nobody knows is not said to have failed, nor to be safe to repeat") {
  struct Silent : FollowerStore {
    using FollowerStore::FollowerStore;
    void txn(store::Txn, TxnDone done) override {
      done(make_error(ErrorCode::kDeadlineExceeded, "it may happen yet"));
    }
    void barrier(BarrierDone done) override { done({}); }
  };
  Cluster cluster;
  Silent silent(*cluster.store);
  Options options;
  options.authenticate = false;
  Registry registry(silent, options);
  REQUIRE(registry.bootstrap().ok());
  const auto exchange = std::make_shared<LocalExchange>(make_request("POST", kMaps, map_with("x", "1")));
  registry.handle(exchange);
  CHECK(exchange->status() == 504);
  CHECK(body_of(*exchange).get_string("reason") == "Timeout");
  CHECK(http::find_header(exchange->headers(), "Retry-After").empty());
}

TEST_CASE("who still waits when the store is closed is told so") {
  TwoServers servers;
  prepare(servers.ahead);
  const auto read = servers.ask("GET", kMaps + "/m");
  const auto large = servers.ask("POST", kMaps, map_with("large", std::string(300 * 1024, 'x')));
  servers.behind->begin_shutdown();
  servers.behind->end_shutdown();
  servers.follower->fail_barriers("the store is closing");
  REQUIRE((read->wait_done() && large->wait_done()));
  CHECK(read->status() == 503);
  CHECK(large->status() == 503);
  const auto late = servers.ask("POST", kMaps, map_with("large", std::string(300 * 1024, 'x')));
  servers.follower->catch_up();
  REQUIRE(late->wait_done());
  CHECK(late->status() == 429);  // no worker any more
}
