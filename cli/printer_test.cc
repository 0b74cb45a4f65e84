#include "cli/printer.h"

#include <catch2/catch.hpp>

using namespace coxswain;

TEST_CASE("tables are aligned and honour priorities") {
  const json::Value table = *json::parse(R"({
    "columnDefinitions": [{"name":"Name"},{"name":"Ready"},{"name":"Node","priority":1}],
    "rows": [
      {"cells":["web","1/1","n1"],"object":{"metadata":{"namespace":"default","labels":{"a":"b"}}}},
      {"cells":["a-long-name",3,null],"object":{"metadata":{"namespace":"x"}}}]})");
  cli::TableOptions options;
  CHECK(cli::format_table(table, options) == "NAME          READY\nweb           1/1\na-long-name   3\n");
  options.wide = true;
  options.headers = false;
  CHECK(cli::format_table(table, options) == "web           1/1   n1\na-long-name   3     <none>\n");
  options = {};
  options.with_namespace = true;
  options.show_labels = true;
  options.name_prefix = "pod/";
  CHECK(cli::format_table(table, options) ==
        "NAMESPACE   NAME              READY   LABELS\n"
        "default     pod/web           1/1     a=b\n"
        "x           pod/a-long-name   3       <none>\n");
  CHECK(cli::format_table(*json::parse(R"({"columnDefinitions":[],"rows":[]})"), options).empty());
}

TEST_CASE("other formats") {
  const json::Value object = *json::parse(R"({"kind":"Pod","metadata":{"name":"web"}})");
  CHECK(*cli::format_object(object, "name", "pod") == "pod/web\n");
  CHECK(*cli::format_object(object, "jsonpath={.kind}", "pod") == "Pod");
  CHECK(*json::parse(*cli::format_object(object, "json", "pod")) == object);
  CHECK_FALSE(cli::format_object(object, "xml", "pod").ok());
}
