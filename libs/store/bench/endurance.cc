// What millions of writes take of the disk, a million keys of the memory, and how soon they are back.
#include <cstdio>
#include <filesystem>

#include "libs/common/base/check.h"
#include "libs/store/bench/clients.h"
#include "libs/store/bench/machine.h"
#include "libs/store/bench/sections.h"
#include "libs/store/bench/table.h"
#include "libs/store/open.h"

namespace coxswain::store::bench {
namespace {

std::unique_ptr<Store> open_in(const std::string& dir) {
  LocalStoreOptions options;
  options.dir = dir;
  return open_local_store(options).value();
}

// In tenths, so that growth would show.
void update(const Settings& settings, std::size_t value_bytes, std::uint64_t updates) {
  constexpr int kParts = 10;
  const auto store = open_in(settings.dir + "/" + std::to_string(value_bytes));
  Work work{256, 0, "bench/", settings.quick ? 1000u : 100'000u, value_bytes};
  const std::uint64_t part = updates / kParts;
  const double value_total = static_cast<double>(part * value_bytes);
  std::string parts;
  double written = 0;
  for (int i = 0; i < kParts; ++i) {
    const std::uint64_t before = written_bytes();
    fill(*store, work, part);
    const auto now = static_cast<double>(written_bytes() - before);
    written += now;
    parts += (i > 0 ? " " : "") + show(now / value_total);
  }
  char name[128];
  std::snprintf(name, sizeof name, "bytes written to disk per byte of value, %.0f updates of %zu bytes",
                static_cast<double>(updates), value_bytes);
  print({name, written / value_total / kParts, "", "by tenths: " + parts, std::nullopt, 0, at_most(3)});
}

struct Keys {
  explicit Keys(const Settings& settings)
      : n(settings.quick ? 10'000 : 1'000'000), work{256, 0, "pods/default/web-7d9c5b9f4-", n, 1024} {}
  double bytes() const {
    return static_cast<double>(n) * static_cast<double>(work.value_bytes + key_of(work.prefix, 0).size());
  }
  std::size_t n;
  Work work;
};

void print_memory(const char* when, const Keys& keys, std::uint64_t resident_before) {
  const auto keys_n = static_cast<double>(keys.n);
  const double resident = (static_cast<double>(resident_bytes() - resident_before) - keys.bytes()) / keys_n;
  const double allocated = (static_cast<double>(allocated_bytes()) - keys.bytes()) / keys_n;
  char name[128];
  std::snprintf(name, sizeof name, "memory beyond keys and values, %zu keys of 1 KiB, %s", keys.n, when);
  print(
      {name, resident, "bytes a key", "by malloc's count " + show(allocated), std::nullopt, 0, at_most(200)});
}

}  // namespace

void run_small_updates(const Settings& settings) {
  std::filesystem::create_directory(settings.dir);
  const std::uint64_t scale = settings.quick ? 100 : 1;
  update(settings, 128, 10'000'000 / scale);
  update(settings, 1024, 2'000'000 / scale);
}

void run_fill(const Settings& settings) {
  const Keys keys(settings);
  const std::uint64_t before = resident_bytes();
  const auto store = open_in(settings.dir);
  fill(*store, keys.work, keys.n);
  print_memory("just written", keys, before);
}

void run_restart(const Settings& settings) {
  const Keys keys(settings);
  const std::uint64_t before = resident_bytes();
  const double began = now_seconds();
  const auto store = open_in(settings.dir);
  COX_CHECK(store->get(key_of(keys.work.prefix, keys.n / 2)).ok());
  const double took = now_seconds() - began;
  COX_CHECK(store->stats().keys == static_cast<std::int64_t>(keys.n));
  print_memory("after a restart", keys, before);
  char name[128];
  std::snprintf(name, sizeof name, "restart with %zu keys of 1 KiB, until it serves", keys.n);
  print({name, took, "s", show(processor_seconds()) + " s of processor", std::nullopt, 0, at_most(5)});
}

}  // namespace coxswain::store::bench
