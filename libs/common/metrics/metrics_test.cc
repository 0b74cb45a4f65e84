#include "libs/common/metrics/metrics.h"

#include <catch2/catch.hpp>

using namespace coxswain;  // NOLINT: a test

TEST_CASE("families and samples are written as Prometheus reads them") {
  std::string out;
  metrics::family(out, "a_total", "counter", "What it counts.");
  metrics::sample(out, "a_total", "", 7);
  metrics::sample(out, "a_total", "verb=\"GET\",code=\"200\"", -1);
  metrics::sample_thousandths(out, "a_seconds", "", 12'034);
  metrics::sample_thousandths(out, "a_seconds", "", 5);
  CHECK(out ==
        "# HELP a_total What it counts.\n# TYPE a_total counter\na_total 7\n"
        "a_total{verb=\"GET\",code=\"200\"} -1\na_seconds 12.034\na_seconds 0.005\n");
}

TEST_CASE("a process tells of itself") {
  std::string out;
  metrics::process(out);
  const auto value = [&](const std::string& name) {
    const std::size_t at = out.find("\n" + name + " ");
    REQUIRE(at != std::string::npos);
    return std::stod(out.substr(at + name.size() + 2));
  };
  CHECK(value("process_resident_memory_bytes") > 1e6);
  CHECK(value("process_open_fds") >= 3);
  CHECK(value("process_cpu_seconds_total") >= 0);
}
