// The semantics around the rules: dry runs, collections, revisions, subresources, generations, expiry.
#include <array>
#include <set>
#include <catch2/catch.hpp>

#include "libs/common/base/strings.h"
#include "libs/registry/test_cluster.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kMaps = "/api/v1/namespaces/default/configmaps";
const std::string kPods = "/api/v1/namespaces/default/pods";
const std::string kServices = "/api/v1/namespaces/default/services";
const std::string kDeployments = "/apis/apps/v1/namespaces/default/deployments";
const std::string kMerge = "application/merge-patch+json";
const std::string kPod = R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})";
const std::string kDeployment =
    R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";

std::string map_named(const std::string& name, const std::string& labels = "{}",
                      const std::string& finalizers = "[]") {
  return R"({"metadata":{"name":")" + name + R"(","labels":)" + labels + R"(,"finalizers":)" + finalizers +
         "}}";
}

std::int64_t generation(const json::Value& object) { return object.find("metadata")->get_int("generation"); }

std::vector<std::string> names(const json::Value& list) {
  std::vector<std::string> out;
  for (const json::Value& item : list.find("items")->as_array())
    out.push_back(item.get_string_path({"metadata", "name"}));
  return out;
}

// The same numbers again and again: names collide.
class Stuck : public Random {
 public:
  std::uint64_t next() override { return sequence_++ / 40; }

 private:
  std::uint64_t sequence_ = 0;
};

}  // namespace

TEST_CASE("dry runs of every verb and subresource answer and store nothing") {
  Cluster cluster;
  cluster.json("POST", kMaps, 201, map_named("m"));
  cluster.json("POST", kPods, 201, kPod);
  cluster.json("POST", kDeployments, 201, kDeployment);
  cluster.json("POST", "/api/v1/namespaces", 201, R"({"metadata":{"name":"n"}})");
  struct Row {
    const char* method;
    std::string target;
    std::string body;
    std::string type;
    int code;
    const char* kind;  // of the answer
  };
  const std::string json_type = "application/json";
  const Row rows[] = {
      {"POST", kMaps, map_named("new"), json_type, 201, "ConfigMap"},
      {"POST", kServices, R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":1}]}})", json_type, 201,
       "Service"},
      {"PUT", kMaps + "/m", R"({"metadata":{"name":"m"},"data":{"a":"b"}})", json_type, 200, "ConfigMap"},
      {"PATCH", kMaps + "/m", R"({"data":{"a":"b"}})", kMerge, 200, "ConfigMap"},
      {"DELETE", kMaps + "/m", "", json_type, 200, "Status"},
      {"DELETE", kMaps, "", json_type, 200, "ConfigMapList"},
      {"DELETE", kPods + "/p", "", json_type, 200, "Pod"},
      {"PUT", kPods + "/p/status", R"({"metadata":{"name":"p"},"status":{"phase":"Running"}})", json_type,
       200, "Pod"},
      {"PATCH", kPods + "/p/status", R"({"status":{"phase":"Running"}})", kMerge, 200, "Pod"},
      {"POST", kPods + "/p/binding", R"({"target":{"name":"n"}})", json_type, 201, "Status"},
      {"POST", kPods + "/p/eviction", R"({"metadata":{"name":"p"}})", json_type, 201, "Status"},
      {"PUT", kDeployments + "/d/scale", R"({"metadata":{"name":"d"},"spec":{"replicas":3}})", json_type, 200,
       "Scale"},
      {"PATCH", kDeployments + "/d/scale", R"({"spec":{"replicas":3}})", kMerge, 200, "Scale"},
      {"PUT", "/api/v1/namespaces/n/finalize", R"({"metadata":{"name":"n"}})", json_type, 200, "Namespace"},
      {"DELETE", "/api/v1/namespaces/n", "", json_type, 200, "Namespace"},
  };
  const store::Revision before = cluster.store->revision();
  for (const Row& row : rows) {
    auto exchange = cluster.send(row.method, row.target + "?dryRun=All", row.body, row.type);
    INFO(row.method << " " << row.target << " -> " << exchange->body());
    CHECK(exchange->status() == row.code);
    CHECK(json::parse(exchange->body())->get_string("kind") == row.kind);
    CHECK(cluster.store->revision() == before);
  }
  // As a body's wish, too.
  auto wished =
      cluster.send("DELETE", kMaps + "/m", R"({"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]})");
  CHECK(wished->status() == 200);
  CHECK(cluster.store->revision() == before);
}

