#include "libs/store/bench/machine.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>

#include "libs/common/base/check.h"

namespace coxswain::store::bench {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::uint64_t written_bytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::uint64_t value = 0;
  while (io >> name >> value)
    if (name == "write_bytes:") return value;
  return 0;
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t allocated_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

double percentile(std::vector<double>* values, double fraction) {
  if (values->empty()) return 0;
  std::sort(values->begin(), values->end());
  const auto at = static_cast<std::size_t>(fraction * static_cast<double>(values->size()));
  return (*values)[std::min(at, values->size() - 1)];
}

double raw_write_us(const std::string& dir, std::size_t bytes, int writes) {
  const std::string path = dir + "/raw";
  const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
  COX_CHECK(fd >= 0);
  const std::string zeros(1u << 20, '\0');
  const std::size_t room = bytes * static_cast<std::size_t>(writes);
  for (std::size_t at = 0; at < room; at += zeros.size())
    COX_CHECK(::pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(at)) ==
              static_cast<ssize_t>(zeros.size()));
  COX_CHECK(::fsync(fd) == 0);
  const std::string data = value_of(bytes, 0);
  std::vector<double> took;
  for (int i = 0; i < writes; ++i) {
    const double began = now_seconds();
    COX_CHECK(::pwrite(fd, data.data(), bytes, static_cast<off_t>(bytes) * i) == static_cast<ssize_t>(bytes));
    COX_CHECK(::fdatasync(fd) == 0);
    took.push_back((now_seconds() - began) * 1e6);
  }
  ::close(fd);
  ::unlink(path.c_str());
  return percentile(&took, 0.5);
}

std::string value_of(std::size_t bytes, std::uint64_t n) {
  static const std::string pool = [] {
    std::mt19937_64 random(1);
    std::string out(4u << 20, '\0');
    for (char& c : out) c = static_cast<char>(random());
    return out;
  }();
  return pool.substr(n * 8191 % (pool.size() - bytes), bytes);
}

}  // namespace coxswain::store::bench
