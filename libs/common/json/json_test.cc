#include "libs/common/json/json.h"

#include <catch2/catch.hpp>

using namespace coxswain;
using json::Value;

TEST_CASE("parse and write keep order, integers and text") {
  for (const char* text : {
           R"({"b":1,"a":[true,null,"x\ny",-7,18446744073709551615,1.5]})",
           R"({})",
           R"([])",
           R"("é")",
           R"(9223372036854775807)",
       }) {
    const auto parsed = json::parse(text);
    REQUIRE(parsed.ok());
    CHECK(json::write(*parsed) == text);
  }
}

TEST_CASE("malformed text is refused with a position") {
  for (const char* text : {"", "{", "{\"a\":}", "[1,]", "nul", "{\"a\":1}x", "\"\xff\"", "01", "+1",
                           "{'a':1}", "\"\\x\"", "2e308", "-1e999"}) {
    const auto parsed = json::parse(text);
    INFO(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().message.find("at byte") != std::string::npos);
  }
}

TEST_CASE("depth and node count are bounded") {
  CHECK(json::parse(std::string(64, '[') + std::string(64, ']')).ok());
  CHECK_FALSE(json::parse(std::string(65, '[') + std::string(65, ']')).ok());
  CHECK_FALSE(json::parse(std::string(1'000'000, '[')).ok());
  json::ParseOptions few;
  few.max_values = 3;
  CHECK(json::parse("[1,2]", few).ok());
  CHECK_FALSE(json::parse("[1,2,3]", few).ok());
}

TEST_CASE("duplicate keys are reported with their path; the last one wins") {
  std::vector<std::string> duplicates;
  json::ParseOptions options;
  options.duplicate_keys = &duplicates;
  const auto parsed = json::parse(R"({"spec":{"list":[{"a":1,"a":2}],"n":1,"n":3}})", options);
  REQUIRE(parsed.ok());
  CHECK(duplicates == std::vector<std::string>{"spec.list[0].a", "spec.n"});
  CHECK(parsed->find_path({"spec", "n"})->as_int() == 3);

  std::string large = "{";
  for (int i = 0; i < 100; ++i) large += "\"k" + std::to_string(i) + "\":1,";
  duplicates.clear();
  REQUIRE(json::parse(large + "\"k50\":2}", options).ok());
  CHECK(duplicates == std::vector<std::string>{"k50"});
}

TEST_CASE("equality ignores member order and number form") {
  CHECK(*json::parse(R"({"a":1,"b":[2]})") == *json::parse(R"({"b":[2.0],"a":1})"));
  CHECK_FALSE(*json::parse(R"({"a":1})") == *json::parse(R"({"a":1,"b":null})"));
}
