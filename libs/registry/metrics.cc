#include "libs/registry/metrics.h"

#include <algorithm>

namespace coxswain::registry {
namespace {

void line(std::string& out, std::string_view name, std::string_view labels, std::int64_t value) {
  out += name;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
  out += std::to_string(value);
  out += '\n';
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += "# HELP ";
  out += name;
  out += ' ';
  out += help;
  out += "\n# TYPE ";
  out += name;
  out += ' ';
  out += type;
  out += '\n';
}

}  // namespace

void Metrics::count(std::string_view verb, int code, std::int64_t took_ms) {
  std::size_t at = std::find(kVerbs.begin(), kVerbs.end(), verb) - kVerbs.begin();
  if (at == kVerbs.size()) at = 8;
  Row& row = rows_[at];
  row.by_class[static_cast<std::size_t>(std::clamp(code / 100, 0, 5))].fetch_add(1,
                                                                                 std::memory_order_relaxed);
  std::size_t bucket = 0;
  while (bucket < kBucketsMs.size() && took_ms > kBucketsMs[bucket]) ++bucket;
  row.buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  row.sum_ms.fetch_add(took_ms, std::memory_order_relaxed);
}

std::string Metrics::text(const store::Stats& store) const {
  std::string out;
  head(out, "apiserver_request_total", "counter", "Requests by verb and class of status code.");
  for (std::size_t v = 0; v < kVerbs.size(); ++v) {
    for (std::size_t c = 1; c < 6; ++c) {
      const std::int64_t n = rows_[v].by_class[c].load(std::memory_order_relaxed);
      if (n == 0) continue;
      line(out, "apiserver_request_total",
           "verb=\"" + std::string(kVerbs[v]) + "\",code=\"" + std::to_string(c) + "xx\"", n);
    }
  }
  head(out, "apiserver_request_duration_milliseconds", "histogram", "Time from request to answer.");
  for (std::size_t v = 0; v < kVerbs.size(); ++v) {
    std::int64_t total = 0;
    const std::string verb = "verb=\"" + std::string(kVerbs[v]) + "\"";
    std::string rows;
    for (std::size_t b = 0; b <= kBucketsMs.size(); ++b) {
      total += rows_[v].buckets[b].load(std::memory_order_relaxed);
      const std::string le = b < kBucketsMs.size() ? std::to_string(kBucketsMs[b]) : "+Inf";
      line(rows, "apiserver_request_duration_milliseconds_bucket", verb + ",le=\"" + le + "\"", total);
    }
    if (total == 0) continue;
    out += rows;
    line(out, "apiserver_request_duration_milliseconds_sum", verb,
         rows_[v].sum_ms.load(std::memory_order_relaxed));
    line(out, "apiserver_request_duration_milliseconds_count", verb, total);
  }
  head(out, "apiserver_watchers", "gauge", "Open watches.");
  line(out, "apiserver_watchers", "", watchers.load(std::memory_order_relaxed));
  head(out, "apiserver_watch_events_total", "counter", "Events sent to watchers.");
  line(out, "apiserver_watch_events_total", "", watch_events.load(std::memory_order_relaxed));
  head(out, "store_revision", "gauge", "Revision of the latest commit.");
  line(out, "store_revision", "", store.revision);
  head(out, "store_compacted_revision", "gauge", "Oldest revision that is gone.");
  line(out, "store_compacted_revision", "", store.compacted);
  head(out, "store_keys", "gauge", "Keys that exist.");
  line(out, "store_keys", "", store.keys);
  head(out, "store_disk_bytes", "gauge", "Bytes on disk.");
  line(out, "store_disk_bytes", "", store.disk_bytes);
  head(out, "store_read_only", "gauge", "1 while writes are refused for want of disk space.");
  line(out, "store_read_only", "", store.read_only ? 1 : 0);
  return out;
}

}  // namespace coxswain::registry
