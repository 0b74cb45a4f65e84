// What clients may send: wrong types, unknown and duplicate fields, protobuf, documents with parts missing.
#include <fstream>
#include <iterator>
#include <catch2/catch.hpp>

#include "libs/registry/test_cluster.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kMaps = "/api/v1/namespaces/default/configmaps";
const std::string kPods = "/api/v1/namespaces/default/pods";
const std::string kDeployments = "/apis/apps/v1/namespaces/default/deployments";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  INFO(path);
  REQUIRE(file);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string message_of(const std::shared_ptr<LocalExchange>& exchange) {
  return json::parse(exchange->body()).value().get_string("message");
}

// Without what the server makes up anew each time.
json::Value comparable(const std::string& body) {
  json::Value value = json::parse(body).value();
  if (json::Value* metadata = value.find("metadata")) {
    for (const char* key : {"uid", "creationTimestamp", "name", "resourceVersion"}) metadata->erase(key);
  }
  return value;
}

struct Kind {
  const char* sample;
  const char* collection;
};
const Kind kServed[] = {
    {"core.v1.Namespace", "/api/v1/namespaces"},
    {"core.v1.Node", "/api/v1/nodes"},
    {"core.v1.Pod", "/api/v1/namespaces/default/pods"},
    {"core.v1.Service", "/api/v1/namespaces/default/services"},
    {"core.v1.Endpoints", "/api/v1/namespaces/default/endpoints"},
    {"discovery.k8s.io.v1.EndpointSlice", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"},
    {"core.v1.ConfigMap", "/api/v1/namespaces/default/configmaps"},
    {"core.v1.Secret", "/api/v1/namespaces/default/secrets"},
    {"core.v1.ServiceAccount", "/api/v1/namespaces/default/serviceaccounts"},
    {"core.v1.Event", "/api/v1/namespaces/default/events"},
    {"events.k8s.io.v1.Event", "/apis/events.k8s.io/v1/namespaces/default/events"},
    {"apps.v1.ReplicaSet", "/apis/apps/v1/namespaces/default/replicasets"},
    {"apps.v1.Deployment", "/apis/apps/v1/namespaces/default/deployments"},
    {"apps.v1.ControllerRevision", "/apis/apps/v1/namespaces/default/controllerrevisions"},
    {"coordination.k8s.io.v1.Lease", "/apis/coordination.k8s.io/v1/namespaces/default/leases"},
};

std::string varint(std::size_t n) {
  std::string out;
  for (; n >= 128; n >>= 7) out += static_cast<char>((n & 0x7f) | 0x80);
  return out + static_cast<char>(n);
}
std::string field(unsigned number, const std::string& body) {
  return varint(number << 3 | 2) + varint(body.size()) + body;
}
std::string number(unsigned field_number, std::size_t value) {
  return varint(field_number << 3) + varint(value);
}
std::string envelope(const std::string& version, const std::string& kind, const std::string& raw) {
  return std::string("k8s\0", 4) + field(1, field(1, version) + field(2, kind)) + field(2, raw);
}

constexpr const char* kProtobuf = "application/vnd.kubernetes.protobuf";

}  // namespace

