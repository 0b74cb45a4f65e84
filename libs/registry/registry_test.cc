// The pipeline without sockets: requests in, answers out, over the memory store.
#include <catch2/catch.hpp>

#include "libs/common/base/strings.h"
#include "libs/registry/test_cluster.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kMaps = "/api/v1/namespaces/default/configmaps";
const std::string kPods = "/api/v1/namespaces/default/pods";

std::string config_map(const std::string& name, const std::string& data = "{}",
                       const std::string& labels = "{}") {
  return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name + R"(","labels":)" + labels +
         R"(},"data":)" + data + "}";
}

}  // namespace

TEST_CASE("create, get, update, delete keep Kubernetes' contract") {
  Cluster cluster;
  const json::Value made = cluster.json("POST", kMaps, 201, config_map("a", R"({"k":"v"})"));
  CHECK_FALSE(made.get_string_path({"metadata", "uid"}).empty());
  CHECK_FALSE(made.get_string_path({"metadata", "creationTimestamp"}).empty());
  const std::string revision = made.get_string_path({"metadata", "resourceVersion"});
  CHECK(cluster.json("GET", kMaps + "/a", 200) == made);
  CHECK(cluster.json("POST", kMaps, 409, config_map("a")).get_string("reason") == "AlreadyExists");

  // Nothing changed: no new revision.
  CHECK(cluster.json("PUT", kMaps + "/a", 200, config_map("a", R"({"k":"v"})"))
            .get_string_path({"metadata", "uid"}) == made.get_string_path({"metadata", "uid"}));
  json::Value stale = made;
  json::Value changed = made;
  changed["data"].set("k", "w");
  const json::Value updated = cluster.json("PUT", kMaps + "/a", 200, json::write(changed));
  CHECK(updated.get_string_path({"metadata", "resourceVersion"}) != revision);
  stale["data"].set("k", "x");
  const json::Value conflict = cluster.json("PUT", kMaps + "/a", 409, json::write(stale));
  CHECK(conflict.get_string("message") ==
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your "
        "changes to "
        "the latest version and try again");
  CHECK(cluster.json("DELETE", kMaps + "/a", 200).get_string("status") == "Success");
  CHECK(cluster.json("GET", kMaps + "/a", 404).get_string("message") == "configmaps \"a\" not found");
}

TEST_CASE("a no-op update writes nothing") {
  Cluster cluster;
  const json::Value made = cluster.json("POST", kMaps, 201, config_map("a", R"({"k":"v"})"));
  const json::Value same = cluster.json("PUT", kMaps + "/a", 200, json::write(made));
  CHECK(same.get_string_path({"metadata", "resourceVersion"}) ==
        made.get_string_path({"metadata", "resourceVersion"}));
}

