// Reads and watches of one member at the store's own level: for these there are no goals.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "libs/store/bench/clients.h"
#include "libs/store/bench/machine.h"
#include "libs/store/bench/sections.h"
#include "libs/store/bench/table.h"
#include "libs/store/open.h"

namespace coxswain::store::bench {
namespace {

constexpr std::size_t kKeys = 10'000;

void read_keys(Store& store, const Work& work, int gets) {
  const double began = now_seconds();
  for (int i = 0; i < gets; ++i)
    (void)store.get(key_of(work.prefix, static_cast<std::uint64_t>(i) % work.keys));
  print({"get, one thread", gets / (now_seconds() - began), "/s", "", std::nullopt, 0, {}});
}

void read_ranges(Store& store, const Work& work, int rounds) {
  const auto time = [&](const char* name, const RangeRequest& request) {
    const double began = now_seconds();
    for (int i = 0; i < rounds; ++i) (void)store.range(request);
    print({name, (now_seconds() - began) * 1000 / rounds, "ms", "", std::nullopt, 0, {}});
  };
  time("range of 10,000", {work.prefix, "", 0, 0});
  const Revision old = store.revision();
  fill(store, work, 1000);
  time("page of 500, 1,000 commits ago", {work.prefix, key_of(work.prefix, kKeys / 2), old, 500});
}

// All watch one key; whoever has something is polled and armed again.
class Watchers {
 public:
  Watchers(Store& store, const std::string& key, std::size_t n) : all_(n) {
    for (std::size_t i = 0; i < n; ++i) {
      all_[i] = store.watch(key, 0).value();
      arm(i);
    }
  }
  void await(std::size_t events) {
    for (std::size_t seen = 0; seen < events;) {
      std::vector<std::size_t> batch;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return !ready_.empty(); });
        batch.swap(ready_);
      }
      for (const std::size_t i : batch) {
        seen += all_[i]->poll(100).value().events.size();
        arm(i);
      }
    }
  }

 private:
  void arm(std::size_t i) {
    all_[i]->arm([this, i] {
      const std::lock_guard lock(mutex_);
      ready_.push_back(i);
      if (ready_.size() == 1) wake_.notify_one();
    });
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::size_t> ready_;
  std::vector<std::unique_ptr<Watcher>> all_;
};

void fan_out(Store& store, std::size_t writes) {
  constexpr std::size_t kWatchers = 1000;
  Watchers watchers(store, "watched/", kWatchers);
  const double began = now_seconds();
  std::thread writer([&] { fill(store, {1, 0, "watched/", 1, 1024}, writes); });
  watchers.await(writes * kWatchers);
  const double took = now_seconds() - began;
  writer.join();
  print({"1,000 watchers of one key",
         static_cast<double>(writes * kWatchers) / took,
         "events/s",
         "",
         std::nullopt,
         0,
         {}});
}

}  // namespace

void run_reads(const Settings& settings) {
  LocalStoreOptions options;
  options.dir = settings.dir;
  const auto store = open_local_store(options).value();
  const Work work{256, 0, "pods/", kKeys, 1800};
  fill(*store, work, kKeys);
  read_keys(*store, work, settings.quick ? 10'000 : 1'000'000);
  read_ranges(*store, work, settings.quick ? 3 : 300);
  fan_out(*store, settings.quick ? 20 : 2000);
}

}  // namespace coxswain::store::bench