TEST_CASE("wrong types are named with their place and what belongs there") {
  struct Row {
    const char* collection;
    const char* body;
    const char* says;
  };
  const Row row = GENERATE(values<Row>({
      {"/apis/apps/v1/namespaces/default/deployments", R"({"spec":{"replicas":"3"}})",
       "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into "
       "Go struct "
       "field DeploymentSpec.spec.replicas of type int32"},
      {"/apis/apps/v1/namespaces/default/deployments", R"({"spec":{"replicas":3000000000}})",
       "cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32"},
      {"/api/v1/namespaces/default/pods", R"({"spec":{"containers":{}}})",
       "cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"},
      {"/api/v1/namespaces/default/pods", R"({"spec":{"containers":["x"]}})",
       "cannot unmarshal string into Go struct field PodSpec.spec.containers[0] of type v1.Container"},
      {"/api/v1/namespaces/default/pods", R"({"spec":{"containers":[{"ports":[{"containerPort":"80"}]}]}})",
       "Go struct field ContainerPort.spec.containers[0].ports[0].containerPort of type int32"},
      {"/api/v1/namespaces/default/pods", R"({"spec":{"hostNetwork":"yes"}})",
       "cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"},
      {"/api/v1/namespaces/default/configmaps", R"({"data":{"a":1}})",
       "cannot unmarshal number into Go struct field ConfigMap.data[a] of type string"},
      {"/api/v1/namespaces/default/configmaps", R"({"data":[1]})",
       "cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"},
      {"/api/v1/namespaces/default/configmaps", R"({"metadata":{"labels":"x"}})",
       "Go struct field ObjectMeta.metadata.labels of type map[string]string"},
      {"/api/v1/namespaces/default/secrets", R"({"data":{"a":"%%"}})", "illegal base64 data"},
      {"/api/v1/namespaces/default/pods",
       R"({"spec":{"containers":[{"resources":{"limits":{"cpu":"1x"}}}]}})", "quantities must match"},
      {"/apis/coordination.k8s.io/v1/namespaces/default/leases", R"({"spec":{"renewTime":"yesterday"}})",
       "parsing time \"yesterday\""},
  }));
  Cluster cluster;
  auto exchange = cluster.send("POST", row.collection, row.body);
  INFO(row.body << " -> " << exchange->body());
  CHECK(exchange->status() == 400);
  CHECK(message_of(exchange).find(row.says) != std::string::npos);
}

TEST_CASE("field validation, in JSON and YAML, on create, update and patch") {
  Cluster cluster;
  cluster.json("POST", kMaps, 201, R"({"metadata":{"name":"a"}})");
  struct Row {
    const char* method;
    const char* target;
    const char* type;
    const char* body;
    const char* strict;  // what Strict says
    int code;            // with what code
    const char* warning;
  };
  const Row rows[] = {
      {"POST", "", "application/json", R"({"metadata":{"name":"b","x":1},"y":1})",
       "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field "
       "\"metadata.x\", unknown field \"y\"",
       400, "unknown field"},
      {"POST", "", "application/json", R"({"metadata":{"name":"b"},"data":{"k":"1","k":"2"}})",
       "strict decoding error: duplicate field \"data.k\"", 400, "duplicate field"},
      {"POST", "", "application/yaml", "metadata: {name: b}\ny: 1\n", "unknown field \"y\"", 400,
       "unknown field"},
      {"POST", "", "application/yaml", "metadata: {name: b}\ndata:\n  k: a\n  k: b\n", "data.k", 400,
       "data.k"},
      {"PUT", "/a", "application/json", R"({"metadata":{"name":"a"},"y":1})", "unknown field \"y\"", 400,
       "unknown field"},
      {"PATCH", "/a", "application/merge-patch+json", R"({"y":1})", "unknown field \"y\"", 422,
       "unknown field"},
      {"PATCH", "/a", "application/json-patch+json", R"([{"op":"add","path":"/y","value":1}])",
       "unknown field \"y\"", 422, "unknown field"},
      {"PATCH", "/a", "application/strategic-merge-patch+json", R"({"y":1})", "unknown field \"y\"", 422,
       "unknown field"},
  };
  for (const Row& row : rows) {
    const std::string target = kMaps + row.target;
    INFO(row.method << " " << row.type << " " << row.body);
    auto strict = cluster.send(row.method, target + "?fieldValidation=Strict&dryRun=All", row.body, row.type);
    CHECK(strict->status() == row.code);
    CHECK(message_of(strict).find(row.strict) != std::string::npos);
    auto warn = cluster.send(row.method, target + "?fieldValidation=Warn&dryRun=All", row.body, row.type);
    CHECK(warn->status() < 300);
    CHECK(http::find_header(warn->headers(), "Warning").find(row.warning) != std::string_view::npos);
    auto ignore = cluster.send(row.method, target + "?fieldValidation=Ignore&dryRun=All", row.body, row.type);
    CHECK(ignore->status() < 300);
    CHECK(http::find_header(ignore->headers(), "Warning").empty());
  }
}