TEST_CASE("deletion options are checked") {
  Cluster cluster;
  const json::Value made = cluster.json("POST", kMaps, 201, map_named("m"));
  const std::string uid = made.get_string_path({"metadata", "uid"});
  const std::string revision = made.get_string_path({"metadata", "resourceVersion"});
  struct Row {
    std::string body;
    int code;
    const char* says;
  };
  const Row rows[] = {
      {R"({"kind":"Pod"})", 400, "must be an object of kind DeleteOptions"},
      {R"({"gracePeriodSeconds":"1"})", 400, "of type int64"},
      {R"({"propagationPolicy":"Odd"})", 422, "propagationPolicy"},
      {R"({"propagationPolicy":"Orphan","orphanDependents":true})", 422, "cannot be both set"},
      {R"({"dryRun":["Some"]})", 422, "Unsupported value: \"Some\""},
      {R"({"preconditions":{"uid":"x"}})", 409, "UID in precondition: x"},
      {R"({"preconditions":{"resourceVersion":"1"}})", 409, "ResourceVersion in precondition: 1"},
      {R"({"preconditions":{"uid":")" + uid + R"(","resourceVersion":")" + revision + R"("}})", 200, ""},
  };
  for (const Row& row : rows) {
    auto exchange = cluster.send("DELETE", kMaps + "/m", row.body);
    INFO(row.body << " -> " << exchange->body());
    CHECK(exchange->status() == row.code);
    CHECK(exchange->body().find(json::write(json::Value(row.says)).substr(1, std::string(row.says).size())) !=
          std::string::npos);
  }
}

TEST_CASE("collections are deleted by selector, with finalizers, policies and preconditions") {
  Cluster cluster;
  cluster.json("POST", kMaps, 201, map_named("a", R"({"x":"1"})"));
  cluster.json("POST", kMaps, 201, map_named("b", R"({"x":"1"})", R"(["t.io/hold"])"));
  cluster.json("POST", kMaps, 201, map_named("c", R"({"x":"2"})"));
  CHECK(names(cluster.json("DELETE", kMaps + "?labelSelector=x%3D1&dryRun=All", 200)) ==
        std::vector<std::string>{"a", "b"});
  CHECK(names(cluster.json("GET", kMaps, 200)).size() == 3);
  // A precondition holds for none of them.
  CHECK(cluster.send("DELETE", kMaps + "?labelSelector=x%3D1", R"({"preconditions":{"uid":"none"}})")
            ->status() == 409);
  CHECK(names(cluster.json("DELETE", kMaps + "?labelSelector=x%3D1", 200)) ==
        std::vector<std::string>{"a", "b"});
  const json::Value held = cluster.json("GET", kMaps + "/b", 200);
  CHECK(held.find_path({"metadata", "deletionTimestamp"}) != nullptr);
  CHECK(names(cluster.json("GET", kMaps, 200)) == std::vector<std::string>{"b", "c"});
  cluster.json("DELETE", kMaps + "?fieldSelector=metadata.name%3Dc&propagationPolicy=Foreground", 200);
  CHECK(cluster.json("GET", kMaps + "/c", 200).find_path({"metadata", "finalizers"})->as_array()[0] ==
        json::Value("foregroundDeletion"));
  CHECK(cluster.send("DELETE", kMaps + "?fieldSelector=spec.x%3Dc")->status() == 400);
  CHECK(cluster.send("DELETE", "/api/v1/configmaps")->status() == 405);
}

