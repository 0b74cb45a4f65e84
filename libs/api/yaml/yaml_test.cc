#include "libs/api/yaml/yaml.h"

#include <catch2/catch.hpp>

using namespace coxswain;

TEST_CASE("YAML reads as the JSON it means") {
  struct Case {
    const char* yaml;
    const char* json;
  };
  const Case cases[] = {
      {"a: 1\nb: yes\nc: off\nd: \"yes\"\ne: 1.5\nf: ~\ng:\nh: 0x1f\ni: 0o17\nj: 017\n",
       R"({"a":1,"b":true,"c":false,"d":"yes","e":1.5,"f":null,"g":null,"h":31,"i":15,"j":15})"},
      {"t: 2024-01-02T03:04:05Z\nd: 2024-01-02\ny: y\n",
       R"({"t":"2024-01-02T03:04:05Z","d":"2024-01-02","y":"y"})"},
      {"- a\n- [1, {x: y2}]\n- |\n  l1\n  l2\n", R"(["a",[1,{"x":"y2"}],"l1\nl2\n"])"},
      {"base: &b {x: 1, y2: 2}\nc:\n  <<: *b\n  x: 3\n", R"({"base":{"x":1,"y2":2},"c":{"x":3,"y2":2}})"},
      {"1: a\ntrue: b\n", R"({"1":"a","true":"b"})"},
      {"", "null"},
      {"{\"kind\":\"Pod\",\"n\":[1,2]}", R"({"kind":"Pod","n":[1,2]})"},
      {"v: 1.10.3\nm: 100m\nbig: 18446744073709551615\nneg: -9223372036854775808\nw: 1_000\n",
       R"({"v":"1.10.3","m":"100m","big":18446744073709551615,"neg":-9223372036854775808,"w":1000})"},
  };
  for (const Case& c : cases) {
    INFO(c.yaml);
    const auto parsed = yaml::parse(c.yaml);
    REQUIRE(parsed.ok());
    CHECK(json::write(*parsed) == json::write(*json::parse(c.json)));
  }
}

TEST_CASE("bad YAML is refused with a position") {
  for (const char* text : {"a: [1", "a: b: c", "\t- a", "? [a]\n: b", "a: *nope", "a: \"x"}) {
    INFO(text);
    const auto parsed = yaml::parse(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().message.find("yaml: ") == 0);
  }
  CHECK_FALSE(yaml::parse("a: 1\n---\nb: 2\n").ok());
}

TEST_CASE("bombs stop at the bound") {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 8; ++j) bomb += "," + before;
    bomb += "]\n";
  }
  CHECK_FALSE(yaml::parse(bomb).ok());
  CHECK_FALSE(yaml::parse(std::string(100'000, '[')).ok());
  CHECK_FALSE(yaml::parse(std::string(70, '[') + std::string(70, ']')).ok());
}

TEST_CASE("duplicate keys and documents") {
  std::vector<std::string> duplicates;
  yaml::ParseOptions options;
  options.duplicate_keys = &duplicates;
  REQUIRE(yaml::parse("spec:\n  l:\n  - a: 1\n    a: 2\n  n: 1\n  n: 2\n", options).ok());
  CHECK(duplicates == std::vector<std::string>{"spec.l[0].a", "spec.n"});
  const auto all = yaml::parse_all("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n");
  REQUIRE(all.ok());
  CHECK(all->size() == 2);
}

TEST_CASE("what is written reads back") {
  const char* texts[] = {
      R"({"a":"yes","b":"1","c":"","d":"x: y","e":"#c","f":"- x","g":"a #b","h":"line1\nline2\n","i":"l1\nl2"})",
      R"({"a":[],"b":{},"c":[[1,[2]],{"x":[{"y":null}]}],"k: 1":true,"y":"n","t":"2024-01-02","z":"null"})",
      R"(["\u0001","tab\tx","trail ","  lead","a\n\n\nb","x\n\n","\n","*a","&b","!c","%d","@e","`f","'g","1e3","0x1","<<","~","-","-x","---"])",
      R"("top")",
      R"([])",
      R"(null)",
      R"({"u":"é\u2028x\ufeff","q":"\"quoted\"","colon:":":x","s":"a:b"})",
      R"({"script":"#!/bin/sh\nset -e\n  indented\n","one":" x\n","w":"a \nb"})",
  };
  for (const char* text : texts) {
    const json::Value value = *json::parse(text);
    const std::string written = yaml::write(value);
    INFO(written);
    const auto again = yaml::parse(written);
    REQUIRE(again.ok());
    CHECK(json::write(*again) == json::write(value));
  }
  CHECK(yaml::write(*json::parse(R"({"b":[{"x":1,"y2":"s"}],"a":{"c":"d"}})"), true) ==
        "a:\n  c: d\nb:\n- x: 1\n  y2: s\n");
}