TEST_CASE("protobuf bodies are worth what JSON bodies are, for every served kind") {
  Cluster cluster;
  for (const Kind& kind : kServed) {
    INFO(kind.sample);
    const std::string base = std::string("libs/api/protobuf/testdata/") + kind.sample;
    json::Value object = json::parse(read_file(base + ".json")).value();
    // The samples name a namespace and a revision of their own; so the answer is a refusal or an object, and
    // both must be the same whatever the body was written in.
    const std::string text = json::write(object);
    const std::string target = std::string(kind.collection) + "?dryRun=All";
    auto from_json = cluster.send("POST", target, text);
    auto from_protobuf = cluster.send("POST", target, read_file(base + ".pb"), kProtobuf);
    CHECK(from_json->status() == from_protobuf->status());
    CHECK(comparable(from_json->body()) == comparable(from_protobuf->body()));
    // An update goes further: past the checks of the target, into every rule of the kind.
    const std::string name = object.get_string_path({"metadata", "name"});
    auto put_json = cluster.send("PUT", std::string(kind.collection) + "/" + name, text);
    auto put_protobuf =
        cluster.send("PUT", std::string(kind.collection) + "/" + name, read_file(base + ".pb"), kProtobuf);
    CHECK(put_json->status() == put_protobuf->status());
    CHECK(comparable(put_json->body()) == comparable(put_protobuf->body()));
  }
}

TEST_CASE("protobuf through every verb that takes a body") {
  Cluster cluster;
  const auto meta = [](const std::string& name) { return field(1, field(1, name)); };
  const std::string map = meta("a") + field(2, field(1, "k") + field(2, "v"));
  auto made = cluster.send("POST", kMaps, envelope("v1", "ConfigMap", map), kProtobuf);
  REQUIRE(made->status() == 201);
  CHECK(cluster.json("GET", kMaps + "/a", 200).get_string_path({"data", "k"}) == "v");
  const std::string changed = meta("a") + field(2, field(1, "k") + field(2, "w"));
  CHECK(cluster.send("PUT", kMaps + "/a", envelope("v1", "ConfigMap", changed), kProtobuf)->status() == 200);
  CHECK(cluster.json("GET", kMaps + "/a", 200).get_string_path({"data", "k"}) == "w");

  // DeleteOptions: a precondition that does not hold, then one that does.
  const auto options = [](const std::string& uid) {
    return envelope("v1", "DeleteOptions", field(2, field(1, uid)));
  };
  CHECK(cluster.send("DELETE", kMaps + "/a", options("not-it"), kProtobuf)->status() == 409);
  const std::string uid = cluster.json("GET", kMaps + "/a", 200).get_string_path({"metadata", "uid"});
  CHECK(cluster.send("DELETE", kMaps + "/a", options(uid), kProtobuf)->status() == 200);
  CHECK(cluster.send("GET", kMaps + "/a")->status() == 404);

  cluster.json("POST", kPods, 201,
               R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})");
  const std::string binding = meta("p") + field(2, field(1, "Node") + field(3, "n1"));
  CHECK(cluster.send("POST", kPods + "/p/binding", envelope("v1", "Binding", binding), kProtobuf)->status() ==
        201);
  CHECK(cluster.json("GET", kPods + "/p", 200).get_string_path({"spec", "nodeName"}) == "n1");
  const std::string eviction = meta("p") + field(2, number(1, 0));  // gracePeriodSeconds 0
  CHECK(cluster.send("POST", kPods + "/p/eviction", envelope("policy/v1", "Eviction", eviction), kProtobuf)
            ->status() == 201);
  CHECK(cluster.send("GET", kPods + "/p")->status() == 404);

  cluster.json(
      "POST", kDeployments, 201,
      R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})");
  const std::string scale = meta("d") + field(2, number(1, 7));
  auto scaled =
      cluster.send("PUT", kDeployments + "/d/scale", envelope("autoscaling/v1", "Scale", scale), kProtobuf);
  REQUIRE(scaled->status() == 200);
  CHECK(json::parse(scaled->body())->get_string("kind") == "Scale");
  CHECK(cluster.json("GET", kDeployments + "/d", 200).find("spec")->get_int("replicas") == 7);
}

