// How RocksDB arranges the rows: what an earlier release has arranged otherwise is read, and rows are not
// written again and again.
#include <rocksdb/db.h>

#include <chrono>
#include <map>
#include <random>
#include <thread>

#include <catch2/catch.hpp>

#include "libs/store/bench/machine.h"
#include "libs/store/conformance/stores.h"
#include "libs/store/engine/engine.h"

namespace coxswain::store::testing {
namespace {

using Rows = std::map<std::string, std::string>;

std::string key_of(std::uint64_t n) { return "key-" + std::to_string(1'000'000'000 + n); }

Rows versions_of(const Engine& engine) {
  Rows rows;
  const auto read = engine.scan(Family::kVersions, "", [&](std::string_view key, std::string_view value) {
    rows[std::string(key)] = std::string(value);
    return true;
  });
  REQUIRE(read.ok());
  return rows;
}

std::unique_ptr<Engine> open(const std::string& dir) {
  auto engine = open_rocksdb_engine(dir);
  if (!engine.ok()) FAIL(engine.error().message);
  return std::move(engine).value();
}

// By levels, with rows in the last one, in one between, and in level 0.
struct Leveled {
  explicit Leveled(const std::string& dir) {
    rocksdb::DBOptions options;
    options.create_if_missing = options.create_missing_column_families = true;
    options.atomic_flush = true;
    rocksdb::ColumnFamilyOptions family;
    family.compaction_style = rocksdb::kCompactionStyleLevel;
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : {"default", "versions", "events"}) families.emplace_back(name, family);
    rocksdb::DB* opened = nullptr;
    REQUIRE(rocksdb::DB::Open(options, dir, families, &handles, &opened).ok());
    db.reset(opened);
  }
  ~Leveled() {
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
  }
  void put(std::uint64_t from, std::uint64_t step, const std::string& value, Rows* rows) {
    rocksdb::WriteOptions unlogged;
    unlogged.disableWAL = true;
    for (std::uint64_t n = from; n < 3000; n += step) {
      const std::string own = value + std::to_string(n);
      REQUIRE(db->Put(unlogged, handles[1], key_of(n), own).ok());
      (*rows)[key_of(n)] = own;
    }
    REQUIRE(db->Flush({}, handles).ok());
  }
  void move_to(int level) {
    rocksdb::CompactRangeOptions options;
    options.change_level = true;
    options.target_level = level;
    REQUIRE(db->CompactRange(options, handles[1], nullptr, nullptr).ok());
  }

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  std::unique_ptr<rocksdb::DB> db;
};

TEST_CASE("RocksDB: a directory whose versions were compacted by levels is read and goes on") {
  const TempDir dir;
  const std::string state = dir.path() + "/state";
  Rows rows;
  {
    Leveled before(state);
    before.put(0, 1, "oldest", &rows);
    before.move_to(6);
    before.put(0, 3, "older", &rows);
    before.put(1, 7, "old", &rows);
  }
  for (int round = 0; round < 3; ++round) {
    const auto engine = open(state);
    REQUIRE(versions_of(*engine) == rows);
    for (int group = 0; group < 30; ++group) {  // more than are left apart
      EngineBatch batch;
      for (std::uint64_t n = 0; n < 3000; n += 11) {
        const std::string value = std::to_string(round) + "/" + std::to_string(group);
        batch.push_back({Family::kVersions, key_of(n), value});
        rows[key_of(n)] = value;
      }
      REQUIRE(engine->write(batch).ok());
      REQUIRE(engine->flush().ok());
    }
    CHECK(versions_of(*engine) == rows);
  }
  // And the release of before reads it, should somebody go back.
  Leveled before(state);
  std::string value;
  for (const auto& [key, expected] : rows) {
    REQUIRE(before.db->Get({}, before.handles[1], key, &value).ok());
    REQUIRE(value == expected);
  }
}

// Until RocksDB has nothing more to merge.
std::uint64_t settled_bytes() {
  for (std::uint64_t before = bench::written_bytes();;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    if (const std::uint64_t now = bench::written_bytes(); now == before) return now;
    before = bench::written_bytes();
  }
}

TEST_CASE("RocksDB: a version is flushed, and merged about once more") {
  const TempDir dir;
  const auto engine = open(dir.path() + "/state");
  std::mt19937_64 random(1);
  const std::uint64_t before = bench::written_bytes();
  std::uint64_t put = 0;
  constexpr std::uint64_t kTotal = 250u << 20;  // some thirty flushes
  while (put < kTotal) {
    EngineBatch batch;
    for (int i = 0; i < 1000; ++i) {
      std::string value = bench::value_of(1000, random());
      put += value.size();
      batch.push_back({Family::kVersions, key_of(random() % 1'000'000'000), std::move(value)});
    }
    REQUIRE(engine->write(batch).ok());
  }
  REQUIRE(engine->flush().ok());
  const auto written = static_cast<double>(settled_bytes() - before);
  if (written == 0) return;  // memory is the disk: nothing can be said
  CHECK(written / static_cast<double>(put) < 2.2);
}

}  // namespace
}  // namespace coxswain::store::testing
