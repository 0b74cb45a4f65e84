// Request counters and latencies, exported as Prometheus text. Thread-safe, no locks when counting.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/store/store.h"

namespace coxswain::registry {

class Metrics {
 public:
  void count(std::string_view verb, int code, std::int64_t took_ms);
  std::atomic<std::int64_t> watchers{0};
  std::atomic<std::int64_t> watch_events{0};
  std::string text(const store::Stats& store) const;

 private:
  static constexpr std::array<std::string_view, 10> kVerbs = {
      "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "other", "health"};
  static constexpr std::array<std::int64_t, 8> kBucketsMs = {1, 5, 10, 50, 100, 500, 1000, 5000};
  struct Row {
    std::array<std::atomic<std::int64_t>, 6> by_class{};  // index: code / 100
    std::array<std::atomic<std::int64_t>, kBucketsMs.size() + 1> buckets{};
    std::atomic<std::int64_t> sum_ms{0};
  };
  std::array<Row, kVerbs.size()> rows_{};
};

}  // namespace coxswain::registry