TEST_CASE("what is hardly meant is warned of") {
  Cluster cluster;
  const auto warnings = [&](const std::string& collection, const std::string& body) {
    auto exchange = cluster.send("POST", collection, body);
    INFO(exchange->body());
    REQUIRE(exchange->status() == 201);
    std::vector<std::string> out;
    for (const http::Header& header : exchange->headers()) {
      if (header.first == "Warning") out.push_back(header.second);
    }
    return out;
  };
  const std::string containers =
      R"("containers":[{"name":"c","image":"i","env":[{"name":"A","value":"1"},{"name":"A","value":"2"}],"ports":[{"containerPort":80},{"containerPort":80}]}])";
  CHECK(
      warnings(kPods, R"({"metadata":{"name":"p"},"spec":{"terminationGracePeriodSeconds":-1,)" + containers +
                          "}}") ==
      std::vector<std::string>{
          R"(299 - "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply")",
          R"(299 - "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]")",
          R"(299 - "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1")"});
  CHECK(
      warnings(
          kDeployments,
          R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{)" +
              containers + "}}}}")
          .size() == 2);
  auto scaled = cluster.send("PATCH", kDeployments + "/d", R"({"spec":{"replicas":2}})",
                             "application/merge-patch+json");
  CHECK(http::find_header(scaled->headers(), "Warning").empty());
}

TEST_CASE("times and quantities are kept in one spelling") {
  Cluster cluster;
  const std::string leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
  const auto renewed = [&](const std::string& name, const std::string& time) {
    return cluster
        .json("POST", leases, 201,
              R"({"metadata":{"name":")" + name + R"("},"spec":{"renewTime":")" + time + "\"}}")
        .get_string_path({"spec", "renewTime"});
  };
  CHECK(renewed("a", "2026-01-02T03:04:05.123456Z") == "2026-01-02T03:04:05.123456Z");
  CHECK(renewed("b", "2026-01-02T03:04:05.123456+00:00") == "2026-01-02T03:04:05.123456Z");
  CHECK(renewed("c", "2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000Z");
  CHECK(renewed("d", "2026-01-02T05:04:05.5+02:00") == "2026-01-02T03:04:05.500000Z");
  // A client that writes what it read, in its own spelling.
  cluster.json("POST", kMaps, 201, R"({"metadata":{"name":"m"}})");
  json::Value map = cluster.json("GET", kMaps + "/m", 200);
  std::string& born = map.find_path({"metadata", "creationTimestamp"})->as_string();
  born.replace(born.size() - 1, 1, "+00:00");
  CHECK(cluster.json("PUT", kMaps + "/m", 200, json::write(map)) == cluster.json("GET", kMaps + "/m", 200));
  const json::Value pod = cluster.json(
      "POST", kPods, 201,
      R"({"metadata":{"name":"p"},"spec":{"volumes":[{"name":"v","emptyDir":{"sizeLimit":"1024Mi"}}],"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":0.5,"memory":"1024Ki"}}}]}})");
  CHECK(pod.find_path({"spec", "volumes"})->as_array()[0].get_string_path({"emptyDir", "sizeLimit"}) ==
        "1Gi");
  CHECK(json::write(
            *pod.find_path({"spec", "containers"})->as_array()[0].find_path({"resources", "requests"})) ==
        R"({"cpu":"500m","memory":"1Mi"})");
}

