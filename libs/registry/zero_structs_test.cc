#include "libs/registry/zero_structs.h"

#include <catch2/catch.hpp>

namespace coxswain::registry {
namespace {

json::Value filled(std::string_view kind_group, std::string_view kind, std::string_view text) {
  const api::schema::Resource* resource = api::schema::find_kind(kind_group, "v1", kind);
  REQUIRE(resource != nullptr);
  json::Value object = *json::parse(text);
  add_zero_structs(*resource->type, object);
  json::Value again = object;
  add_zero_structs(*resource->type, again);
  CHECK(again == object);
  return object;
}

TEST_CASE("structs that Kubernetes holds by value are always there") {
  struct Row {
    const char* group;
    const char* kind;
    const char* before;
    const char* after;
  };
  const Row rows[] = {
      {"", "Service", R"({"metadata":{"name":"a"}})",
       R"({"metadata":{"name":"a"},"spec":{},"status":{"loadBalancer":{}}})"},
      {"", "Pod",
       R"({"metadata":{},"spec":{"containers":[{"name":"c"}]},
           "status":{"containerStatuses":[{"name":"c","state":{"running":{}}}]}})",
       R"({"metadata":{},"spec":{"containers":[{"name":"c","resources":{}}]},
           "status":{"containerStatuses":[{"name":"c","state":{"running":{}},"lastState":{}}]}})"},
      {"apps", "Deployment", R"({"metadata":{},"spec":{"template":{"spec":{"containers":[]}}}})",
       R"({"metadata":{},"spec":{"strategy":{},"template":{"metadata":{},"spec":{"containers":[]}}},
           "status":{}})"},
      {"", "ConfigMap", R"({"metadata":{},"data":{"a":"b"}})", R"({"metadata":{},"data":{"a":"b"}})"},
      // What is there stays, whatever it is.
      {"", "Service", R"({"metadata":{},"spec":{"ports":[{"port":1}]},"status":{"loadBalancer":7}})",
       R"({"metadata":{},"spec":{"ports":[{"port":1}]},"status":{"loadBalancer":7}})"},
  };
  for (const Row& row : rows) {
    INFO(row.kind << " " << row.before);
    const json::Value after = filled(row.group, row.kind, row.before);
    CHECK(after == *json::parse(row.after));
  }
}

TEST_CASE("a struct made from nothing has its required scalars") {
  const json::Value node = filled("", "Node", R"({"metadata":{}})");
  const json::Value* info = node.find_path({"status", "nodeInfo"});
  REQUIRE(info != nullptr);
  CHECK(info->get_string("machineID", "absent").empty());
  const json::Value* endpoint = node.find_path({"status", "daemonEndpoints", "kubeletEndpoint"});
  REQUIRE(endpoint != nullptr);
  CHECK(endpoint->get_int("Port", -1) == 0);
}

}  // namespace
}  // namespace coxswain::registry