TEST_CASE("bad requests change nothing and say what is wrong") {
  struct Row {
    const char* method;
    std::string target;
    std::string body;
    const char* type;
    int code;
    const char* says;
  };
  const std::string deep(200, '[');
  const Row row = GENERATE_COPY(values<Row>({
      {"POST", kMaps, "{", "application/json", 400, "JSON"},
      {"POST", kMaps, "a: [", "application/yaml", 400, "YAML"},
      {"POST", kMaps, "nope", "application/vnd.kubernetes.protobuf", 400, "protobuf"},
      {"POST", kMaps, deep, "application/json", 400, "JSON"},
      {"POST", kMaps, "{}", "text/html", 415, "application/json"},
      {"POST", kMaps, "[]", "application/json", 400, "object"},
      {"POST", kMaps, R"({"kind":"Pod","apiVersion":"v1"})", "application/json", 400, "does not match"},
      {"POST", kMaps, config_map("Bad_Name"), "application/json", 422, "metadata.name"},
      {"POST", kMaps, config_map("a", "{}", R"({"-":"x"})"), "application/json", 422, "metadata.labels"},
      {"POST", kMaps, config_map("a", "[1]"), "application/json", 400, ""},
      {"POST", kMaps + "?fieldValidation=Strict", R"({"metadata":{"name":"a"},"foo":1})", "application/json",
       400, "unknown field \"foo\""},
      {"POST", kMaps + "?fieldValidation=Strict", R"({"metadata":{"name":"a","name":"b"}})",
       "application/json", 400, "duplicate field"},
      {"POST", kMaps + "?fieldValidation=Odd", config_map("a"), "application/json", 422, "fieldValidation"},
      {"POST", kMaps + "?dryRun=Some", config_map("a"), "application/json", 422, "dryRun"},
      {"POST", "/api/v1/namespaces/none/configmaps", config_map("a"), "application/json", 404,
       "namespaces \"none\" not found"},
      {"POST", kMaps, R"({"metadata":{"name":"a","resourceVersion":"1"}})", "application/json", 400,
       "resourceVersion should not be set"},
      {"PUT", kMaps + "/zz", config_map("zz"), "application/json", 404, "not found"},
      {"PUT", kMaps + "/zz", config_map("yy"), "application/json", 400, "does not match"},
      {"GET", kMaps + "?labelSelector=a%20b", "", "", 400, ""},
      {"GET", kMaps + "?fieldSelector=spec.x%3D1", "", "", 400, "field label not supported"},
      {"GET", kMaps + "?limit=x", "", "", 400, "limit"},
      {"GET", kMaps + "?continue=zzz", "", "", 400, "continue"},
      {"GET", kMaps + "?resourceVersion=abc", "", "", 422, "resourceVersion"},
      {"GET", kMaps + "?resourceVersion=99999", "", "", 504, "Too large resource version"},
      {"GET", kMaps + "?resourceVersionMatch=Exact", "", "", 422, "resourceVersionMatch"},
      {"GET", "/api/v1/nothing", "", "", 404, "could not find"},
      {"GET", "/nothing", "", "", 404, "could not find"},
      {"POST", "/api/v1/configmaps", config_map("a"), "application/json", 405, ""},
      {"PATCH", kMaps + "/a", "{}", "application/apply-patch+yaml", 415, "server-side apply"},
      {"DELETE", kMaps + "/a?propagationPolicy=Odd", "", "", 422, "propagationPolicy"},
  }));
  Cluster cluster;
  const store::Revision before = cluster.store->revision();
  auto exchange = cluster.send(row.method, row.target, row.body, row.type);
  INFO(row.method << " " << row.target << " " << row.body << " -> " << exchange->body());
  CHECK((exchange->status() == row.code || (row.code == 400 && exchange->status() == 422 && *row.says == 0)));
  CHECK(exchange->body().find("\"kind\":\"Status\"") != std::string::npos);
  CHECK(json::parse(exchange->body())->get_string("message").find(row.says) != std::string::npos);
  CHECK(cluster.store->revision() == before);
}

TEST_CASE("unknown fields warn by default and are dropped") {
  Cluster cluster;
  auto exchange = cluster.send("POST", kMaps, R"({"metadata":{"name":"a"},"foo":1})");
  REQUIRE(exchange->status() == 201);
  CHECK(http::find_header(exchange->headers(), "Warning") == "299 - \"unknown field \\\"foo\\\"\"");
  CHECK(exchange->body().find("foo") == std::string::npos);
}