TEST_CASE("bodies of subresources are objects of their kind") {
  Cluster cluster;
  cluster.json("POST", kPods, 201,
               R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})");
  cluster.json(
      "POST", kDeployments, 201,
      R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})");
  struct Row {
    const char* method;
    std::string target;
  };
  const Row rows[] = {{"POST", kPods + "/p/binding"},
                      {"POST", kPods + "/p/eviction"},
                      {"PUT", kDeployments + "/d/scale"},
                      {"DELETE", kPods + "/p"},
                      {"POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"}};
  const store::Revision before = cluster.store->revision();
  for (const Row& row : rows) {
    for (const char* body : {"[]", "1", "null", "{", R"({"kind":"Pod"})", R"({"metadata":{"name":7}})"}) {
      INFO(row.target << " " << body);
      if (row.target == kPods + "/p" && std::string(body).find("metadata") != std::string::npos) continue;
      CHECK(cluster.send(row.method, row.target, body)->status() == 400);
    }
    CHECK(cluster.send(row.method, row.target, "{}", "text/html")->status() == 415);
  }
  CHECK(cluster.store->revision() == before);
}

// A json::Object's members move when one is added: every step that fills in what is missing is a place to get
// that wrong. Each document here lacks parts that some step adds.
TEST_CASE("documents with parts missing are completed or refused, never fatal") {
  Cluster cluster;
  const char* const parts[] = {
      "{}",
      R"({"metadata":{}})",
      R"({"metadata":{"name":"x"}})",
      R"({"metadata":null,"spec":null,"status":null})",
      R"({"metadata":{"generateName":"x-"}})",
      R"({"metadata":{"name":"x"},"spec":{}})",
      R"({"metadata":{"name":"x"},"status":{}})",
      R"({"spec":{"containers":[{}]},"metadata":{"name":"x"}})",
      R"({"spec":{"containers":[{"name":"c","image":"i"}],"schedulingGates":[{"name":"g"}]},"metadata":{"name":"x"}})",
      R"({"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":1,"memory":"1Gi","x.io/y":1}}}]},"metadata":{"name":"x"}})",
      R"({"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i","ports":[{"containerPort":1}]}],"volumes":[{"name":"v"}]},"metadata":{"name":"x"}})",
      R"({"spec":{"template":{}},"metadata":{"name":"x"}})",
      R"({"spec":{"strategy":{"rollingUpdate":{}},"selector":{},"template":{"spec":{"containers":[{"env":[{"valueFrom":{"fieldRef":{}}}]}]}}},"metadata":{"name":"x"}})",
      R"({"spec":{"type":"NodePort","ports":[{}]},"metadata":{"name":"x"}})",
      R"({"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","sessionAffinity":"ClientIP","ports":[{"port":1}]},"metadata":{"name":"x"}})",
      R"({"spec":{"type":"ExternalName","externalName":"a.b"},"metadata":{"name":"x"}})",
      R"({"stringData":{"a":"b"},"metadata":{"name":"x"}})",
      R"({"subsets":[{}],"metadata":{"name":"x"}})",
      R"({"addressType":"IPv4","endpoints":[{}],"ports":[{}],"metadata":{"name":"x"}})",
      R"({"spec":{"podCIDR":"10.0.0.0/24"},"metadata":{"name":"x"}})",
  };
  for (const Kind& kind : kServed) {
    for (const char* body : parts) {
      INFO(kind.collection << " " << body);
      auto made = cluster.send("POST", kind.collection, body);
      REQUIRE(made->status() >= 200);
      REQUIRE(made->status() < 500);
      if (made->status() != 201) continue;
      const json::Value object = json::parse(made->body()).value();
      const std::string target =
          std::string(kind.collection) + "/" + object.get_string_path({"metadata", "name"});
      // As it was answered it is a good object.
      INFO(made->body());
      REQUIRE(cluster.send("PUT", target, made->body())->status() == 200);
      REQUIRE(
          cluster
              .send("PATCH", target, R"({"metadata":{"labels":{"a":"b"}}})", "application/merge-patch+json")
              ->status() == 200);
      REQUIRE(cluster.send("DELETE", target + "?gracePeriodSeconds=0")->status() == 200);
    }
  }
}
