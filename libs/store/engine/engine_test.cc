// What the engines promise about copies: an image is of one moment, and a copy takes the place of everything
// or of nothing.
#include "libs/store/engine/engine.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include <catch2/catch.hpp>

#include "libs/store/conformance/stores.h"

namespace coxswain::store::testing {
namespace {

using Content = std::map<std::pair<Family, std::string>, std::string>;

Content content_of(const Engine& engine) {
  Content out;
  for (const Family family : {Family::kMeta, Family::kVersions, Family::kEvents}) {
    REQUIRE(engine
                .scan(family, "",
                      [&](std::string_view key, std::string_view value) {
                        out[{family, std::string(key)}] = std::string(value);
                        return true;
                      })
                .ok());
  }
  return out;
}

EngineBatch rows(int from, int to, const std::string& value) {
  EngineBatch batch;
  for (int i = from; i < to; ++i)
    batch.push_back(
        {static_cast<Family>(i % kFamilies), "key-" + std::to_string(i), value + std::to_string(i)});
  return batch;
}

Result<Content> read_all(EngineImage& image) {
  Content out;
  for (;;) {
    COX_ASSIGN_OR_RETURN(const EngineBatch batch, image.next(1000));
    if (batch.empty()) return out;
    for (const EngineWrite& row : batch) out[{row.family, row.key}] = row.value.value();
  }
}

// Both kinds on one disk each, which is there after reopen().
struct Disk {
  explicit Disk(bool rocksdb) : rocksdb_(rocksdb) {}
  std::shared_ptr<Engine> open() {
    if (!rocksdb_) return open_memory_engine(memory_);
    auto engine = open_rocksdb_engine(state());
    REQUIRE(engine.ok());
    return std::move(engine).value();
  }
  std::string state() const { return dir_.path() + "/state"; }

  const bool rocksdb_;
  const TempDir dir_;
  const std::shared_ptr<MemoryDisk> memory_ = make_memory_disk();
};

TEST_CASE("an image is of one moment, whatever is written while it is read") {
  Disk disk(GENERATE(false, true));
  const auto engine = disk.open();
  REQUIRE(engine->write(rows(0, 300, "old-")).ok());
  const Content then = content_of(*engine);
  const auto image = engine->image().value();
  const EngineBatch first = image->next(1).value();
  REQUIRE(first.size() == 1);
  REQUIRE(engine->write(rows(100, 400, "new-")).ok());
  REQUIRE(engine->write({{Family::kMeta, "key-3", std::nullopt}}).ok());
  REQUIRE(engine->flush().ok());
  Content seen = read_all(*image).value();
  seen[{first[0].family, first[0].key}] = first[0].value.value();
  CHECK(seen == then);
  CHECK(image->next(1000).value().empty());
  CHECK(content_of(*engine) != then);
}

TEST_CASE("a copy changes nothing before it is adopted, and is everything afterwards, durably") {
  Disk disk(GENERATE(false, true));
  auto engine = disk.open();
  REQUIRE(engine->write(rows(0, 100, "old-")).ok());
  REQUIRE(engine->flush().ok());
  const Content old = content_of(*engine);
  {
    const auto dropped = engine->start_copy().value();
    REQUIRE(dropped->write(rows(0, 500, "dropped-")).ok());
  }
  auto copy = engine->start_copy().value();
  REQUIRE(copy->write(rows(50, 200, "copy-")).ok());
  CHECK(content_of(*engine) == old);
  const Content expected = [&] {
    const auto other = open_memory_engine();
    REQUIRE(other->write(rows(50, 200, "copy-")).ok());
    return content_of(*other);
  }();
  REQUIRE(engine->adopt(std::move(copy)).ok());
  CHECK(content_of(*engine) == expected);
  engine.reset();
  engine = disk.open();
  CHECK(content_of(*engine) == expected);
  REQUIRE(engine->write({{Family::kMeta, "later", "x"}}).ok());
  CHECK(content_of(*engine).size() == expected.size() + 1);
}

TEST_CASE("RocksDB: an image of what was replaced says so, and may outlive the engine") {
  Disk disk(true);
  auto engine = disk.open();
  REQUIRE(engine->write(rows(0, 100, "old-")).ok());
  const auto early = engine->image().value();
  const auto late = engine->image().value();
  REQUIRE(engine->adopt(engine->start_copy().value()).ok());
  CHECK(early->next(1000).error().code == ErrorCode::kUnavailable);
  CHECK(content_of(*engine).empty());
  engine.reset();
  CHECK(late->next(1000).error().code == ErrorCode::kUnavailable);
}

// The steps of an adoption on disk: mark; old state away; copy in its place; mark away.
TEST_CASE("RocksDB: the power goes in the middle of an adoption") {
  namespace fs = std::filesystem;
  for (int step = 0; step < 5; ++step) {
    CAPTURE(step);
    Disk disk(true);
    const std::string copy = disk.state() + ".copy", mark = disk.state() + ".adopt";
    {
      const auto engine = disk.open();
      REQUIRE(engine->write({{Family::kMeta, "which", "old"}}).ok());
      REQUIRE(engine->flush().ok());
      const auto unfinished = engine->start_copy().value();
    }
    {
      const auto other = open_rocksdb_engine(copy).value();
      REQUIRE(other->write({{Family::kMeta, "which", "new"}}).ok());
      REQUIRE(other->flush().ok());
    }
    if (step >= 1) std::ofstream(mark).close();
    if (step == 2) fs::remove(disk.state() + "/CURRENT");  // removing it had begun
    if (step >= 3) fs::remove_all(disk.state());
    if (step >= 4) fs::rename(copy, disk.state());
    const auto engine = disk.open();
    CHECK(engine->get(Family::kMeta, "which").value() == (step == 0 ? "old" : "new"));
    CHECK_FALSE(fs::exists(copy));
    CHECK_FALSE(fs::exists(mark));
  }
}

// No file of this process may grow: to RocksDB that is a disk without room.
class NoRoom {
 public:
  NoRoom() {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    previous_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoRoom() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, previous_);
  }

 private:
  rlimit before_{};
  void (*previous_)(int) = nullptr;
};

TEST_CASE("RocksDB: without room everything is refused and nothing is lost, as often as it is tried") {
  Disk disk(true);
  const auto engine = disk.open();
  REQUIRE(engine->write(rows(0, 100, "kept")).ok());
  REQUIRE(engine->flush().ok());
  const Content kept = content_of(*engine);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(engine->write({{Family::kMeta, "more", std::to_string(round)}}).ok());
    {
      const NoRoom no_room;
      CHECK_FALSE(engine->flush().ok());
      for (int i = 0; i < 3; ++i) CHECK_FALSE(engine->reopen().ok());
      CHECK_FALSE(engine->flush().ok());
    }
    REQUIRE(engine->reopen().ok());
    CHECK(content_of(*engine) == kept);
  }
}

}  // namespace
}  // namespace coxswain::store::testing
