#include "cli/apply_patch.h"

#include <catch2/catch.hpp>

using namespace coxswain;

namespace {
json::Value doc(const char* text) {
  auto parsed = json::parse(text);
  REQUIRE(parsed.ok());
  return *parsed;
}
const api::schema::Type* service() {
  const auto* resource = api::schema::find_resource("", "v1", "services");
  REQUIRE(resource != nullptr);
  return resource->type;
}
}  // namespace

TEST_CASE("three-way patches") {
  struct Row {
    const char* why;
    const char* last;
    const char* wanted;
    const char* live;
    const char* patch;  // "null": nothing to do
  };
  const Row rows[] = {
      {"nothing changed, the server's defaults stay", R"({"spec":{"type":"ClusterIP"}})",
       R"({"spec":{"type":"ClusterIP"}})", R"({"spec":{"type":"ClusterIP","clusterIP":"10.0.0.1"}})", "null"},
      {"a value changed", R"({"spec":{"type":"ClusterIP"}})", R"({"spec":{"type":"NodePort"}})",
       R"({"spec":{"type":"ClusterIP","clusterIP":"10.0.0.1"}})", R"({"spec":{"type":"NodePort"}})"},
      {"a field that was applied is gone now", R"({"spec":{"externalName":"a","type":"X"}})",
       R"({"spec":{"type":"X"}})", R"({"spec":{"externalName":"a","type":"X"}})",
       R"({"spec":{"externalName":null}})"},
      {"a field of others stays", R"({"spec":{}})", R"({"spec":{"type":"X"}})",
       R"({"spec":{"externalName":"a","type":"X"}})", "null"},
      {"keyed lists merge: the node port that the server chose stays",
       R"({"spec":{"ports":[{"port":80,"name":"a"}]}})", R"({"spec":{"ports":[{"port":80,"name":"b"}]}})",
       R"({"spec":{"ports":[{"port":80,"name":"a","nodePort":30001}]}})",
       R"({"spec":{"ports":[{"port":80,"name":"b"}]}})"},
      {"an element is added and one removed", R"({"spec":{"ports":[{"port":80}]}})",
       R"({"spec":{"ports":[{"port":81}]}})", R"({"spec":{"ports":[{"port":80,"nodePort":1}]}})",
       R"({"spec":{"ports":[{"port":81},{"port":80,"$patch":"delete"}]}})"},
      {"maps lose keys that were applied", R"({"spec":{"selector":{"a":"1","b":"2"}}})",
       R"({"spec":{"selector":{"a":"1"}}})", R"({"spec":{"selector":{"a":"1","b":"2","c":"3"}}})",
       R"({"spec":{"selector":{"b":null}}})"},
  };
  for (const Row& row : rows) {
    INFO(row.why);
    const json::Value patch = cli::three_way_patch(doc(row.last), doc(row.wanted), doc(row.live), service());
    INFO(json::write(patch));
    CHECK((patch == doc(row.patch)));
  }
}

TEST_CASE("the last-applied annotation does not hold itself") {
  const json::Value once = cli::with_last_applied(doc(R"({"kind":"X","metadata":{"name":"a"}})"));
  const json::Value twice = cli::with_last_applied(once);
  const std::string text = twice.find_path({"metadata", "annotations", cli::kLastApplied})->as_string();
  CHECK(text.find("last-applied") == std::string::npos);
  CHECK(text.back() == '\n');
}
