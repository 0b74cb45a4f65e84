#include "libs/api/patch/patch.h"

#include <catch2/catch.hpp>

using namespace coxswain;
using namespace coxswain::api;

namespace {

// {name, value, labels{}, list[name] merge, prims merge, atomic, inner retainKeys}
const schema::Type* thing() {
  static constexpr std::uint16_t kItemOrder[] = {0, 1, 2};
  static schema::Field item_fields[3];
  static schema::Type item{"Item", "", item_fields, kItemOrder, false};
  static schema::Field fields[6];
  static constexpr std::uint16_t kOrder[] = {0, 1, 2, 3, 4, 5};
  static schema::Type type{"Thing", "", fields, kOrder, false};
  static const bool once = [] {
    item_fields[0].name = "name";
    item_fields[1].name = "nested";
    item_fields[1].kind = schema::Kind::kStruct;
    item_fields[1].container = schema::Container::kList;
    item_fields[1].type = &item;
    item_fields[1].patch_merge = true;
    item_fields[1].patch_merge_key = "name";
    item_fields[2].name = "value";
    fields[0].name = "atomic";
    fields[0].container = schema::Container::kList;
    fields[1].name = "items";
    fields[1].kind = schema::Kind::kStruct;
    fields[1].container = schema::Container::kList;
    fields[1].type = &item;
    fields[1].patch_merge = true;
    fields[1].patch_merge_key = "name";
    fields[2].name = "labels";
    fields[2].container = schema::Container::kMap;
    fields[3].name = "prims";
    fields[3].container = schema::Container::kList;
    fields[3].patch_merge = true;
    fields[4].name = "strategy";
    fields[4].kind = schema::Kind::kStruct;
    fields[4].type = &item;
    fields[5].name = "value";
    return true;
  }();
  (void)once;
  return &type;
}

struct Case {
  const char* what;
  const char* document;
  const char* patch;
  const char* expected;  // JSON, or "CODE text" for an error
};

template <typename Apply>
void run(const Case& c, const Apply& apply) {
  INFO(c.what << ": " << c.document << " + " << c.patch);
  const auto patch = json::parse(c.patch);
  const auto document = json::parse(c.document);
  REQUIRE((patch.ok() && document.ok()));
  const ApiResult<json::Value> result = apply(*patch, *document);
  const std::string expected = c.expected;
  if (expected[0] == '4') {
    REQUIRE_FALSE(result.ok());
    CHECK(std::to_string(result.error().code) == expected.substr(0, 3));
    INFO(result.error().message);
    CHECK(result.error().message.find(expected.substr(4)) != std::string::npos);
    return;
  }
  if (!result.ok()) FAIL(result.error().message);
  INFO(json::write(*result));
  CHECK(*result == *json::parse(expected));
}

}  // namespace

TEST_CASE("JSON patch") {
  const Case cases[] = {
      {"add member", R"({"a":1})", R"([{"op":"add","path":"/b","value":2}])", R"({"a":1,"b":2})"},
      {"add replaces", R"({"a":1})", R"([{"op":"add","path":"/a","value":2}])", R"({"a":2})"},
      {"add in list", R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
      {"append", R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2}])", R"({"a":[1,2]})"},
      {"add past the end", R"({"a":[1]})", R"([{"op":"add","path":"/a/5","value":2}])", "422 missing path"},
      {"add below nothing", R"({})", R"([{"op":"add","path":"/a/b","value":2}])", "422 missing path"},
      {"remove", R"({"a":1,"b":2})", R"([{"op":"remove","path":"/a"}])", R"({"b":2})"},
      {"remove nothing", R"({})", R"([{"op":"remove","path":"/a"}])", "422 missing path"},
      {"remove from list", R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/0"}])", R"({"a":[2]})"},
      {"replace", R"({"a":{"b":1}})", R"([{"op":"replace","path":"/a/b","value":null}])",
       R"({"a":{"b":null}})"},
      {"replace nothing", R"({})", R"([{"op":"replace","path":"/a","value":1}])", "422 missing path"},
      {"replace all", R"({"a":1})", R"([{"op":"replace","path":"","value":{"z":1}}])", R"({"z":1})"},
      {"move", R"({"a":1})", R"([{"op":"move","from":"/a","path":"/b"}])", R"({"b":1})"},
      {"move into itself", R"({"a":{}})", R"([{"op":"move","from":"/a","path":"/a/b"}])", "422 "},
      {"copy", R"({"a":[1]})", R"([{"op":"copy","from":"/a","path":"/b"}])", R"({"a":[1],"b":[1]})"},
      {"test passes", R"({"a":1})", R"([{"op":"test","path":"/a","value":1},{"op":"remove","path":"/a"}])",
       "{}"},
      {"test fails", R"({"a":1})", R"([{"op":"remove","path":"/a"},{"op":"test","path":"/a","value":1}])",
       "422 test failed"},
      {"escapes", R"({"a/b":1,"c~d":2})",
       R"([{"op":"remove","path":"/a~1b"},{"op":"remove","path":"/c~0d"}])", "{}"},
      {"bad escape", R"({})", R"([{"op":"remove","path":"/a~2"}])", "400 JSON pointer"},
      {"no slash", R"({})", R"([{"op":"remove","path":"a"}])", "400 JSON pointer"},
      {"unknown op", R"({})", R"([{"op":"frob","path":"/a"}])", "400 unknown op"},
      {"no value", R"({})", R"([{"op":"add","path":"/a"}])", "400 value"},
      {"not a list", R"({})", R"({"op":"add"})", "400 array"},
      {"leading zero", R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/01"}])", "422 missing path"},
  };
  for (const Case& c : cases)
    run(c, [](const json::Value& p, const json::Value& d) { return apply_json_patch(p, d); });
}