TEST_CASE("an expired page comes with a token to go on without consistency") {
  Cluster cluster;
  for (int i = 0; i < 6; ++i) cluster.json("POST", kMaps, 201, map_named("m" + std::to_string(i)));
  const json::Value first = cluster.json("GET", kMaps + "?limit=2", 200);
  cluster.json("DELETE", kMaps + "/m2", 200);
  cluster.json("POST", kMaps, 201, map_named("m9"));
  REQUIRE(cluster.store->compact(cluster.store->revision()).ok());
  const std::string token = first.get_string_path({"metadata", "continue"});
  const json::Value expired = cluster.json("GET", kMaps + "?limit=2&continue=" + token, 410);
  CHECK(expired.get_string("reason") == "Expired");
  CHECK(cluster.send("GET", kPods + "?limit=2&continue=" + token)->status() == 400);  // of another list
  std::string next = expired.get_string_path({"metadata", "continue"});
  REQUIRE_FALSE(next.empty());
  std::vector<std::string> rest;
  while (!next.empty()) {
    const json::Value page = cluster.json("GET", kMaps + "?limit=2&continue=" + next, 200);
    for (const std::string& name : names(page)) rest.push_back(name);
    next = page.get_string_path({"metadata", "continue"});
  }
  CHECK(rest == std::vector<std::string>{"m3", "m4", "m5", "m9"});  // what is there now, after m1
}

TEST_CASE("resourceVersion and resourceVersionMatch mean what the table of the API says") {
  Cluster cluster;
  const json::Value one = cluster.json("POST", kMaps, 201, map_named("m1"));
  const std::string at = one.get_string_path({"metadata", "resourceVersion"});
  cluster.json("POST", kMaps, 201, map_named("m2"));
  const std::string future = std::to_string(cluster.store->revision() + 100);
  struct Row {
    std::string query;
    int code;
    std::size_t items;  // when 200
  };
  const Row rows[] = {
      {"", 200, 2},
      {"?resourceVersion=0", 200, 2},
      {"?resourceVersion=" + at, 200, 2},                // not older than
      {"?resourceVersion=" + at + "&limit=10", 200, 1},  // a page: exactly
      {"?resourceVersion=" + at + "&limit=10&resourceVersionMatch=NotOlderThan", 200, 2},
      {"?resourceVersion=" + at + "&resourceVersionMatch=NotOlderThan", 200, 2},
      {"?resourceVersion=" + at + "&resourceVersionMatch=Exact", 200, 1},
      {"?resourceVersion=0&resourceVersionMatch=NotOlderThan", 200, 2},
      {"?resourceVersion=0&resourceVersionMatch=Exact", 422, 0},
      {"?resourceVersionMatch=NotOlderThan", 422, 0},
      {"?resourceVersion=" + at + "&resourceVersionMatch=Odd", 422, 0},
      {"?resourceVersion=" + future, 504, 0},
      {"?resourceVersion=" + future + "&resourceVersionMatch=Exact", 504, 0},
      {"?watch=1&resourceVersionMatch=NotOlderThan", 422, 0},
      {"/m1?resourceVersion=" + at, 200, 0},
      {"/m1?resourceVersion=0", 200, 0},
      {"/m1?resourceVersion=" + future, 504, 0},
      {"/m1?resourceVersion=x", 400, 0},
  };
  for (const Row& row : rows) {
    INFO(row.query);
    const json::Value answer = cluster.json("GET", kMaps + row.query, row.code);
    if (row.code == 200 && row.items != 0) CHECK(answer.find("items")->as_array().size() == row.items);
  }
  REQUIRE(cluster.store->compact(cluster.store->revision()).ok());
  CHECK(cluster.json("GET", kMaps + "?resourceVersion=" + at + "&resourceVersionMatch=Exact", 410)
            .get_string("reason") == "Expired");
}