TEST_CASE("lists page consistently") {
  Cluster cluster;
  for (int i = 0; i < 7; ++i)
    cluster.json("POST", kMaps, 201,
                 config_map("m" + std::to_string(i), "{}", i % 2 == 0 ? R"({"even":"yes"})" : "{}"));
  std::vector<std::string> names;
  std::string token;
  std::string revision;
  do {
    const json::Value page =
        cluster.json("GET", kMaps + "?limit=3" + (token.empty() ? "" : "&continue=" + token), 200);
    for (const json::Value& item : page.find("items")->as_array())
      names.push_back(item.get_string_path({"metadata", "name"}));
    if (revision.empty()) {
      revision = page.get_string_path({"metadata", "resourceVersion"});
      CHECK(page.find("metadata")->get_int("remainingItemCount") == 4);
      cluster.json("POST", kMaps, 201, config_map("m9"));  // after the snapshot: must not show up
    }
    CHECK(page.get_string_path({"metadata", "resourceVersion"}) == revision);
    token = page.get_string_path({"metadata", "continue"});
  } while (!token.empty());
  CHECK(names == std::vector<std::string>{"m0", "m1", "m2", "m3", "m4", "m5", "m6"});
  CHECK(cluster.json("GET", kMaps + "?labelSelector=even%3Dyes", 200).find("items")->as_array().size() == 4);
  CHECK(cluster.json("GET", kMaps + "?labelSelector=!even&limit=2", 200).find("items")->as_array().size() ==
        2);
  CHECK(cluster.json("GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Dm3", 200)
            .find("items")
            ->as_array()
            .size() == 1);
  CHECK(cluster.json("DELETE", kMaps + "?labelSelector=even%3Dyes", 200).find("items")->as_array().size() ==
        4);
  CHECK(cluster.json("GET", kMaps, 200).find("items")->as_array().size() == 4);
}

TEST_CASE("patches of all three kinds") {
  Cluster cluster;
  cluster.json("POST", kMaps, 201, config_map("a", R"({"x":"1"})"));
  CHECK(cluster
            .json("PATCH", kMaps + "/a", 200, R"([{"op":"add","path":"/data/y","value":"2"}])",
                  "application/json-patch+json")
            .get_string_path({"data", "y"}) == "2");
  CHECK(cluster.json("PATCH", kMaps + "/a", 200, R"({"data":{"x":null}})", "application/merge-patch+json")
            .find_path({"data", "x"}) == nullptr);
  CHECK(
      cluster
          .json("PATCH", kMaps + "/a", 200, R"({"data":{"z":"3"}})", "application/strategic-merge-patch+json")
          .get_string_path({"data", "z"}) == "3");
  CHECK(cluster
            .send("PATCH", kMaps + "/a", R"([{"op":"test","path":"/data/y","value":"no"}])",
                  "application/json-patch+json")
            ->status() == 422);
  CHECK(cluster
            .send("PATCH", kMaps + "/a", R"({"metadata":{"resourceVersion":"1"}})",
                  "application/merge-patch+json")
            ->status() == 409);
}

TEST_CASE("finalizers and grace hold deletion") {
  Cluster cluster;
  cluster.json("POST", kMaps, 201, R"({"metadata":{"name":"a","finalizers":["x.io/hold"]}})");
  cluster.json("DELETE", kMaps + "/a", 200);
  const json::Value held = cluster.json("GET", kMaps + "/a", 200);
  CHECK(held.find_path({"metadata", "deletionTimestamp"}) != nullptr);
  cluster.json("PATCH", kMaps + "/a", 200, R"({"metadata":{"finalizers":null}})",
               "application/merge-patch+json");
  CHECK(cluster.send("GET", kMaps + "/a")->status() == 404);

  const std::string pod = R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})";
  cluster.json("POST", kPods, 201, pod);
  cluster.json("POST", kPods + "/p/binding", 201,
               R"({"metadata":{"name":"p"},"target":{"kind":"Node","name":"n"}})");
  CHECK(cluster.send("POST", kPods + "/p/binding", R"({"target":{"name":"n"}})")->status() == 409);
  const json::Value going = cluster.json("DELETE", kPods + "/p", 200);
  CHECK(going.find("metadata")->get_int("deletionGracePeriodSeconds") == 30);
  cluster.json("DELETE", kPods + "/p?gracePeriodSeconds=0", 200);
  CHECK(cluster.send("GET", kPods + "/p")->status() == 404);
}

