#include "cli/jsonpath.h"

#include <catch2/catch.hpp>

using namespace coxswain;

TEST_CASE("jsonpath templates") {
  const json::Value document = *json::parse(R"({
    "metadata": {"name": "web", "labels": {"a.b/c": "x"}},
    "items": [{"n": "one", "v": 1}, {"n": "two", "v": 2}],
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]
  })");
  struct Row {
    const char* text;
    const char* expected;
  };
  const Row rows[] = {
      {"{.metadata.name}", "web"},
      {".metadata.name", "web"},
      {"{$.metadata.name}", "web"},
      {"name={.metadata.name}!", "name=web!"},
      {"{.metadata.missing}", ""},
      {"{.items[*].n}", "one two"},
      {"{.items[0].n}{\"\\n\"}", "one\n"},
      {"{.items[-1].n}", "two"},
      {"{.items[0:1].n}", "one"},
      {"{.metadata.labels['a.b/c']}", "x"},
      {"{.metadata.labels.a\\.b/c}", "x"},
      {"{.conditions[?(@.type==\"Ready\")].status}", "True"},
      {"{.items[?(@.v>1)].n}", "two"},
      {"{range .items[*]}{.n}={.v};{end}done", "one=1;two=2;done"},
      {"{range .nothing[*]}{.n}{end}done", "done"},
      {"{..type}", "Ready Other"},
      {"{.items[0]}", R"({"n":"one","v":1})"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto result = cli::eval_jsonpath(row.text, document);
    REQUIRE(result.ok());
    CHECK(*result == row.expected);
  }
  for (const char* text :
       {"{.a", "{range .items[*]}", "{end}", "{.items[x]}", "{.items[9]}", "{?}", "{.items[}"}) {
    INFO(text);
    CHECK_FALSE(cli::eval_jsonpath(text, document).ok());
  }
}