TEST_CASE("remainingItemCount is told only where it is known") {
  Cluster cluster;
  for (int i = 0; i < 5; ++i)
    cluster.json("POST", kMaps, 201, map_named("m" + std::to_string(i), R"({"a":"b"})"));
  CHECK(cluster.json("GET", kMaps + "?limit=2", 200).find("metadata")->get_int("remainingItemCount") == 3);
  CHECK(cluster.json("GET", kMaps + "?limit=5", 200).find_path({"metadata", "remainingItemCount"}) ==
        nullptr);
  CHECK(cluster.json("GET", kMaps + "?limit=2&labelSelector=a%3Db", 200)
            .find_path({"metadata", "remainingItemCount"}) == nullptr);
}

TEST_CASE("node ports: kept, released, asked for, used up") {
  Options options;
  options.settings.node_port_first = 30000;
  options.settings.node_port_last = 30009;
  Cluster cluster(options);
  const auto service = [&](const std::string& name, const std::string& type, int ports, int code) {
    std::string list;
    for (int i = 0; i < ports; ++i) {
      list += std::string(i == 0 ? "" : ",") + R"({"name":"p)" + std::to_string(i) + R"(","port":)" +
              std::to_string(i + 1) + "}";
    }
    return cluster.json("POST", kServices, code,
                        R"({"metadata":{"name":")" + name + R"("},"spec":{"type":")" + type +
                            R"(","ports":[)" + list + "]}}");
  };
  const json::Value first = service("a", "NodePort", 6, 201);
  std::set<std::int64_t> used;
  for (const json::Value& port : first.find_path({"spec", "ports"})->as_array())
    used.insert(port.get_int("nodePort"));
  CHECK(used.size() == 6);
  CHECK(service("b", "NodePort", 5, 422).get_string("message").find("range is full") != std::string::npos);
  service("b", "NodePort", 4, 201);
  CHECK(service("c", "NodePort", 1, 422).get_string("message").find("range is full") != std::string::npos);
  // An update keeps what it has; a change of type gives it back.
  const json::Value same =
      cluster.json("PATCH", kServices + "/a", 200, R"({"metadata":{"labels":{"x":"y"}}})", kMerge);
  CHECK(*same.find_path({"spec", "ports"}) == *first.find_path({"spec", "ports"}));
  const json::Value plain =
      cluster.json("PATCH", kServices + "/a", 200, R"({"spec":{"type":"ClusterIP"}})", kMerge);
  CHECK(plain.find_path({"spec", "ports"})->as_array()[0].find("nodePort") == nullptr);
  const json::Value balanced = cluster.json(
      "POST", kServices, 201,
      R"({"metadata":{"name":"lb"},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":1}]}})");
  const std::int64_t check = balanced.find("spec")->get_int("healthCheckNodePort");
  CHECK(check >= 30000);
  CHECK(check != balanced.find_path({"spec", "ports"})->as_array()[0].get_int("nodePort"));
  const json::Value back = cluster.json("PATCH", kServices + "/lb", 200,
                                        R"({"spec":{"externalTrafficPolicy":"Cluster"}})", kMerge);
  CHECK(back.find_path({"spec", "healthCheckNodePort"}) == nullptr);
}

