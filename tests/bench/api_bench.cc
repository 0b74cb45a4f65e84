// Measures a running api-server and prints one Markdown row a measurement, beside kube-apiserver + etcd
// on such a machine. See tests/bench/run.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>
#include <CLI/CLI.hpp>

#include "libs/common/base/strings.h"
#include "tests/bench/connection.h"

namespace {

using namespace coxswain;
using namespace coxswain::bench;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string kubeconfig;
  double seconds = 4;
  int connections = 32;
  int pods = 10'000;
  int watchers = 1'000;
  bool fill_only = false;
};

double since_s(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void row(const char* work, double ours, const char* unit, double peer, double goal, bool more_is_better) {
  const double ratio = more_is_better ? ours / peer : peer / ours;
  const bool reached = more_is_better ? ours >= goal : ours <= goal;
  std::printf("| %s | %.0f %s | %.0f | %.1fx | %.0f | %s |\n", work, ours, unit, peer, ratio, goal,
              reached ? "reached" : "missed");
  std::fflush(stdout);
}

// Requests a second over all connections; `make` gives the bytes of request n.
double rate(const Target& target, const Options& options, int good_status,
            const std::function<std::string(std::int64_t)>& make) {
  std::atomic<std::int64_t> next{0}, done{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < options.connections; ++i) {
    threads.emplace_back([&] {
      Connection connection(target);
      while (!stop.load(std::memory_order_relaxed)) {
        const int status = connection.request(make(next.fetch_add(1)));
        if (status != good_status) {
          std::fprintf(stderr, "unexpected status %d\n", status);
          std::exit(1);
        }
        done.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // warm up
  const std::int64_t before = done.load();
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  const double result = static_cast<double>(done.load() - before) / since_s(start);
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  return result;
}

std::string config_map(const std::string& name) {
  return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name + R"("},"data":{"x":")" +
         std::string(950, 'y') + "\"}}";
}

std::string pod(const std::string& name) {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
         R"(","labels":{"app":"bench","tier":"load"}},
    "spec":{"nodeName":"none","containers":[{"name":"main","image":"registry.example.com/team/app:v1.2.3","env":[{"name":"A","value":")" +
         std::string(1000, 'a') + R"("}],"resources":{"requests":{"cpu":"100m","memory":"64Mi"}}}]}})";
}

void fill_pods(const Target& target, const Options& options) {
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < options.connections; ++i) {
    threads.emplace_back([&] {
      Connection connection(target);
      for (int n = next.fetch_add(1); n < options.pods; n = next.fetch_add(1)) {
        const int status = connection.request(
            prepare("POST", "/api/v1/namespaces/default/pods", pod("bench-" + std::to_string(n))));
        if (status != 201 && status != 409) std::exit(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

double list_ms(const Target& target, std::size_t* bytes) {
  Connection connection(target);
  std::vector<double> times;
  for (int i = 0; i < 7; ++i) {
    const auto start = Clock::now();
    if (connection.request(prepare("GET", "/api/v1/namespaces/default/pods"), nullptr, bytes) != 200)
      std::exit(1);
    times.push_back(since_s(start) * 1000);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double watch_rate(const Target& target, const Options& options) {
  Connection writer(target);
  writer.request(prepare("POST", "/api/v1/namespaces/default/configmaps", config_map("watched")));
  std::atomic<std::int64_t> events{0};
  std::atomic<int> ready{0};
  std::atomic<bool> stop{false};
  const std::string request =
      prepare("GET",
              "/api/v1/namespaces/default/"
              "configmaps?watch=true&fieldSelector=metadata.name%3Dwatched&timeoutSeconds=60");
  std::vector<std::thread> threads;
  for (int i = 0; i < options.watchers; ++i) {
    threads.emplace_back([&] {
      Connection connection(target);
      connection.stream(request, [&](std::string_view data) {
        if (data.find("HTTP/1.1 200") != std::string_view::npos) ready.fetch_add(1);
        std::int64_t seen = 0;
        for (std::size_t at = 0; (at = data.find("\"type\":\"", at)) != std::string_view::npos; at += 8)
          ++seen;
        events.fetch_add(seen, std::memory_order_relaxed);
        return !stop.load(std::memory_order_relaxed);
      });
    });
  }
  while (ready.load() < options.watchers) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::thread writing([&] {
    for (int n = 0; !stop.load(); ++n) {
      writer.request(prepare("PATCH", "/api/v1/namespaces/default/configmaps/watched",
                             R"({"data":{"n":")" + std::to_string(n) + "\"}}",
                             "application/merge-patch+json"));
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const std::int64_t before = events.load();
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  const double result = static_cast<double>(events.load() - before) / since_s(start);
  stop.store(true);
  writing.join();
  Connection last(target);  // one more event wakes every watcher, so that it sees the stop
  last.request(prepare("PATCH", "/api/v1/namespaces/default/configmaps/watched", R"({"data":{"n":"end"}})",
                       "application/merge-patch+json"));
  for (std::thread& thread : threads) thread.join();
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"api_bench measures a running api-server"};
  app.add_option("--kubeconfig", options.kubeconfig, "Whose server to measure")->required();
  app.add_option("--seconds", options.seconds, "Length of each measurement")->capture_default_str();
  app.add_option("--connections", options.connections, "Connections for creates and gets")
      ->capture_default_str();
  app.add_option("--pods", options.pods, "Pods to create and list")->capture_default_str();
  app.add_option("--watchers", options.watchers, "Watchers of one object")->capture_default_str();
  app.add_flag("--fill-only", options.fill_only, "Only create the pods");
  CLI11_PARSE(app, argc, argv);
  const Target target = target_of(options.kubeconfig);
  if (options.fill_only) {
    fill_pods(target, options);
    return 0;
  }
  const std::string run = std::to_string(Clock::now().time_since_epoch().count());
  row("create ConfigMap 1 KiB, 32 connections",
      rate(target, options, 201,
           [&](std::int64_t n) {
             return prepare("POST", "/api/v1/namespaces/kube-public/configmaps",
                            config_map("b" + run + "-" + std::to_string(n)));
           }),
      "/s", 1446, 6000, true);
  Connection(target).request(prepare("POST", "/api/v1/namespaces/default/configmaps", config_map("one")));
  const std::string get = prepare("GET", "/api/v1/namespaces/default/configmaps/one");
  row("GET one object, 32 connections", rate(target, options, 200, [&](std::int64_t) { return get; }), "/s",
      2338, 25000, true);
  fill_pods(target, options);
  std::size_t bytes = 0;
  const double ms = list_ms(target, &bytes);
  row(("LIST " + std::to_string(options.pods) + " pods (" + std::to_string(bytes / 1'000'000) + " MB)")
          .c_str(),
      ms, "ms", 515, 60, false);
  row((std::to_string(options.watchers) + " watchers of one object").c_str(), watch_rate(target, options),
      "events/s", 28500, 200000, true);
  return 0;
}