TEST_CASE("namespaces empty before they go, and take nothing new meanwhile") {
  Cluster cluster;
  cluster.json("POST", "/api/v1/namespaces", 201, R"({"metadata":{"name":"x"}})");
  cluster.json("DELETE", "/api/v1/namespaces/x", 200);
  const json::Value going = cluster.json("GET", "/api/v1/namespaces/x", 200);
  CHECK(going.get_string_path({"status", "phase"}) == "Terminating");
  CHECK(cluster.json("POST", "/api/v1/namespaces/x/configmaps", 403, config_map("a")).get_string("reason") ==
        "Forbidden");
  CHECK(cluster
            .json("PUT", "/api/v1/namespaces/x/finalize", 422,
                  R"({"metadata":{"name":"x"},"spec":{"finalizers":["bad"]}})")
            .get_string("message")
            .find("spec.finalizers[0]") != std::string::npos);
  cluster.json("PUT", "/api/v1/namespaces/x/finalize", 200, R"({"metadata":{"name":"x"},"spec":{}})");
  CHECK(cluster.send("GET", "/api/v1/namespaces/x")->status() == 404);
}

TEST_CASE("some namespaces stay") {
  Cluster cluster;
  for (const char* name : {"default", "kube-system", "kube-public"}) {
    const json::Value status = cluster.json("DELETE", std::string("/api/v1/namespaces/") + name, 403);
    CHECK(status.get_string("message") ==
          "namespaces \"" + std::string(name) + "\" is forbidden: this namespace may not be deleted");
  }
  cluster.json("DELETE", "/api/v1/namespaces/kube-node-lease", 200);
}

TEST_CASE("services never share an address") {
  Cluster cluster;
  const std::string services = "/api/v1/namespaces/default/services";
  const auto body = [](const std::string& name, const std::string& extra) {
    return R"({"metadata":{"name":")" + name + R"("},"spec":{"ports":[{"port":80}],"type":"NodePort")" +
           extra + "}}";
  };
  const json::Value a = cluster.json("POST", services, 201, body("a", ""));
  const std::string ip = a.get_string_path({"spec", "clusterIP"});
  const std::int64_t port = a.find_path({"spec", "ports"})->as_array()[0].get_int("nodePort");
  CHECK(port >= 30000);
  CHECK(cluster.json("POST", services, 422, body("b", R"(,"clusterIP":")" + ip + "\""))
            .get_string("message")
            .find("already allocated") != std::string::npos);
  CHECK(cluster.send("POST", services, body("b", R"(,"clusterIP":"1.2.3.4")"))->status() == 422);
  cluster.json("DELETE", services + "/a", 200);
  CHECK(cluster.json("POST", services, 201, body("b", R"(,"clusterIP":")" + ip + "\""))
            .get_string_path({"spec", "clusterIP"}) == ip);
}

TEST_CASE("scale is a view of the deployment") {
  Cluster cluster;
  const std::string deployments = "/apis/apps/v1/namespaces/default/deployments";
  cluster.json(
      "POST", deployments, 201,
      R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})");
  CHECK(cluster.json("GET", deployments + "/d/scale", 200).get_string_path({"status", "selector"}) == "a=b");
  const json::Value scaled = cluster.json("PATCH", deployments + "/d/scale", 200,
                                          R"({"spec":{"replicas":5}})", "application/merge-patch+json");
  CHECK(scaled.find("spec")->get_int("replicas") == 5);
  const json::Value object = cluster.json("GET", deployments + "/d", 200);
  CHECK(object.find("spec")->get_int("replicas") == 5);
  CHECK(object.find("metadata")->get_int("generation") == 2);
  // Status writes leave spec and generation alone.
  const json::Value status =
      cluster.json("PATCH", deployments + "/d/status", 200,
                   R"({"spec":{"replicas":9},"status":{"replicas":5}})", "application/merge-patch+json");
  CHECK(status.find("spec")->get_int("replicas") == 5);
  CHECK(status.find("status")->get_int("replicas") == 5);
  CHECK(status.find("metadata")->get_int("generation") == 2);
}

TEST_CASE("events of both groups are the same objects") {
  Cluster cluster;
  cluster.json(
      "POST", "/api/v1/namespaces/default/events", 201,
      R"({"metadata":{"name":"e"},"involvedObject":{"kind":"Pod","name":"p","namespace":"default"},"reason":"R","message":"hello","type":"Normal"})");
  const json::Value other = cluster.json("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e", 200);
  CHECK(other.get_string("note") == "hello");
  CHECK(other.get_string_path({"regarding", "name"}) == "p");
  CHECK(cluster
            .json("GET", "/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=regarding.name%3Dp",
                  200)
            .find("items")
            ->as_array()
            .size() == 1);
}

