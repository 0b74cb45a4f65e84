// Clients that write without a pause to a running api-server, and say how it went: each line on stdin ends a
// period and is answered by one line, "WRITES/s LONGEST-GAP-ms SLOWEST-WRITE-ms" (the gap: in which nobody's
// write was acknowledged). With --fill: that many objects of --bytes once, then it ends.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include <CLI/CLI.hpp>

#include "libs/common/base/strings.h"
#include "tests/bench/connection.h"

namespace {

using namespace coxswain;
using namespace coxswain::bench;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kMaps = "/api/v1/namespaces/default/configmaps";

struct Options {
  std::string kubeconfig;
  int clients = 32;
  int bytes = 1024;
  int fill = 0;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "write_load: %s\n", why.c_str());
  std::exit(1);
}

double ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

// Letters without a pattern: what cannot be compressed by much must be stored as it is.
std::string noise(std::size_t size) {
  std::string out(size, ' ');
  std::uint64_t x = 0x9e3779b97f4a7c15ULL;
  for (char& c : out) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[x % 64];
  }
  return out;
}

std::string config_map(const std::string& name, const std::string& noise, std::size_t turn) {
  turn %= noise.size();
  return R"({"metadata":{"name":")" + name + R"("},"data":{"v":")" + noise.substr(turn) +
         noise.substr(0, turn) + "\"}}";
}

// What all clients have seen since the last line.
class Period {
 public:
  void done(Clock::time_point began) {
    const auto now = Clock::now();
    const std::lock_guard lock(mutex_);
    gap_ = std::max(gap_, now - last_);
    slowest_ = std::max(slowest_, now - began);
    last_ = now;
    ++writes_;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    std::printf("%.0f %.1f %.1f\n",
                static_cast<double>(writes_) / std::chrono::duration<double>(now - since_).count(),
                ms(std::max(gap_, now - last_)), ms(slowest_));
    std::fflush(stdout);
    since_ = now;
    writes_ = 0;
    gap_ = slowest_ = {};
  }

 private:
  std::mutex mutex_;
  Clock::time_point since_ = Clock::now(), last_ = since_;
  Clock::duration gap_{}, slowest_{};
  std::size_t writes_ = 0;
};

void check(int status, int good) {
  if (status != good) fail("a write was answered with " + std::to_string(status));
}

void fill(const Target& target, const Options& options) {
  const std::string bytes = noise(static_cast<std::size_t>(options.bytes));
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < options.clients; ++i) {
    threads.emplace_back([&] {
      Connection connection(target);
      for (int n = next.fetch_add(1); n < options.fill; n = next.fetch_add(1)) {
        const std::string body =
            config_map("big-" + std::to_string(n), bytes, static_cast<std::size_t>(n) * 97);
        check(connection.request(prepare("POST", kMaps, body)), 201);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void write(const Target& target, const Options& options) {
  const std::string bytes = noise(static_cast<std::size_t>(options.bytes));
  Period period;
  std::atomic<bool> stopping{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < options.clients; ++i) {
    threads.emplace_back([&, name = "load-" + std::to_string(i)] {
      Connection connection(target);
      check(connection.request(prepare("POST", kMaps, config_map(name, bytes, 0))), 201);
      for (std::size_t n = 1; !stopping; ++n) {
        const auto began = Clock::now();
        const std::string body = config_map(name, bytes, n);
        check(connection.request(prepare("PUT", std::string(kMaps) + "/" + name, body)), 200);
        period.done(began);
      }
    });
  }
  for (std::string line; std::getline(std::cin, line);) period.end();
  stopping = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"write_load writes to a running api-server without a pause"};
  app.add_option("--kubeconfig", options.kubeconfig, "Whose server")->required();
  app.add_option("--clients", options.clients, "Connections, one write at a time each")
      ->capture_default_str();
  app.add_option("--bytes", options.bytes, "Of a value")->capture_default_str();
  app.add_option("--fill", options.fill, "Write so many objects, once")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const Target target = target_of(options.kubeconfig);
  options.fill > 0 ? fill(target, options) : write(target, options);
  return 0;
}