TEST_CASE("a balancer without node ports keeps those it has, and none is given twice") {
  Cluster cluster;
  const auto post = [&](const std::string& name, const std::string& port, int code) {
    return cluster.json(
        "POST", kServices, code,
        R"({"metadata":{"name":")" + name +
            R"("},"spec":{"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[)" + port +
            "]}}");
  };
  const auto node_port = [](const json::Value& service) {
    return service.find_path({"spec", "ports"})->as_array()[0].get_int("nodePort");
  };
  CHECK(node_port(post("none", R"({"port":1})", 201)) == 0);
  CHECK(node_port(post("named", R"({"port":1,"nodePort":30100})", 201)) == 30100);
  CHECK(
      post("again", R"({"port":1,"nodePort":30100})", 422).get_string("message").find("already allocated") !=
      std::string::npos);
  const json::Value with =
      cluster.json("POST", kServices, 201,
                   R"({"metadata":{"name":"with"},"spec":{"type":"LoadBalancer","ports":[{"port":1}]}})");
  REQUIRE(node_port(with) != 0);
  const json::Value without = cluster.json("PATCH", kServices + "/with", 200,
                                           R"({"spec":{"allocateLoadBalancerNodePorts":false}})", kMerge);
  CHECK(node_port(without) == node_port(with));
}

TEST_CASE("a Service of any type may become any other, and leaves behind what was the old one's") {
  struct Form {
    const char* name;
    const char* spec;   // written as a whole
    const char* patch;  // what a user changes
    std::set<std::string> owns;
  };
  const std::set<std::string> addressed = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"};
  const auto with = [&](std::set<std::string> more) {
    more.insert(addressed.begin(), addressed.end());
    return more;
  };
  const Form forms[] = {
      {"inside", R"({"ports":[{"port":1}]})",
       R"({"type":"ClusterIP","externalIPs":null,"externalName":null})", addressed},
      {"external IPs", R"({"externalIPs":["192.0.2.7"],"ports":[{"port":1}]})",
       R"({"type":"ClusterIP","externalIPs":["192.0.2.7"],"externalName":null})",
       with({"externalTrafficPolicy", "externalIPs"})},
      {"node port", R"({"type":"NodePort","ports":[{"port":1}]})",
       R"({"type":"NodePort","externalIPs":null,"externalName":null})", with({"externalTrafficPolicy"})},
      {"balanced", R"({"type":"LoadBalancer","loadBalancerClass":"a.b/c","ports":[{"port":1}]})",
       R"({"type":"LoadBalancer","loadBalancerClass":"a.b/c","externalIPs":null,"externalName":null})",
       with({"externalTrafficPolicy", "loadBalancerClass", "allocateLoadBalancerNodePorts"})},
      {"a name",
       R"({"type":"ExternalName","externalName":"a.example","ports":[{"port":1}]})",
       R"({"type":"ExternalName","externalName":"a.example","externalIPs":null})",
       {"externalName"}},
  };
  const auto fields_of = [](const json::Value& service) {
    std::set<std::string> fields;
    for (const auto& [key, value] : service.find("spec")->as_object()) fields.insert(key);
    // Common to all; and upstream leaves the policy for inside with a Service that became a name, too.
    for (const char* common : {"type", "ports", "sessionAffinity", "internalTrafficPolicy"})
      fields.erase(common);
    return fields;
  };
  for (const Form& from : forms) {
    for (const Form& to : forms) {
      INFO(from.name << " -> " << to.name);
      Cluster cluster;
      cluster.json("POST", kServices, 201,
                   std::string(R"({"metadata":{"name":"s"},"spec":)") + from.spec + "}");
      const json::Value now =
          cluster.json("PATCH", kServices + "/s", 200, std::string(R"({"spec":)") + to.patch + "}", kMerge);
      CHECK(fields_of(now) == to.owns);
      const bool has_port = now.find_path({"spec", "ports"})->as_array()[0].find("nodePort") != nullptr;
      CHECK(has_port == (to.owns.count("externalTrafficPolicy") != 0 && to.owns.count("externalIPs") == 0));
    }
  }
}

