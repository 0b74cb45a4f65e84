#include "libs/api/meta/quantity.h"

#include <catch2/catch.hpp>

#include "libs/api/meta/human_duration.h"

using namespace coxswain::api;

TEST_CASE("quantities parse to their canonical form") {
  struct Case {
    const char* text;
    const char* canonical;
    std::int64_t value;
    std::int64_t milli;
  };
  const Case cases[] = {
      {"0", "0", 0, 0},
      {"1", "1", 1, 1000},
      {"-1", "-1", -1, -1000},
      {"100m", "100m", 1, 100},
      {"0.5", "500m", 1, 500},
      {".5", "500m", 1, 500},
      {"1.", "1", 1, 1000},
      {"1000m", "1", 1, 1000},
      {"1500m", "1500m", 2, 1500},
      {"1Ki", "1Ki", 1024, 1024000},
      {"1024", "1024", 1024, 1024000},
      {"1024Ki", "1Mi", 1048576, 1048576000},
      {"0.5Gi", "512Mi", 536870912, 536870912000},
      {"0.5Ki", "512", 512, 512000},
      {"1.5Ki", "1536", 1536, 1536000},
      {"1e3", "1e3", 1000, 1000000},
      {"1E", "1E", 1000000000000000000, INT64_MAX},
      {"12e-3", "12e-3", 1, 12},
      {"1k", "1k", 1000, 1000000},
      {"1000k", "1M", 1000000, 1000000000},
      {"1n", "1n", 1, 1},
      {"0.0000000001", "1n", 1, 1},
      {"100Ei", "9223372036854775807", INT64_MAX, INT64_MAX},
      {"1e100", "9223372036854775807e0", INT64_MAX, INT64_MAX},
      {"+2", "2", 2, 2000},
      {"1e-100", "1e-9", 1, 1},
      {"-0.1n", "-1n", -1, -1},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const auto parsed = Quantity::parse(c.text);
    REQUIRE(parsed.ok());
    const std::string canonical = c.canonical;
    CHECK(parsed->to_string() == (canonical == "9223372036854775807e0" ? "9223372036854775807" : canonical));
    CHECK(parsed->value() == c.value);
    CHECK(parsed->milli_value() == c.milli);
    const auto again = Quantity::parse(parsed->to_string());
    REQUIRE(again.ok());
    CHECK(*again == *parsed);
  }
}

TEST_CASE("malformed quantities are refused") {
  for (const char* text :
       {"", "a", "1x", "1.2.3", "m", "1 ", " 1", "1kk", "1e", "1e+", "--1", "1Kib", "1e999", "."}) {
    INFO(text);
    CHECK_FALSE(Quantity::parse(text).ok());
  }
}

TEST_CASE("quantity arithmetic keeps the format and saturates") {
  Quantity a = *Quantity::parse("1Gi");
  a.add(*Quantity::parse("1024Mi"));
  CHECK(a.to_string() == "2Gi");
  a.sub(*Quantity::parse("1Gi"));
  CHECK(a.to_string() == "1Gi");
  Quantity big = Quantity::from_int(INT64_MAX);
  CHECK(big.add(big).value() == INT64_MAX);
  CHECK(Quantity::from_milli(1500).to_string() == "1500m");
  CHECK(*Quantity::parse("1000m") == *Quantity::parse("1"));
  CHECK(*Quantity::parse("999m") < *Quantity::parse("1"));
}

TEST_CASE("human durations") {
  struct Case {
    std::int64_t seconds;
    const char* text;
  };
  for (const Case& c : {Case{-5, "<invalid>"},
                        {-1, "0s"},
                        {0, "0s"},
                        {119, "119s"},
                        {120, "2m"},
                        {192, "3m12s"},
                        {600, "10m"},
                        {10799, "179m"},
                        {10800, "3h"},
                        {11160, "3h6m"},
                        {28800, "8h"},
                        {172799, "47h"},
                        {172800, "2d"},
                        {183600, "2d3h"},
                        {691200, "8d"},
                        {63072000, "2y"},
                        {63158400, "2y1d"},
                        {252288000, "8y"}}) {
    CHECK(human_duration(c.seconds * 1000) == c.text);
  }
}
