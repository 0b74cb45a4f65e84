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
  struct Verb {
    std::string_view verb;   // as in rules of RBAC
    std::string_view shown;  // as metrics name it
  };
  static constexpr std::array<Verb, 9> kVerbs = {{{"get", "GET"},
                                                  {"list", "LIST"},
                                                  {"watch", "WATCH"},
                                                  {"create", "POST"},
                                                  {"update", "PUT"},
                                                  {"patch", "PATCH"},
                                                  {"delete", "DELETE"},
                                                  {"deletecollection", "DELETECOLLECTION"},
                                                  {"other", "other"}}};
  static constexpr std::array<std::int64_t, 9> kBucketsMs = {1, 5, 25, 50, 100, 500, 1000, 5000, 60'000};
  static constexpr std::array<std::string_view, 10> kBucketNames = {
      "0.001", "0.005", "0.025", "0.05", "0.1", "0.5", "1", "5", "60", "+Inf"};
  static constexpr int kFirstCode = 100, kLastCode = 599;
  struct Row {
    std::array<std::atomic<std::int64_t>, kLastCode - kFirstCode + 1> by_code{};
    std::array<std::atomic<std::int64_t>, kBucketsMs.size() + 1> buckets{};
    std::atomic<std::int64_t> sum_ms{0};
  };
  static std::string verb_label(std::size_t at) { return "verb=\"" + std::string(kVerbs[at].shown) + "\""; }
  void write_requests(std::string& out) const;
  void write_durations(std::string& out) const;

  std::array<Row, kVerbs.size()> rows_{};
};

}  // namespace coxswain::registry
