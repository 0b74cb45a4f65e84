#include "libs/api/openapi/gnostic.h"

#include <catch2/catch.hpp>

#include "libs/api/openapi/discovery.h"
#include "libs/api/openapi/openapi.h"
#include "libs/api/protobuf/wire.h"

using namespace coxswain;
using namespace coxswain::api;

namespace {

// The bytes of every field `number` of a message, in order.
std::vector<std::string_view> fields(std::string_view message, std::uint32_t number) {
  std::vector<std::string_view> out;
  protobuf::WireReader reader(message, 0);
  protobuf::WireField field;
  while (!reader.at_end()) {
    REQUIRE(reader.next(field));
    if (field.number == number) out.push_back(field.bytes);
  }
  return out;
}

std::string_view only(std::string_view message, std::uint32_t number) {
  const auto found = fields(message, number);
  REQUIRE(found.size() == 1);
  return found.front();
}

// The value of the member `name` in a message of {name = 1, value = 2} pairs at field `number`.
std::string_view named(std::string_view message, std::uint32_t number, std::string_view name) {
  for (const std::string_view pair : fields(message, number)) {
    if (only(pair, 1) == name) return only(pair, 2);
  }
  FAIL("no member " << name);
  return {};
}

}  // namespace

TEST_CASE("the v2 document survives the way into protobuf") {
  const json::Value document = openapi::openapi_v2(openapi::served_resources());
  const std::string bytes = openapi::openapi_v2_protobuf(document);
  CHECK(only(bytes, 1) == "2.0");
  CHECK(only(only(bytes, 2), 1) == "Kubernetes");
  const std::string_view definitions = only(bytes, 9);
  CHECK(fields(definitions, 1).size() == document.find("definitions")->as_object().size());

  const std::string_view pod = named(definitions, 1, "io.k8s.api.core.v1.PodSpec");
  CHECK(only(only(pod, 22), 1) == "object");
  CHECK(fields(pod, 19).size() == 1);
  const std::string_view containers = named(only(pod, 25), 1, "containers");
  CHECK(only(only(containers, 22), 1) == "array");
  CHECK(only(only(only(containers, 23), 1), 1) == "#/definitions/io.k8s.api.core.v1.Container");
  CHECK(only(named(containers, 31, "x-kubernetes-patch-merge-key"), 2) == "\"name\"");
  const std::string_view labels = named(only(pod, 25), 1, "nodeSelector");
  CHECK(only(only(only(only(labels, 21), 1), 22), 1) == "string");
}

TEST_CASE("operations keep their kind, action and parameters in protobuf") {
  const std::string bytes = openapi::openapi_v2_protobuf(openapi::openapi_v2(openapi::served_resources()));
  const std::string_view path =
      named(only(bytes, 8), 2, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
  CHECK(fields(path, 9).size() == 2);  // namespace and name
  const std::string_view patch = only(path, 8);
  CHECK(only(named(patch, 13, "x-kubernetes-action"), 2) == "\"patch\"");
  CHECK(only(named(patch, 13, "x-kubernetes-group-version-kind"), 2) ==
        R"({"group":"apps","version":"v1","kind":"Deployment"})");
  bool dry_run = false;
  for (const std::string_view item : fields(patch, 8)) {
    const std::string_view parameter = only(item, 1);
    if (fields(parameter, 2).empty()) continue;
    const std::string_view query = only(only(parameter, 2), 3);
    dry_run = dry_run || only(query, 4) == "dryRun";
  }
  CHECK(dry_run);
  CHECK(fields(only(patch, 9), 1).size() == 1);
}
