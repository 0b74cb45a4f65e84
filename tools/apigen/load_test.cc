// A bad catalogue is refused with the line that is wrong.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "tools/apigen/model.h"

using namespace coxswain;
namespace fs = std::filesystem;

namespace {

// One kind with a list of items; line numbers below count from its first line.
const std::string kGood =
    "components:\n"                                                                                 // 1
    "  schemas:\n"                                                                                  // 2
    "    io.k8s.api.test.v1.Item:\n"                                                                // 3
    "      type: object\n"                                                                          // 4
    "      properties:\n"                                                                           // 5
    "        name: {type: string, x-protobuf: 1}\n"                                                 // 6
    "        data: {x-any: raw-extension, x-protobuf: 2}\n"                                         // 7
    "    io.k8s.api.test.v1.Thing:\n"                                                               // 8
    "      x-resource: {group: test, version: v1, kind: Thing, plural: things, singular: thing,\n"  // 9
    "                   scope: Namespaced, verbs: [get, list], served: true,\n"                     // 10
    "                   columns: [{name: Name, type: string, format: name}]}\n"                     // 11
    "      type: object\n"                                                                          // 12
    "      x-kubernetes-map-type: atomic\n"                                                         // 13
    "      properties:\n"                                                                           // 14
    "        items: {type: array, items: {$ref: \"#/components/schemas/io.k8s.api.test.v1.Item\"}, "
    "x-kubernetes-list-type: map, "
    "x-kubernetes-list-map-keys: [name], x-kubernetes-patch-strategy: merge, x-kubernetes-patch-merge-key: "
    "name}\n";  // 15

Result<apigen::Catalogue> load(const std::string& text) {
  const fs::path path = fs::temp_directory_path() / ("apigen-test-" + std::to_string(getpid()) + ".yaml");
  std::ofstream(path) << text;
  auto loaded = apigen::load_catalogue(path.string());
  fs::remove(path);
  return loaded;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a good catalogue loads") {
  const auto catalogue = load(kGood);
  REQUIRE(catalogue.ok());
  const apigen::Schema* thing = catalogue->find("io.k8s.api.test.v1.Thing");
  REQUIRE(thing != nullptr);
  CHECK(thing->map_atomic);
  CHECK(thing->package() == "test");
  CHECK(thing->fields.at(0).patch_merge_key == "name");
}

TEST_CASE("a bad catalogue says where and what") {
  struct Case {
    const char* from;
    const char* to;
    int line;
    const char* message;
  };
  const Case cases[] = {
      {"x-protobuf: 1", "x-protobuff: 1", 6, "unknown key 'x-protobuff'"},
      {"type: string, x-protobuf", "type: text, x-protobuf", 6, "unknown type 'text'"},
      {"x-any: raw-extension", "x-any: raw", 7, "x-any cannot be 'raw'"},
      {"x-protobuf: 2", "x-protobuf: 1", 7, "protobuf number 1 stands twice"},
      {"        data: {", "        name: {", 7, "field 'name' stands twice"},
      {"scope: Namespaced", "scope: Namespace", 10, "scope cannot be 'Namespace'"},
      {"singular: thing,", "", 9, "x-resource needs 'singular'"},
      {"columns: [{name: Name, type: string, format: name}]", "columns: []", 8, "served and has no columns"},
      {"v1.Item\"", "v1.Itm\"", 15, "unknown schema 'io.k8s.api.test.v1.Itm'"},
      {"list-type: map", "list-type: mapp", 15, "cannot be 'mapp'"},
      {"merge-key: name", "merge-key: id", 15, "key 'id' is no field"},
      {"map-keys: [name]", "map-keys: [id]", 15, "key 'id' is no field"},
      {"strategy: merge,", "strategy: mix,", 15, "cannot be 'mix'"},
      {"    io.k8s.api.test.v1.Thing:", "    io.k8s.api.test.v1.Item:", 8, "stands twice"},
      {"properties:\n        name", "properties: [\n        name", 7, ""},
  };
  for (const Case& c : cases) {
    INFO(c.from << " -> " << c.to);
    const auto loaded = load(replaced(kGood, c.from, c.to));
    REQUIRE_FALSE(loaded.ok());
    INFO(loaded.error().message);
    CHECK(loaded.error().message.find(c.message) != std::string::npos);
    CHECK(loaded.error().message.find(".yaml:" + std::to_string(c.line) + ": ") != std::string::npos);
  }
  CHECK_FALSE(load("").ok());
  CHECK_FALSE(apigen::load_catalogue("/no/such/file").ok());
}
