#include "libs/registry/metrics.h"

#include <algorithm>

#include "libs/common/metrics/metrics.h"

namespace coxswain::registry {

void Metrics::count(std::string_view verb, int code, std::int64_t took_ms) {
  const auto named = [&](const Verb& known) { return known.verb == verb; };
  std::size_t at = std::find_if(kVerbs.begin(), kVerbs.end(), named) - kVerbs.begin();
  if (at == kVerbs.size()) --at;
  Row& row = rows_[at];
  const std::size_t code_at = static_cast<std::size_t>(std::clamp(code, kFirstCode, kLastCode) - kFirstCode);
  row.by_code[code_at].fetch_add(1, std::memory_order_relaxed);
  std::size_t bucket = 0;
  while (bucket < kBucketsMs.size() && took_ms > kBucketsMs[bucket]) ++bucket;
  row.buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  row.sum_ms.fetch_add(took_ms, std::memory_order_relaxed);
}

void Metrics::write_requests(std::string& out) const {
  const std::string_view total = "apiserver_request_total";
  metrics::family(out, total, "counter", "Requests by verb and status code.");
  for (std::size_t v = 0; v < kVerbs.size(); ++v) {
    for (std::size_t c = 0; c < rows_[v].by_code.size(); ++c) {
      const std::int64_t n = rows_[v].by_code[c].load(std::memory_order_relaxed);
      if (n == 0) continue;
      metrics::sample(out, total, verb_label(v) + ",code=\"" + std::to_string(kFirstCode + c) + "\"", n);
    }
  }
}

void Metrics::write_durations(std::string& out) const {
  const std::string name = "apiserver_request_duration_seconds";
  metrics::family(out, name, "histogram", "Time from request to answer; of a watch, to its first byte.");
  for (std::size_t v = 0; v < kVerbs.size(); ++v) {
    std::int64_t total = 0;
    std::string rows;
    for (std::size_t b = 0; b <= kBucketsMs.size(); ++b) {
      total += rows_[v].buckets[b].load(std::memory_order_relaxed);
      metrics::sample(rows, name + "_bucket", verb_label(v) + ",le=\"" + std::string(kBucketNames[b]) + "\"",
                      total);
    }
    if (total == 0) continue;
    out += rows;
    metrics::sample_thousandths(out, name + "_sum", verb_label(v),
                                rows_[v].sum_ms.load(std::memory_order_relaxed));
    metrics::sample(out, name + "_count", verb_label(v), total);
  }
}

std::string Metrics::text(const store::Stats& store) const {
  std::string out;
  const auto one = [&out](std::string_view name, std::string_view type, std::string_view help,
                          std::int64_t value) {
    metrics::family(out, name, type, help);
    metrics::sample(out, name, "", value);
  };
  write_requests(out);
  write_durations(out);
  metrics::family(out, "apiserver_longrunning_requests", "gauge", "Open watches.");
  metrics::sample(out, "apiserver_longrunning_requests", "verb=\"WATCH\"", watchers.load());
  one("apiserver_watch_events_total", "counter", "Events sent to watchers.", watch_events.load());
  one("store_revision", "gauge", "Revision of the latest commit.", store.revision);
  one("store_compacted_revision", "gauge", "Oldest revision that is gone.", store.compacted);
  one("store_keys", "gauge", "Keys that exist.", store.keys);
  one("store_disk_bytes", "gauge", "Bytes on disk.", store.disk_bytes);
  one("store_serving", "gauge", "0 while the store has no quorum, or this member of it lags.",
      store.serving ? 1 : 0);
  one("store_read_only", "gauge", "1 while writes are refused for want of disk space.",
      store.read_only ? 1 : 0);
  metrics::process(out);
  return out;
}

}  // namespace coxswain::registry
