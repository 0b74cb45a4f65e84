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

// Some text that is always the same for the same number.
std::string hex_of(std::uint64_t n, int digits) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%016llx",
                static_cast<unsigned long long>((n + 1) * 0x9e3779b97f4a7c15u));
  return std::string(buffer).substr(0, static_cast<std::size_t>(digits));
}

std::string uid_of(std::uint64_t n) {
  return hex_of(n, 8) + "-" + hex_of(n + 1, 4) + "-4" + hex_of(n + 2, 3) + "-a" + hex_of(n + 3, 3) + "-" +
         hex_of(n + 4, 12);
}

// What a kubelet writes every ten seconds, the most frequent of all small updates: always as long.
std::string lease_of(std::uint64_t node, std::uint64_t n) {
  const std::string name = key_of("node-", node);
  const std::string microseconds = std::to_string(100'000'000'000 + n * 7919);
  return R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":")" + name +
         R"(","namespace":"kube-node-lease","uid":")" + uid_of(node) +
         R"(","creationTimestamp":"2026-01-01T00:00:00Z","ownerReferences":[{"apiVersion":"v1","kind":"Node","name":")" +
         name + R"(","uid":")" + uid_of(node + (1u << 30)) + R"("}]},"spec":{"holderIdentity":")" + name +
         R"(","leaseDurationSeconds":40,"renewTime":"2026-01-01T)" + microseconds.substr(0, 2) + ":" +
         microseconds.substr(2, 2) + ":" + microseconds.substr(4, 2) + "." + microseconds.substr(6) +
         R"(Z"}})";
}

// Over 100,000 keys, in tenths: growth would show.
void update(const Settings& settings, const char* what, std::uint64_t updates, Work work) {
  constexpr int kParts = 10;
  const auto store = open_in(settings.dir + "/" + std::to_string(work.value_bytes));
  work.clients = 256;
  work.prefix = "leases/kube-node-lease/node-";
  work.keys = settings.quick ? 1000 : 100'000;
  const std::uint64_t part = updates / kParts / (settings.quick ? 100 : 1);
  const auto value_total = static_cast<double>(part * work.value_bytes);
  std::string parts;
  double written = 0;
  for (int i = 0; i < kParts; ++i) {
    const std::uint64_t before = written_bytes();
    fill(*store, work, part);
    const auto now = static_cast<double>(written_bytes() - before);
    written += now;
    parts += (i > 0 ? " " : "") + show(now / value_total);
  }
  const std::string name = "bytes written to disk per byte of value, " +
                           show(static_cast<double>(part * kParts)) + " updates of " +
                           std::to_string(work.value_bytes) + " bytes: " + what;
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
  Work leases;
  leases.value = lease_of;
  leases.value_bytes = lease_of(0, 0).size();
  update(settings, "Leases, as kubelets write them", 10'000'000, leases);
  Work random;
  random.value_bytes = 1024;
  update(settings, "random, which do not compress", 2'000'000, random);
  random.value_bytes = 128;
  update(settings, "random, which do not compress", 2'000'000, random);
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
