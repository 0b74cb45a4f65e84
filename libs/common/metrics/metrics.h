// Prometheus' text format (exposition format 0.0.4), and what every process tells of itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace coxswain::metrics {

inline constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

// Begins a family: its HELP and TYPE ("counter", "gauge" or "histogram").
void family(std::string& out, std::string_view name, std::string_view type, std::string_view help);

// One value. `labels` are written as they are: a="b",c="d"
void sample(std::string& out, std::string_view name, std::string_view labels, std::int64_t value);

// The same in thousandths: times are kept in ms and shown in seconds.
void sample_thousandths(std::string& out, std::string_view name, std::string_view labels, std::int64_t value);

// process_resident_memory_bytes and the like, read from /proc/self.
void process(std::string& out);

}  // namespace coxswain::metrics