TEST_CASE("addresses of one family") {
  Cluster cluster;
  const auto post = [&](const std::string& spec) {
    return cluster.send("POST", kServices,
                        R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":1}],)" + spec + "}}");
  };
  CHECK(post(R"("ipFamilies":["IPv6"])")->status() == 422);
  CHECK(post(R"("ipFamilyPolicy":"RequireDualStack")")->status() == 422);
  CHECK(post(R"("clusterIP":"10.96.0.77","clusterIPs":["10.96.0.78"])")->status() == 422);
  CHECK(post(R"("ipFamilyPolicy":"PreferDualStack")")->status() == 201);
  const auto patch = [&](const std::string& spec, int code) {
    return cluster.json("PATCH", kServices + "/s", code, R"({"spec":)" + spec + "}", kMerge);
  };
  patch(R"({"clusterIP":"10.96.0.99"})", 422);
  patch(R"({"clusterIPs":["10.96.0.99"]})", 422);
  // To ExternalName and back: the address goes and another comes.
  CHECK(patch(R"({"type":"ExternalName","externalName":"a.b"})", 200).find_path({"spec", "clusterIP"}) ==
        nullptr);
  CHECK_FALSE(patch(R"({"type":"ClusterIP","externalName":null})", 200)
                  .get_string_path({"spec", "clusterIP"})
                  .empty());
}

TEST_CASE("generated names that are taken are generated anew") {
  Stuck random;
  Options options;
  options.random = &random;
  Cluster cluster(options);
  std::set<std::string> made;
  for (int i = 0; i < 12; ++i) {
    const json::Value object = cluster.json("POST", kMaps, 201, R"({"metadata":{"generateName":"g-"}})");
    made.insert(object.get_string_path({"metadata", "name"}));
  }
  CHECK(made.size() == 12);
  const json::Value lengthy =
      cluster.json("POST", kMaps, 201, R"({"metadata":{"generateName":")" + std::string(80, 'a') + "\"}}");
  CHECK(lengthy.get_string_path({"metadata", "name"}).size() == 63);
}

TEST_CASE("generation counts changes of what is wanted") {
  Cluster cluster;
  CHECK(generation(cluster.json("POST", kDeployments, 201, kDeployment)) == 1);
  const auto patch = [&](const std::string& target, const std::string& body) {
    return generation(cluster.json("PATCH", target, 200, body, kMerge));
  };
  const std::string d = kDeployments + "/d";
  CHECK(patch(d, R"({"metadata":{"labels":{"x":"y"}}})") == 1);
  CHECK(patch(d, R"({"status":{"replicas":5}})") == 1);
  CHECK(patch(d + "/status", R"({"status":{"replicas":5}})") == 1);
  CHECK(patch(d, R"({"spec":{"replicas":5}})") == 2);
  CHECK(patch(d, R"({"spec":{"replicas":5}})") == 2);
  CHECK(patch(d, R"({"metadata":{"annotations":{"x":"y"}}})") == 3);  // Deployments count annotations
  CHECK(patch(d, R"({"metadata":{"generation":77}})") == 3);
  cluster.json("POST", kPods, 201, kPod);
  CHECK(patch(kPods + "/p", R"({"metadata":{"annotations":{"x":"y"}}})") == 1);
  CHECK(patch(kPods + "/p", R"({"spec":{"activeDeadlineSeconds":5}})") == 2);
}

TEST_CASE("status and the rest are written apart") {
  Cluster cluster;
  cluster.json("POST", kDeployments, 201, kDeployment);
  const std::string d = kDeployments + "/d";
  const json::Value main =
      cluster.json("PATCH", d, 200, R"({"spec":{"replicas":2},"status":{"replicas":9}})", kMerge);
  CHECK(main.find("spec")->get_int("replicas") == 2);
  CHECK(main.find("status")->get_int("replicas") == 0);
  const json::Value status = cluster.json(
      "PATCH", d + "/status", 200,
      R"({"spec":{"replicas":7},"status":{"replicas":1},"metadata":{"labels":{"l":"m"}}})", kMerge);
  CHECK(status.find("spec")->get_int("replicas") == 2);
  CHECK(status.find("status")->get_int("replicas") == 1);
  CHECK(status.get_string_path({"metadata", "labels", "l"}) == "m");
  CHECK(cluster.json("GET", d + "/status", 200) == cluster.json("GET", d, 200));
}