TEST_CASE("watch sends what changed, once, and follows selectors") {
  Cluster cluster;
  cluster.json("POST", kMaps, 201, config_map("a", "{}", R"({"on":"1"})"));
  auto watch = std::make_shared<LocalExchange>(make_request("GET", kMaps + "?watch=1&labelSelector=on%3D1"));
  cluster.registry->handle(watch);
  cluster.json("POST", kMaps, 201, config_map("b"));
  cluster.json("PATCH", kMaps + "/b", 200, R"({"metadata":{"labels":{"on":"1"}}})",
               "application/merge-patch+json");
  cluster.json("PATCH", kMaps + "/b", 200, R"({"data":{"x":"1"}})", "application/merge-patch+json");
  cluster.json("PATCH", kMaps + "/b", 200, R"({"metadata":{"labels":{"on":"2"}}})",
               "application/merge-patch+json");
  cluster.json("DELETE", kMaps + "/a", 200);
  const auto lines = [](const std::string& body) { return split(body, '\n').size() - 1; };
  REQUIRE(watch->wait_body([&](const std::string& body) { return lines(body) >= 5; }));
  std::vector<std::string> seen;
  for (const std::string& line : split(watch->body(), '\n')) {
    if (line.empty()) continue;
    const auto event = json::parse(line);
    REQUIRE(event.ok());
    seen.push_back(event->get_string("type") + " " + event->get_string_path({"object", "metadata", "name"}));
  }
  CHECK(seen == std::vector<std::string>{"ADDED a", "ADDED b", "MODIFIED b", "DELETED b", "DELETED a"});
  watch->close();
}

TEST_CASE("dry run answers and stores nothing") {
  Cluster cluster;
  const store::Revision before = cluster.store->revision();
  cluster.json("POST", kMaps + "?dryRun=All", 201, config_map("a"));
  CHECK(cluster.store->revision() == before);
}

TEST_CASE("tables, partial metadata and YAML") {
  Cluster cluster;
  cluster.json("POST", kMaps, 201, config_map("a", R"({"k":"v"})"));
  auto table = cluster.send("GET", kMaps, "", "",
                            {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}});
  const auto parsed = json::parse(table->body());
  REQUIRE(parsed.ok());
  CHECK(parsed->get_string("kind") == "Table");
  CHECK(parsed->find("rows")->as_array()[0].find("cells")->as_array()[1] == json::Value(1));
  auto partial = cluster.send("GET", kMaps + "/a", "", "",
                              {{"Accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}});
  CHECK(json::parse(partial->body())->get_string("kind") == "PartialObjectMetadata");
  auto yaml = cluster.send("GET", kMaps + "/a", "", "", {{"Accept", "application/yaml"}});
  CHECK(yaml->body().find("kind: ConfigMap") != std::string::npos);
  CHECK(cluster.send("GET", kMaps, "", "", {{"Accept", "application/vnd.kubernetes.protobuf"}})->status() ==
        406);
}

TEST_CASE("without credentials only health and version") {
  std::unique_ptr<store::Store> store = std::move(store::open_memory_store().value());
  Registry registry(*store, Options{});
  const auto status = [&](const std::string& target) {
    auto exchange = std::make_shared<LocalExchange>(make_request("GET", target));
    registry.handle(exchange);
    REQUIRE(exchange->wait_done());
    return exchange->status();
  };
  CHECK(status("/version") == 200);
  CHECK(status("/livez") == 200);
  CHECK(status("/readyz") == 500);  // not bootstrapped
  CHECK(status("/api/v1/namespaces") == 401);
  CHECK(status("/metrics") == 401);
  REQUIRE(registry.bootstrap().ok());
  CHECK(status("/readyz") == 200);
  registry.begin_shutdown();
  CHECK(status("/readyz") == 500);
}
