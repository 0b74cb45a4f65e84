// Snapshots of a real store and what is restored from them.
#include <filesystem>
#include <fstream>
#include <map>
#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/store/backup/live_entries.h"
#include "libs/store/backup/restore.h"
#include "libs/store/node/members.h"
#include "libs/store/open.h"

using namespace coxswain;         // NOLINT: a test
using namespace coxswain::store;  // NOLINT

namespace {

struct Directory {
  std::string path;
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "coxswain-restore-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Directory() { std::filesystem::remove_all(path); }
};

Revision put(Store& store, const std::string& key, const std::string& value) {
  Txn txn;
  txn.ops.push_back({Op::Type::kPut, key, value, value.size()});  // the revision behind the value
  const auto done = store.txn_wait(std::move(txn));
  REQUIRE(done.ok());
  return done->revision;
}

void remove(Store& store, const std::string& key) {
  Txn txn;
  txn.ops.push_back({Op::Type::kDelete, key, {}});
  REQUIRE(store.txn_wait(std::move(txn)).ok());
}

std::unique_ptr<Store> open(const std::string& dir) {
  LocalStoreOptions options;
  options.dir = dir;
  options.limits.retention_ms = 0;
  auto store = open_local_store(options);
  INFO((store.ok() ? std::string() : store.error().message));
  REQUIRE(store.ok());
  return *std::move(store);
}

// What a store that was closed in an orderly way has on its disk.
std::string snapshot_of(const std::string& dir, Revision revision = 0) {
  const auto engine = open_rocksdb_engine(dir + "/state");
  REQUIRE(engine.ok());
  auto image = (*engine)->image();
  REQUIRE(image.ok());
  auto live = LiveEntries::open(*std::move(image), revision);
  REQUIRE(live.ok());
  SnapshotHeader header;
  header.revision = (*live)->revision();
  header.compacted = (*live)->applied().compacted;
  header.index = (*live)->applied().index;
  header.term = (*live)->applied().term;
  SnapshotEncoder encoder;
  std::string file = encoder.begin(header);
  for (;;) {
    const auto entries = (*live)->next(100);
    REQUIRE(entries.ok());
    if (entries->empty()) break;
    file += encoder.entries(*entries);
  }
  return file + encoder.end();
}

Result<Restored> restore(const std::string& file, RestoreOptions options) {
  COX_ASSIGN_OR_RETURN(const std::unique_ptr<Restore> restore, Restore::open(std::move(options)));
  for (std::size_t at = 0; at < file.size(); at += 777)
    COX_RETURN_IF_ERROR(restore->feed(std::string_view(file).substr(at, 777)));
  return restore->finish();
}

RestoreOptions into(const std::string& dir) {
  RestoreOptions options;
  options.dir = dir;
  return options;
}

struct Original {
  Directory home;
  std::string file;
  Revision revision = 0;
  std::map<std::string, std::pair<std::string, Revision>> live;

  Original() {
    {
      const auto store = open(home.path + "/old");
      for (int i = 0; i < 300; ++i)
        put(*store, "k/" + std::to_string(i % 100), "v" + std::to_string(i) + "@");
      for (int i = 0; i < 100; i += 7) remove(*store, "k/" + std::to_string(i));
      put(*store, "k/7", "again@");
      put(*store, std::string(kMembersPrefix) + "1", "somebody");
      put(*store, "coxswain/members-version", "");
      revision = store->revision();
      RangeRequest all;
      all.prefix = "k/";
      const auto range = store->range(all);
      REQUIRE(range.ok());
      for (const EntryPtr& entry : range->entries) live[entry->key] = {entry->value, entry->mod_revision};
    }
    file = snapshot_of(home.path + "/old");
  }
  std::string dir() const { return home.path + "/new"; }
};

}  // namespace

