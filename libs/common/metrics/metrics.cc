#include "libs/common/metrics/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace coxswain::metrics {
namespace {

void name_and_labels(std::string& out, std::string_view name, std::string_view labels) {
  out += name;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
}

std::int64_t resident_bytes() {
  long long all_pages = 0, resident_pages = 0;
  FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  if (std::fscanf(file, "%lld %lld", &all_pages, &resident_pages) != 2) resident_pages = 0;
  std::fclose(file);
  return resident_pages * sysconf(_SC_PAGESIZE);
}

std::int64_t cpu_ms() {
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) != 0) return 0;
  return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
         (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

std::int64_t open_files() {
  std::error_code failed;
  std::int64_t count = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failed), end; !failed && at != end;
       at.increment(failed))
    ++count;
  return count;
}

}  // namespace

void family(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
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

void sample(std::string& out, std::string_view name, std::string_view labels, std::int64_t value) {
  name_and_labels(out, name, labels);
  out += std::to_string(value);
  out += '\n';
}

void sample_thousandths(std::string& out, std::string_view name, std::string_view labels,
                        std::int64_t value) {
  name_and_labels(out, name, labels);
  const std::string fraction = std::to_string(1000 + value % 1000);
  out += std::to_string(value / 1000) + "." + fraction.substr(1);
  out += '\n';
}

void process(std::string& out) {
  family(out, "process_resident_memory_bytes", "gauge", "Memory that is in use.");
  sample(out, "process_resident_memory_bytes", "", resident_bytes());
  family(out, "process_cpu_seconds_total", "counter", "Processor time, user and system.");
  sample_thousandths(out, "process_cpu_seconds_total", "", cpu_ms());
  family(out, "process_open_fds", "gauge", "Open file descriptors.");
  sample(out, "process_open_fds", "", open_files());
}

}  // namespace coxswain::metrics