TEST_CASE("JSON patch is bounded") {
  json::Value patch = json::Value::array();
  for (int i = 0; i < 10'001; ++i) patch.push_back(*json::parse(R"({"op":"test","path":"/x","value":null})"));
  CHECK(apply_json_patch(patch, json::Value::object()).error().code == 413);
  json::Value doubling = json::Value::array();
  for (int i = 0; i < 60; ++i) {
    doubling.push_back(*json::parse(R"({"op":"copy","from":"","path":"/x"})"));
    doubling.push_back(*json::parse(R"({"op":"copy","from":"","path":"/y"})"));
  }
  CHECK(apply_json_patch(doubling, *json::parse(R"({"seed":1})")).error().code >= 413);
}

TEST_CASE("merges are bounded, and what is large but fair goes through") {
  json::Value big = json::Value::object();
  for (int i = 0; i < 9000; ++i) big.as_object().append("k" + std::to_string(i), "x");
  CHECK(apply_merge_patch(big, json::Value::object()).error().code == 413);
  CHECK(apply_strategic_merge_patch(big, json::Value::object(), nullptr).error().code == 413);
  json::Value names = json::Value::array();
  for (int i = 0; i < 9000; ++i) names.push_back("f" + std::to_string(i));
  for (const char* member : {"$setElementOrder/a", "$deleteFromPrimitiveList/a"}) {
    const json::Value patch = json::Value::object({{"a", names}, {member, names}});
    CHECK(apply_strategic_merge_patch(patch, json::Value::object({{"a", names}}), nullptr).error().code ==
          413);
  }
  CHECK(apply_merge_patch(*json::parse(R"({"k1":"y"})"), big).ok());
}

TEST_CASE("merge patch") {
  const Case cases[] = {
      {"rfc 1", R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {"rfc 2", R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {"delete", R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {"list replaces", R"({"a":["b"]})", R"({"a":[1]})", R"({"a":[1]})"},
      {"nested", R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {"nulls in new objects vanish", "{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
      {"scalar becomes object", R"({"a":1})", R"({"a":{"b":1}})", R"({"a":{"b":1}})"},
      {"not an object", "{}", "[1]", "400 object"},
  };
  for (const Case& c : cases)
    run(c, [](const json::Value& p, const json::Value& d) { return apply_merge_patch(p, d); });
}

TEST_CASE("strategic merge patch") {
  const Case cases[] = {
      {"scalar", R"({"value":1})", R"({"value":2})", R"({"value":2})"},
      {"null deletes", R"({"value":1})", R"({"value":null})", "{}"},
      {"maps merge", R"({"labels":{"a":"1","b":"2"}})", R"({"labels":{"a":null,"c":"3"}})",
       R"({"labels":{"b":"2","c":"3"}})"},
      {"atomic list", R"({"atomic":[1,2]})", R"({"atomic":[3]})", R"({"atomic":[3]})"},
      {"merge by key", R"({"items":[{"name":"a","value":1},{"name":"b","value":2}]})",
       R"({"items":[{"name":"b","value":3}]})",
       R"({"items":[{"name":"a","value":1},{"name":"b","value":3}]})"},
      {"a new element comes first", R"({"items":[{"name":"a"}]})", R"({"items":[{"name":"z"}]})",
       R"({"items":[{"name":"z"},{"name":"a"}]})"},
      {"delete by key", R"({"items":[{"name":"a"},{"name":"b"}]})",
       R"({"items":[{"name":"a","$patch":"delete"}]})", R"({"items":[{"name":"b"}]})"},
      {"delete what is not there", R"({"items":[{"name":"b"}]})",
       R"({"items":[{"name":"a","$patch":"delete"}]})", R"({"items":[{"name":"b"}]})"},
      {"replace list", R"({"items":[{"name":"a"},{"name":"b"}]})",
       R"({"items":[{"name":"c"},{"$patch":"replace"}]})", R"({"items":[{"name":"c"}]})"},
      {"replace map", R"({"labels":{"a":"1"}})", R"({"labels":{"$patch":"replace","b":"2"}})",
       R"({"labels":{"b":"2"}})"},
      {"delete map", R"({"labels":{"a":"1"}})", R"({"labels":{"$patch":"delete"}})", R"({"labels":{}})"},
      {"directives in what is new", "{}",
       R"({"labels":{"$patch":"delete"},"items":[{"name":"a","$patch":"delete"},{"name":"b","value":null}]})",
       R"({"items":[{"name":"b"}]})"},
      {"primitives merge", R"({"prims":["a","b"]})", R"({"prims":["b","c"]})", R"({"prims":["a","b","c"]})"},
      {"primitives delete", R"({"prims":["a","b"]})", R"({"$deleteFromPrimitiveList/prims":["a"]})",
       R"({"prims":["b"]})"},
      {"primitives delete, order", R"({"prims":["a","b","c"]})",
       R"({"$setElementOrder/prims":["d","c"],"$deleteFromPrimitiveList/prims":["a"],"prims":["d"]})",
       R"({"prims":["d","b","c"]})"},
      {"order", R"({"items":[{"name":"a"},{"name":"b"}]})",
       R"({"$setElementOrder/items":[{"name":"b"},{"name":"a"}]})",
       R"({"items":[{"name":"b"},{"name":"a"}]})"},
      {"order with addition", R"({"items":[{"name":"a"},{"name":"b"}]})",
       R"({"$setElementOrder/items":[{"name":"a"},{"name":"c"},{"name":"b"}],"items":[{"name":"c","value":1}]})",
       R"({"items":[{"name":"a"},{"name":"c","value":1},{"name":"b"}]})"},
      {"order keeps server-only", R"({"items":[{"name":"a"},{"name":"s"},{"name":"b"}]})",
       R"({"$setElementOrder/items":[{"name":"a"},{"name":"b"}],"items":[{"name":"b","value":2}]})",
       R"({"items":[{"name":"a"},{"name":"s"},{"name":"b","value":2}]})"},
      {"order and delete", R"({"items":[{"name":"a"},{"name":"b"}]})",
       R"({"$setElementOrder/items":[{"name":"b"}],"items":[{"name":"a","$patch":"delete"}]})",
       R"({"items":[{"name":"b"}]})"},
      {"order of a new list", "{}",
       R"({"$setElementOrder/items":[{"name":"b"},{"name":"a"}],"items":[{"name":"b"},{"name":"a"}]})",
       R"({"items":[{"name":"b"},{"name":"a"}]})"},
      {"retainKeys", R"({"strategy":{"name":"x","value":1}})",
       R"({"strategy":{"$retainKeys":["name"],"name":"y"}})", R"({"strategy":{"name":"y"}})"},
      {"nested merge", R"({"items":[{"name":"a","nested":[{"name":"x","value":1}]}]})",
       R"({"items":[{"name":"a","nested":[{"name":"x","value":2},{"name":"y"}]}]})",
       R"({"items":[{"name":"a","nested":[{"name":"x","value":2},{"name":"y"}]}]})"},
      {"unknown fields are kept", R"({"value":1})", R"({"zz":{"a":null,"b":[1]}})",
       R"({"value":1,"zz":{"b":[1]}})"},
      {"type change", R"({"labels":"text"})", R"({"labels":{"a":"1"}})", R"({"labels":{"a":"1"}})"},
      {"missing key", R"({"items":[{"name":"a"}]})", R"({"items":[{"value":1}]})",
       "422 does not contain declared merge key: name"},
      {"unknown directive", R"({"labels":{}})", R"({"labels":{"$patch":"frob"}})", "422 unknown patch type"},
      {"bad retainKeys", R"({"strategy":{}})", R"({"strategy":{"$retainKeys":["name"],"value":1}})",
       "400 retainKeys"},
      {"retainKeys no list", R"({"strategy":{}})", R"({"strategy":{"$retainKeys":"name"}})",
       "400 retainKeys"},
      {"bad order", R"({"items":[]})", R"({"$setElementOrder/items":"x"})", "400 setElementOrder"},
      {"order mismatch", R"({"items":[{"name":"a"}]})",
       R"({"$setElementOrder/items":[{"name":"a"}],"items":[{"name":"b"}]})", "422 doesn't match"},
      {"primitive in object list", R"({"items":[{"name":"a"}]})", R"({"items":["x"]})", "422 expected a map"},
      {"bad delete list", R"({"prims":[]})", R"({"$deleteFromPrimitiveList/prims":1})", "400 primitive list"},
  };
  for (const Case& c : cases) {
    run(c, [](const json::Value& p, const json::Value& d) {
      return apply_strategic_merge_patch(p, d, thing());
    });
  }
}
