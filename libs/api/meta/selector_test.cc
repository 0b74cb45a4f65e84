#include "libs/api/meta/selector.h"

#include <catch2/catch.hpp>

using namespace coxswain;
using namespace coxswain::api;

TEST_CASE("label selectors match") {
  const Labels labels{{"a", "b"}, {"n", "5"}, {"empty", ""}};
  struct Case {
    const char* text;
    bool matches;
  };
  for (const Case& c :
       {Case{"", true},        {"a=b", true},         {"a==b", true},      {"a!=b", false},
        {"x!=b", true},        {"a in (b, c)", true}, {"a in (c)", false}, {"a notin (c)", true},
        {"x notin (c)", true}, {"a", true},           {"!a", false},       {"!x", true},
        {"n>4", true},         {"n<4", false},        {"a>1", false},      {"a=b,n=5", true},
        {"a=b,n=6", false},    {"empty=", true},      {"a=", false},       {" a = b , n ", true},
        {"empty in ()", true}, {"in=x", false},       {"a in (,b)", true}}) {
    INFO(c.text);
    const auto selector = LabelSelector::parse(c.text);
    REQUIRE(selector.ok());
    CHECK(selector->matches(labels) == c.matches);
    const auto again = LabelSelector::parse(selector->to_string());
    REQUIRE(again.ok());
    CHECK(again->matches(labels) == c.matches);
  }
}

TEST_CASE("bad label selectors are refused") {
  for (const char* text : {"a=b,", ",", "a in", "a in (", "a in b", "a=b c", "=", "!", "a>x", "a b", "a===b",
                           "-a=b", "a=-b", "a in (b c)", "!a=b"}) {
    INFO(text);
    CHECK_FALSE(LabelSelector::parse(text).ok());
  }
}

TEST_CASE("LabelSelector objects") {
  const Labels labels{{"a", "b"}};
  const auto match = [&](const char* text) {
    const auto selector = LabelSelector::from_json(*json::parse(text));
    REQUIRE(selector.ok());
    return selector->matches(labels);
  };
  CHECK_FALSE(match("null"));
  CHECK(match("{}"));
  CHECK(match(R"({"matchLabels":{"a":"b"}})"));
  CHECK_FALSE(match(R"({"matchLabels":{"a":"c"}})"));
  CHECK(match(
      R"({"matchExpressions":[{"key":"a","operator":"In","values":["b"]},{"key":"z","operator":"DoesNotExist"}]})"));
  CHECK_FALSE(
      LabelSelector::from_json(*json::parse(R"({"matchExpressions":[{"key":"a","operator":"Near"}]})")).ok());
}

TEST_CASE("field selectors") {
  const auto terms = parse_field_selector("metadata.name=x,status.phase!=Running,a==b\\,c\\=d");
  REQUIRE(terms.ok());
  REQUIRE(terms->size() == 3);
  CHECK((*terms)[0].field == "metadata.name");
  CHECK((*terms)[0].equals);
  CHECK((*terms)[1].value == "Running");
  CHECK_FALSE((*terms)[1].equals);
  CHECK((*terms)[2].value == "b,c=d");
  for (const char* text : {"a", "=b", "a=b=c", "a=b\\x"}) CHECK_FALSE(parse_field_selector(text).ok());
}
