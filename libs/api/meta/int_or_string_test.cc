#include "libs/api/meta/int_or_string.h"

#include <catch2/catch.hpp>

using namespace coxswain;

TEST_CASE("percentages round as asked") {
  CHECK(*api::scaled_value(json::Value("25%"), 3, true) == 1);
  CHECK(*api::scaled_value(json::Value("25%"), 3, false) == 0);
  CHECK(*api::scaled_value(json::Value("100%"), 7, false) == 7);
  CHECK(*api::scaled_value(json::Value(4), 7, false) == 4);
  for (const char* text : {"25", "%", "-1%", "1.5%", "x%"})
    CHECK_FALSE(api::scaled_value(json::Value(text), 3, true).ok());
}