TEST_CASE("metadata that only the server writes") {
  Cluster cluster;
  cluster.json("POST", kMaps, 201, map_named("m"));
  const auto code = [&](const std::string& body) {
    return cluster.send("PATCH", kMaps + "/m", body, kMerge)->status();
  };
  CHECK(code(R"({"metadata":{"name":"other"}})") == 400);
  CHECK(code(R"({"metadata":{"uid":"x"}})") == 409);
  CHECK(code(R"({"metadata":{"creationTimestamp":"2001-01-01T00:00:00Z"}})") == 422);
  CHECK(code(R"({"metadata":{"creationTimestamp":null}})") == 200);
  CHECK(code(R"({"metadata":{"resourceVersion":"1"}})") == 409);
  CHECK(code(R"({"metadata":{"managedFields":[{"manager":"x"}]}})") == 200);
  CHECK(cluster.json("GET", kMaps + "/m", 200).find_path({"metadata", "managedFields"}) == nullptr);
  CHECK(code(R"({"metadata":{"finalizers":["bad"]}})") == 422);
  CHECK(code(R"({"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"K","name":"n","uid":""}]}})") ==
        422);
}

TEST_CASE("scale answers with a Scale, whatever it did") {
  Cluster cluster;
  cluster.json("POST", kDeployments, 201, kDeployment);
  const std::string scale = kDeployments + "/d/scale";
  const auto put = [&](const std::string& body, int code) { return cluster.json("PUT", scale, code, body); };
  CHECK(put(R"({"metadata":{"name":"d"},"spec":{"replicas":3}})", 200).get_string("kind") == "Scale");
  CHECK(put(R"({"metadata":{"name":"d"},"spec":{"replicas":3}})", 200).get_string("kind") ==
        "Scale");  // nothing to do
  CHECK(put(R"({"metadata":{"name":"d"},"spec":{"replicas":-3}})", 422).get_string("reason") == "Invalid");
  CHECK(put(R"({"metadata":{"name":"d","resourceVersion":"1"},"spec":{"replicas":3}})", 409)
            .get_string("reason") == "Conflict");
  CHECK(cluster
            .json("PATCH", scale, 200, R"([{"op":"replace","path":"/spec/replicas","value":4}])",
                  "application/json-patch+json")
            .find("spec")
            ->get_int("replicas") == 4);
  CHECK(cluster.send("GET", kDeployments + "/none/scale")->status() == 404);
  CHECK(cluster.send("GET", kMaps + "/d/scale")->status() == 404);
}

TEST_CASE("evictions are deletions with options") {
  Cluster cluster;
  const auto evict = [&](const std::string& options) {
    return cluster
        .send("POST", kPods + "/p/eviction",
              R"({"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"p"},"deleteOptions":)" +
                  options + "}")
        ->status();
  };
  CHECK(evict("{}") == 404);
  cluster.json("POST", kPods, 201, kPod);
  cluster.json("POST", kPods + "/p/binding", 201, R"({"target":{"name":"n"}})");
  CHECK(evict(R"({"preconditions":{"uid":"x"}})") == 409);
  CHECK(evict(R"({"dryRun":["All"]})") == 201);
  CHECK(evict(R"({"gracePeriodSeconds":"x"})") == 400);
  CHECK(cluster.json("GET", kPods + "/p", 200).find_path({"metadata", "deletionTimestamp"}) == nullptr);
  CHECK(evict(R"({"gracePeriodSeconds":7})") == 201);
  CHECK(cluster.json("GET", kPods + "/p", 200).find("metadata")->get_int("deletionGracePeriodSeconds") == 7);
  CHECK(cluster.send("POST", kPods + "/p/eviction", R"({"metadata":{"name":"q"}})")->status() == 400);
}

