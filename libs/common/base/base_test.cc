#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"

using namespace coxswain;

TEST_CASE("base64 round trips and refuses damage") {
  const std::pair<const char*, const char*> rows[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe", "//4="}};
  for (const auto& [plain, encoded] : rows) {
    CHECK(base64_encode(plain) == encoded);
    CHECK(base64_decode(encoded) == std::string(plain));
    CHECK(base64url_decode(base64url_encode(plain)) == std::string(plain));
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "Zh==", "Z===", "Zm9v\n", "!!!!"}) {
    INFO(bad);
    CHECK_FALSE(base64_decode(bad).has_value());
  }
}

TEST_CASE("url escapes") {
  CHECK(url_encode("a b/ü") == "a%20b%2F%C3%BC");
  CHECK(url_decode("a%20b%2f") == std::string("a b/"));
  CHECK_FALSE(url_decode("%2").has_value());
  CHECK_FALSE(url_decode("%zz").has_value());
  CHECK(url_decode("a+b", true) == std::string("a b"));
}

TEST_CASE("checksums match published vectors") {
  CHECK(crc32c("123456789") == 0xe3069283U);  // RFC 3720 B.4, and those below
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43U);
  std::string rising;
  for (char c = 0; c < 32; ++c) rising.push_back(c);
  CHECK(crc32c(rising) == 0x46dd794eU);
  CHECK(crc32c(std::string(rising.rbegin(), rising.rend())) == 0x113fdb5cU);
  for (std::size_t cut = 0; cut <= rising.size(); ++cut)  // of any length, and in parts
    CHECK(crc32c(std::string_view(rising).substr(cut), crc32c(std::string_view(rising).substr(0, cut))) ==
          0x46dd794eU);
  CHECK(fnv1a_32("a") == 0xe40c292cU);
  CHECK(fnv1a_64("a") == 0xaf63dc4c8601ec8cULL);
}

TEST_CASE("durations") {
  for (const auto& [text, ms] :
       std::vector<std::pair<const char*, std::int64_t>>{{"10s", 10'000},
                                                         {"1500ms", 1'500},
                                                         {"1m30s", 90'000},
                                                         {"2h0m5ms", 7'200'005},
                                                         {"0s", 0},
                                                         {"8760h", 31'536'000'000}}) {
    INFO(text);
    CHECK(parse_duration_ms(text) == ms);
  }
  for (const char* bad : {"", "10", "s", "-1s", "1.5s", "1s1m", "1s1s", "1d", "10 s", "1s ", "8760h1ms",
                          "9223372036854775807h", "99999999999999999999s"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration_ms(bad).has_value());
  }
}

TEST_CASE("rfc 3339 times") {
  std::int64_t ms = 0;
  REQUIRE(parse_rfc3339("2026-11-20T22:33:28Z", &ms));
  CHECK(format_rfc3339(ms) == "2026-11-20T22:33:28Z");
  REQUIRE(parse_rfc3339("2026-11-20T22:33:28.250+02:00", &ms));
  CHECK(format_rfc3339_micro(ms) == "2026-11-20T20:33:28.250000Z");
  for (const char* bad :
       {"", "2026-11-20", "2026-13-20T22:33:28Z", "2026-11-20T22:33:28", "2026-11-20T22:33:28+2"}) {
    CHECK_FALSE(parse_rfc3339(bad, &ms));
  }
}

TEST_CASE("uuids are version 4 and seeded randomness repeats") {
  auto a = seeded_random(7);
  auto b = seeded_random(7);
  const std::string uuid = make_uuid(*a);
  CHECK(uuid == make_uuid(*b));
  CHECK(uuid[14] == '4');
  CHECK(std::string("89ab").find(uuid[19]) != std::string::npos);
  CHECK(make_name_suffix(*a).size() == 5);
}
