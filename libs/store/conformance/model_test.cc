// Random histories: every store must answer exactly as the model does. A failure prints its seed.
#include <catch2/catch.hpp>

#include "libs/store/conformance/etcd_server.h"
#include "libs/store/conformance/stores.h"
#include "libs/store/model/model_store.h"

namespace coxswain::store::testing {
namespace {

constexpr int kSteps = 600;

std::string some_key(Random& random) {
  static const char* const kSpaces[] = {"pods/a/", "pods/b/", "nodes/", "pods/", ""};
  return kSpaces[random.below(5)] + std::string("k") + std::to_string(random.below(40));
}

Txn some_txn(Random& random, const Store& model) {
  Txn out;
  for (std::uint64_t n = random.below(3); n > 0; --n) {
    const std::string key = some_key(random);
    const auto now = model.get(key);
    const Revision there = now.ok() ? (*now)->mod_revision : 0;
    out.compares.push_back({key, random.below(6) == 0 ? static_cast<Revision>(random.below(50)) : there});
  }
  for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
    Op op = put(some_key(random), std::string(random.below(60), 'v'));
    if (random.below(3) == 0) op.type = Op::Type::kDelete;
    if (random.below(2) == 0) op.splice_at = random.below(op.value.size() + 1);
    out.ops.push_back(std::move(op));
  }
  return out;
}

std::string show_txn(const Result<TxnResult>& result) {
  if (!result.ok()) return to_string(result.error().code);
  return std::to_string(result->succeeded) + " " + std::to_string(result->revision) + " " +
         show(result->entries) + " " + std::to_string(result->failed_compare) + " " + show(result->current);
}

std::string show_range(const Result<RangeResult>& result) {
  if (!result.ok()) return to_string(result.error().code);
  return std::to_string(result->revision) + " " + std::to_string(result->more) + " " +
         std::to_string(result->remaining) + " " + show(result->entries);
}

struct Pair {
  std::unique_ptr<Watcher> model;
  std::unique_ptr<Watcher> real;
};

void check_watchers(std::vector<Pair>& watchers, Random& random) {
  for (Pair& pair : watchers) {
    Revision a = 0;
    Revision b = 0;
    const std::size_t max = 1 + random.below(5);
    REQUIRE(show(drain(pair.real.get(), max, &a).value()) == show(drain(pair.model.get(), 1000, &b).value()));
    REQUIRE(a == b);
  }
}

void run(const std::string& kind, std::uint64_t seed) {
  CAPTURE(kind, seed);
  const auto random = seeded_random(seed);
  const auto model = make_model_store();
  const TestStore real = make_store(kind);
  std::vector<Pair> watchers;
  for (int step = 0; step < kSteps; ++step) {
    CAPTURE(step);
    const Revision now = model->revision();
    const Revision any = static_cast<Revision>(random->below(static_cast<std::uint64_t>(now) + 2));
    const std::string prefix = some_key(*random).substr(0, random->below(9));
    switch (random->below(12)) {
      case 0: {
        RangeRequest request{prefix, random->below(2) == 0 ? "" : some_key(*random), any, random->below(12)};
        REQUIRE(show_range(real->range(request)) == show_range(model->range(request)));
        break;
      }
      case 1: {
        const std::string key = some_key(*random);
        const auto a = real->get(key, any);
        const auto b = model->get(key, any);
        REQUIRE((a.ok() ? show(*a) : to_string(a.error().code)) ==
                (b.ok() ? show(*b) : to_string(b.error().code)));
        REQUIRE(real->count(prefix) == model->count(prefix));
        break;
      }
      case 2: {
        auto a = real->watch(prefix, any);
        auto b = model->watch(prefix, any);
        REQUIRE(a.ok() == b.ok());
        if (a.ok()) watchers.push_back({std::move(*b), std::move(*a)});
        if (!a.ok()) REQUIRE(a.error().code == b.error().code);
        if (watchers.size() > 8) watchers.erase(watchers.begin());
        break;
      }
      case 3: {
        if (random->below(4) != 0) break;
        check_watchers(watchers, *random);  // a late one may or may not survive: not what this test is about
        REQUIRE(real->compact(any).ok() == model->compact(any).ok());
        break;
      }
      case 4:
        check_watchers(watchers, *random);
        break;
      default: {
        const Txn one = some_txn(*random, *model);
        REQUIRE(show_txn(real->txn_wait(one)) == show_txn(model->txn_wait(one)));
      }
    }
  }
  check_watchers(watchers, *random);
}

TEST_CASE("random histories match the model") {
  for (const char* kind : {"memory", "memory-small"}) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) run(kind, seed);
  }
  for (const char* kind : {"local", "local-small"}) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) run(kind, seed);
  }
  if (!etcd_installed()) return;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) run("etcd", seed);
}

}  // namespace
}  // namespace coxswain::store::testing