TEST_CASE("pods are selected by node and phase, and by what these are not") {
  Cluster cluster;
  for (const auto& [name, node, phase] : {std::array{"a", "n1", "Running"}, std::array{"b", "n2", "Running"},
                                          std::array{"c", "n1", "Failed"}, std::array{"d", "", "Pending"}}) {
    const std::string pod = kPods + "/" + name;
    cluster.json("POST", kPods, 201,
                 std::string(R"({"metadata":{"name":")") + name +
                     R"("},"spec":{"containers":[{"name":"c","image":"i:1"}]}})");
    if (*node != '\0')
      cluster.json("POST", pod + "/binding", 201, std::string(R"({"target":{"name":")") + node + R"("}})");
    cluster.json("PATCH", pod + "/status", 200, std::string(R"({"status":{"phase":")") + phase + R"("}})",
                 kMerge);
  }
  struct Row {
    const char* selector;
    std::vector<std::string> names;
  };
  const Row rows[] = {
      {"spec.nodeName=n1", {"a", "c"}},
      {"spec.nodeName==n2", {"b"}},
      {"spec.nodeName=", {"d"}},
      {"spec.nodeName!=n1", {"b", "d"}},
      {"spec.nodeName!=", {"a", "b", "c"}},
      {"spec.nodeName=n", {}},
      {"status.phase=Running", {"a", "b"}},
      {"status.phase!=Running", {"c", "d"}},
      {"status.phase!=Succeeded,status.phase!=Failed", {"a", "b", "d"}},
      {"spec.nodeName=n1,status.phase=Running", {"a"}},
      {"spec.nodeName=n2,status.phase=Failed", {}},
  };
  for (const Row& row : rows) {
    INFO(row.selector);
    const std::string query = "?fieldSelector=" + url_encode(row.selector);
    CHECK(names(cluster.json("GET", kPods + query, 200)) == row.names);
    CHECK(names(cluster.json("GET", "/api/v1/pods" + query, 200)) == row.names);
  }
}

TEST_CASE("events expire") {
  ManualClock clock;
  Options options;
  options.clock = &clock;
  options.event_ttl_ms = 60'000;
  Cluster cluster(options);
  const std::string events = "/api/v1/namespaces/default/events";
  const auto event = [](const std::string& name) {
    return R"({"metadata":{"name":")" + name + R"("},"involvedObject":{"namespace":"default"}})";
  };
  cluster.json("POST", events, 201, event("old"));
  CHECK(cluster.registry->expire_events() == 0);
  clock.advance_ms(40'000);
  CHECK(cluster.registry->expire_events() == 0);
  cluster.json("POST", events, 201, event("young"));
  clock.advance_ms(40'000);
  CHECK(cluster.registry->expire_events() == 1);
  CHECK(names(cluster.json("GET", events, 200)) == std::vector<std::string>{"young"});
}

TEST_CASE("what is not served says so") {
  Cluster cluster;
  cluster.json("POST", kPods, 201, kPod);
  for (const char* subresource :
       {"exec", "attach", "portforward", "proxy", "ephemeralcontainers", "resize"}) {
    INFO(subresource);
    const json::Value status = cluster.json("POST", kPods + "/p/" + subresource, 404);
    CHECK(status.get_string("kind") == "Status");
    CHECK(status.get_string("reason") == "NotFound");
  }
  CHECK(cluster.send("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", "{}")->status() ==
        404);
  const json::Value discovery = cluster.json("GET", "/api/v1", 200);
  for (const json::Value& resource : discovery.find("resources")->as_array()) {
    const std::string name = resource.get_string("name");
    INFO(name);
    for (const char* absent :
         {"/exec", "/attach", "/portforward", "/proxy", "/token", "/ephemeralcontainers"})
      CHECK(name.find(absent) == std::string::npos);
  }
}