TEST_CASE("a restored store has what the old one had, at a revision that nobody has seen") {
  const Original old;
  const auto restored = restore(old.file, into(old.dir()));
  INFO((restored.ok() ? std::string() : restored.error().message));
  REQUIRE(restored.ok());
  CHECK(restored->revision == old.revision + 1'000'000'000);
  CHECK(restored->dropped == 2);
  CHECK(restored->snapshot.header.revision == old.revision);
  CHECK_FALSE(std::filesystem::exists(old.dir() + ".restoring"));
  for (int start = 0; start < 3; ++start) {  // and after restarts
    INFO(start);
    const auto store = open(old.dir());
    CHECK(store->revision() == restored->revision + start);
    CHECK(store->stats().compacted == restored->revision);
    CHECK(store->count("coxswain/") == 0);
    RangeRequest all;
    all.prefix = "k/";
    const auto range = store->range(all);
    REQUIRE(range.ok());
    std::map<std::string, std::pair<std::string, Revision>> live;
    for (const EntryPtr& entry : range->entries) live[entry->key] = {entry->value, entry->mod_revision};
    CHECK(live == old.live);
    CHECK(put(*store, "after", "x") == restored->revision + start + 1);
  }
}

TEST_CASE("old revisions of a restored store are compacted, and compares go on") {
  const Original old;
  const auto restored = restore(old.file, into(old.dir()));
  REQUIRE(restored.ok());
  const auto store = open(old.dir());
  for (const Revision then : {Revision{1}, old.revision, old.revision + 5, restored->revision - 1}) {
    INFO(then);
    CHECK(store->watch("k/", then).error().code == ErrorCode::kCompacted);
    CHECK(store->get("k/1", then).error().code == ErrorCode::kCompacted);
    RangeRequest page;
    page.revision = then;
    CHECK(store->range(page).error().code == ErrorCode::kCompacted);
  }
  auto watcher = store->watch("k/", restored->revision);
  REQUIRE(watcher.ok());
  const auto entry = store->get("k/1");
  REQUIRE(entry.ok());
  Txn txn;
  txn.compares.push_back({"k/1", (*entry)->mod_revision});  // of before
  txn.ops.push_back({Op::Type::kPut, "k/1", "next", kNoSplice});
  const auto done = store->txn_wait(txn);
  REQUIRE(done.ok());
  CHECK(done->succeeded);
  CHECK(done->revision == restored->revision + 1);
  CHECK(done->entries.front()->create_revision == (*entry)->create_revision);
  CHECK(done->entries.front()->version == (*entry)->version + 1);
  CHECK_FALSE(store->txn_wait(txn)->succeeded);
  const auto batch = (*watcher)->poll(10);
  REQUIRE(batch.ok());
  REQUIRE(batch->events.size() == 1);
  CHECK(batch->events.front()->previous->value == (*entry)->value);
  // What was superseded can be compacted, and is gone then.
  CHECK(store->get("k/1", restored->revision).value()->value == (*entry)->value);
  REQUIRE(store->compact(done->revision).ok());
  CHECK(store->get("k/1", restored->revision).error().code == ErrorCode::kCompacted);
  CHECK(store->get("k/1").value()->value == "next");
}

TEST_CASE("a store that was restored can be saved and restored again") {
  const Original old;
  REQUIRE(restore(old.file, into(old.dir())).ok());
  {
    const auto store = open(old.dir());
    put(*store, "more", "x");
  }
  const std::string second = snapshot_of(old.dir());
  const auto again = restore(second, into(old.home.path + "/third"));
  REQUIRE(again.ok());
  CHECK(again->revision == old.revision + 2'000'000'001);
  const auto store = open(old.home.path + "/third");
  CHECK(store->count("k/") == static_cast<std::int64_t>(old.live.size()));
  CHECK(store->count("more") == 1);
}

TEST_CASE("a snapshot can be of an older revision that is still kept") {
  Directory home;
  Revision then = 0;
  {
    const auto store = open(home.path + "/s");
    put(*store, "a", "1@");
    put(*store, "b", "1@");
    then = put(*store, "c", "1@");
    put(*store, "a", "2@");
    remove(*store, "b");
    put(*store, "d", "2@");
  }
  std::vector<std::string> keys;
  SnapshotDecoder decoder({nullptr, [&](const EntryPtr& entry) {
                             keys.push_back(entry->key + "=" + entry->value);
                             return Result<void>();
                           }});
  REQUIRE(decoder.feed(snapshot_of(home.path + "/s", then)).ok());
  CHECK(decoder.finish()->header.revision == then);
  CHECK(keys == std::vector<std::string>{"a=1@1", "b=1@2", "c=1@3"});
}

TEST_CASE("a damaged or cut off file leaves nothing behind") {
  const Original old;
  const auto random = seeded_random(7);
  for (int i = 0; i < 40; ++i) {
    std::string file = old.file;
    const std::size_t at = random->below(file.size());
    if (i % 4 == 0)
      file.resize(at);
    else
      file[at] = static_cast<char>(file[at] ^ (1 << random->below(8)));
    INFO("place " << at);
    REQUIRE_FALSE(restore(file, into(old.dir())).ok());
    CHECK_FALSE(std::filesystem::exists(old.dir()));
    CHECK_FALSE(std::filesystem::exists(old.dir() + ".restoring"));
  }
  CHECK(restore(old.file, into(old.dir())).ok());
}

TEST_CASE("a directory with anything in it is not restored into") {
  const Original old;
  const auto refused = restore(old.file, into(old.home.path + "/old"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::kAlreadyExists);
  CHECK(open(old.home.path + "/old")->revision() == old.revision);
  std::filesystem::create_directory(old.dir());  // an empty one may be there
  CHECK(restore(old.file, into(old.dir() + "/")).ok());
  CHECK(restore(old.file, into(old.dir())).error().code == ErrorCode::kAlreadyExists);
}

TEST_CASE("what an interrupted restore left is taken away, one that runs is left alone") {
  const Original old;
  {
    const auto first = Restore::open(into(old.dir()));
    REQUIRE(first.ok());
    REQUIRE((*first)->feed(old.file).ok());
    CHECK(restore(old.file, into(old.dir())).error().code == ErrorCode::kUnavailable);
  }
  CHECK_FALSE(std::filesystem::exists(old.dir() + ".restoring"));
  std::filesystem::create_directories(old.dir() + ".restoring/state");
  std::ofstream(old.dir() + ".restoring/state/CURRENT") << "of a process that was killed\n";
  REQUIRE(restore(old.file, into(old.dir())).ok());
  CHECK(open(old.dir())->count("k/") == static_cast<std::int64_t>(old.live.size()));
}

TEST_CASE("options of a restore that make no sense are refused before anything is written") {
  const Original old;
  RestoreOptions options = into(old.dir());
  options.bump_revision = 0;
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  options = into(old.dir());
  options.members = {1, 1};
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  options.members = {};
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  options = into(old.dir());
  options.bump_revision = INT64_MAX;
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  CHECK_FALSE(std::filesystem::exists(old.dir()));
  options.dir = old.home.path + "/no/such/place";
  CHECK_FALSE(restore(old.file, options).ok());
}
