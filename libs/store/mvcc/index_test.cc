#include <map>
#include <thread>

#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/store/mvcc/index.h"

namespace coxswain::store {
namespace {

using Model = std::map<std::string, Revision>;

EntryPtr entry(const std::string& key, Revision revision) {
  return make_entry(key, "v", revision, revision, 1);
}

std::string key_of(std::uint64_t n) { return "key/" + std::to_string(n); }

void require_equal(const Index& index, const Model& model) {
  REQUIRE(index.size() == static_cast<std::int64_t>(model.size()));
  auto it = model.begin();
  index.scan("", [&](const EntryPtr& e) {
    REQUIRE(it != model.end());
    REQUIRE(e->key == it->first);
    REQUIRE(e->mod_revision == it->second);
    ++it;
    return true;
  });
  REQUIRE(it == model.end());
}

TEST_CASE("an index is a map, and a snapshot of it never changes") {
  const auto random = seeded_random(7);
  Index index;
  Model model;
  std::vector<std::pair<Index, Model>> snapshots;
  for (Revision step = 1; step <= 30000; ++step) {
    const std::string key = key_of(random->below(3000));
    const bool shrinking = (step / 5000) % 2 == 1;
    if (random->below(10) < (shrinking ? 8u : 2u)) {
      REQUIRE(index.erase(key) == (model.erase(key) == 1));
    } else {
      index.put(entry(key, step));
      model[key] = step;
    }
    if (step % 3000 == 0) snapshots.emplace_back(index, model);
    if (step % 500 == 0) {
      const std::string bound = key_of(random->below(4000));
      REQUIRE(index.rank(bound) == std::distance(model.begin(), model.lower_bound(bound)));
      REQUIRE((index.find(bound) != nullptr) == (model.count(bound) == 1));
    }
  }
  require_equal(index, model);
  for (const auto& [snapshot, then] : snapshots) require_equal(snapshot, then);
  while (!model.empty()) {
    const std::string key = model.begin()->first;
    REQUIRE(index.erase(key));
    model.erase(key);
  }
  require_equal(index, model);
  for (const auto& [snapshot, then] : snapshots) require_equal(snapshot, then);
}

TEST_CASE("counting by prefix") {
  Index index;
  for (const char* key : {"a", "a/", "a/1", "a/2", "a0", "b", "\xff", "\xff\xff"}) index.put(entry(key, 1));
  CHECK(index.count_prefix("") == 8);
  CHECK(index.count_prefix("a") == 5);
  CHECK(index.count_prefix("a/") == 3);
  CHECK(index.count_prefix("c") == 0);
  CHECK(index.count_prefix("\xff") == 2);
  CHECK(prefix_end("a\xff") == "b");
  CHECK(prefix_end("\xff").empty());
}

TEST_CASE("snapshots are read and dropped by other threads while the writer goes on") {
  Index index;
  for (std::uint64_t i = 0; i < 2000; ++i) index.put(entry(key_of(i), 1));
  for (Revision round = 2; round < 30; ++round) {
    std::thread reader([snapshot = index, round]() mutable {
      std::int64_t seen = 0;
      snapshot.scan("", [&](const EntryPtr& e) {
        if (e->mod_revision >= round) std::abort();
        ++seen;
        return true;
      });
      if (seen != snapshot.size()) std::abort();
      snapshot = Index();
    });
    for (std::uint64_t i = 0; i < 2000; i += 7) index.put(entry(key_of(i), round));
    reader.join();
  }
}

}  // namespace
}  // namespace coxswain::store
