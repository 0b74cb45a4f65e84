// What the store alone can do, durability on. Prints one line per measurement.
//   store_bench DIR [scale]     DIR is made and must not exist; scale 10 runs a tenth as long
#include <malloc.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "libs/common/base/strings.h"
#include "libs/store/open.h"

namespace {

using namespace coxswain;
using namespace coxswain::store;
using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  long size = 0;
  long resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

std::unique_ptr<Store> open_in(const std::string& dir) {
  LocalStoreOptions options;
  options.dir = dir;
  auto opened = open_local_store(options);
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    std::exit(1);
  }
  return std::move(opened).value();
}

// Keeps `in_flight` writes going until `total` are done.
class Load {
 public:
  Load(Store& store, int in_flight, int total, std::string prefix, std::size_t value_bytes)
      : store_(store), total_(total), prefix_(std::move(prefix)), value_(value_bytes, 'v') {
    for (int i = 0; i < in_flight; ++i) next();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return finished_ >= total_; });
  }

 private:
  void next() {
    const int n = started_.fetch_add(1);
    if (n >= total_) return;
    Txn txn;
    txn.ops.push_back({Op::Type::kPut, prefix_ + std::to_string(n), value_, 5});
    store_.txn(std::move(txn), [this](const Result<TxnResult>& result) {
      if (!result.ok()) std::abort();
      next();
      const std::lock_guard lock(mutex_);
      if (++finished_ >= total_) done_.notify_all();
    });
  }

  Store& store_;
  const int total_;
  const std::string prefix_;
  const std::string value_;
  std::atomic<int> started_{0};
  std::mutex mutex_;
  std::condition_variable done_;
  int finished_ = 0;
};

void bench_commits(Store& store, int scale) {
  for (const auto& [in_flight, total] : {std::pair{1, 8000}, {32, 100000}, {256, 200000}}) {
    const auto start = SteadyClock::now();
    const Load load(store, in_flight, total / scale, "commit/" + std::to_string(in_flight) + "/", 1024);
    const double took = seconds_since(start);
    std::printf("commits, 1 KiB, %3d in flight      %9.0f /s   mean %.3f ms\n", in_flight,
                total / scale / took, took * 1000 * in_flight / (total / scale));
  }
}

void bench_reads(Store& store, int scale) {
  const Load load(store, 256, 10000, "pods/", 1800);
  const int total = 1000000 / scale;
  auto start = SteadyClock::now();
  for (int i = 0; i < total; ++i) (void)store.get("pods/" + std::to_string(i % 10000));
  std::printf("get, one thread                    %9.0f /s\n", total / seconds_since(start));
  start = SteadyClock::now();
  const int rounds = 300 / scale + 1;
  for (int i = 0; i < rounds; ++i) (void)store.range({"pods/", "", 0, 0});
  std::printf("range of 10,000                    %9.3f ms\n", seconds_since(start) * 1000 / rounds);
  const Revision old = store.revision();
  const Load more(store, 256, 1000, "pods/", 1800);
  start = SteadyClock::now();
  for (int i = 0; i < rounds; ++i) (void)store.range({"pods/", "pods/5", old, 500});
  std::printf("page of 500, 1,000 commits ago     %9.3f ms\n", seconds_since(start) * 1000 / rounds);
}

void bench_fan_out(Store& store, int scale) {
  constexpr int kWatchers = 1000;
  const int writes = 2000 / scale;
  struct One {
    std::unique_ptr<Watcher> watcher;
    std::atomic<bool> ready{false};
  };
  std::vector<One> watchers(kWatchers);
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<int> ready;
  for (auto& one : watchers) one.watcher = store.watch("one", 0).value();
  const auto arm = [&](int i) {
    watchers[static_cast<std::size_t>(i)].watcher->arm([&, i] {
      const std::lock_guard lock(mutex);
      ready.push_back(i);
      if (ready.size() == 1) wake.notify_one();
    });
  };
  for (int i = 0; i < kWatchers; ++i) arm(i);
  const auto start = SteadyClock::now();
  std::thread writer([&] {
    for (int i = 0; i < writes; ++i) {
      Txn txn;
      txn.ops.push_back({Op::Type::kPut, "one", std::string(1024, 'v'), kNoSplice});
      (void)store.txn_wait(std::move(txn));
    }
  });
  for (std::int64_t seen = 0; seen < static_cast<std::int64_t>(writes) * kWatchers;) {
    std::vector<int> batch;
    {
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return !ready.empty(); });
      batch.swap(ready);
    }
    for (const int i : batch) {
      seen += static_cast<std::int64_t>(
          watchers[static_cast<std::size_t>(i)].watcher->poll(100).value().events.size());
      arm(i);
    }
  }
  writer.join();
  std::printf("1,000 watchers of one key          %9.0f events/s\n",
              static_cast<double>(writes) * kWatchers / seconds_since(start));
}

void bench_restart(const std::string& dir, int keys, std::size_t value_bytes) {
  double loaded = 0;
  {
    const auto store = open_in(dir);
    const Load load(*store, 256, keys, "pods/default/web-7d9c5b9f4-", value_bytes);
    loaded = resident_mib();
  }
  malloc_trim(0);
  const double before = resident_mib();
  const auto start = SteadyClock::now();
  const auto store = open_in(dir);
  const double took = seconds_since(start);
  const double now = resident_mib();
  std::printf(
      "%8d keys of %4zu bytes: restart %5.0f ms, resident after writing them %4.0f MiB, after a restart "
      "+%.0f MiB "
      "(%.0f bytes/key beyond the values)\n",
      keys, value_bytes, took * 1000, loaded, now - before,
      (now - before) * (1 << 20) / keys - static_cast<double>(value_bytes));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: store_bench DIR [scale]\n");
    return 1;
  }
  const std::string dir = argv[1];
  const int scale = argc > 2 ? std::atoi(argv[2]) : 1;
  bench_restart(dir + "-20k", 20000 / scale, 1800);
  const auto start = SteadyClock::now();
  {
    const auto store = open_in(dir);
    std::printf("open, empty                        %9.1f ms   resident %.0f MiB\n",
                seconds_since(start) * 1000, resident_mib());
    bench_commits(*store, scale);
    bench_reads(*store, scale);
    bench_fan_out(*store, scale);
  }
  bench_restart(dir + "-1m", 1000000 / scale, 100);
  return 0;
}
