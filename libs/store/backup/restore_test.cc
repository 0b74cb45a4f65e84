// Snapshots of a real store and what is restored from them.
#include <filesystem>
#include <fstream>
#include <map>
#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/store/backup/live_entries.h"
#include "libs/store/backup/restore.h"
#include "libs/store/node/identity.h"
#include "libs/store/node/members.h"
#include "libs/store/node/node.h"
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
      for (const EntryPtr& entry : range->entries)
        live[std::string(entry->key)] = {std::string(entry->value), entry->mod_revision};
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
    for (const EntryPtr& entry : range->entries)
      live[std::string(entry->key)] = {std::string(entry->value), entry->mod_revision};
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

TEST_CASE("a directory that is restored for a group is a member's of it") {
  const Original old;
  RestoreOptions options = into(old.dir());
  options.members = {{1, "h1:1"}, {2, "h2:1"}, {3, "h3:1"}};
  options.member_id = 2;
  options.cluster_id = "restored";
  const auto restored = restore(old.file, options);
  REQUIRE(restored.ok());
  CHECK(restored->cluster_id == "restored");
  const auto identity = load_identity(posix_env(), old.dir());
  REQUIRE((identity.ok() && identity->has_value()));
  CHECK((*identity)->member == 2);
  CHECK((*identity)->cluster == "restored");
  CHECK((*identity)->voters.size() == 3);
  LocalStoreOptions alone;
  alone.dir = old.dir();
  CHECK(open_local_store(alone).error().code == ErrorCode::kInvalidArgument);
  options.dir = old.home.path + "/alone";
  options.members = {{2, "h2:1"}};
  options.cluster_id.clear();
  const auto first = restore(old.file, options);
  options.dir += "-again";
  const auto second = restore(old.file, options);
  REQUIRE((first.ok() && second.ok()));
  CHECK_FALSE(first->cluster_id.empty());
  CHECK(first->cluster_id != second->cluster_id);
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
                             keys.push_back(std::string(entry->key) + "=" + std::string(entry->value));
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

TEST_CASE("what no restore made is not taken away") {
  const Original old;
  std::filesystem::create_directories(old.dir() + ".restoring");
  std::ofstream(old.dir() + ".restoring/thesis.txt") << "years of work";
  CHECK(restore(old.file, into(old.dir())).error().code == ErrorCode::kAlreadyExists);
  CHECK(std::filesystem::exists(old.dir() + ".restoring/thesis.txt"));
  CHECK_FALSE(std::filesystem::exists(old.dir()));
}

TEST_CASE("what is alive in an image is what reads of that revision see") {
  const auto random = seeded_random(20261121);
  for (int run = 0; run < 20; ++run) {
    NodeOptions options;
    const std::shared_ptr<Engine> engine = open_memory_engine();
    options.member.engine = engine;
    options.member.raft.id = options.member.raft.seed = 1;
    options.member.initial.voters = {1};
    options.member.clock = &system_clock();
    options.member.limits.retention_ms = 0;
    const auto opened = open_node(std::move(options));
    REQUIRE(opened.ok());
    Store& store = **opened;
    for (int i = 0; i < 150; ++i) {
      const std::string key = "k" + std::to_string(random->below(12));
      const std::uint64_t what = random->below(20);
      if (what == 0 && store.revision() > 0)
        REQUIRE(store
                    .compact(1 + static_cast<Revision>(
                                     random->below(static_cast<std::uint64_t>(store.revision()))))
                    .ok());
      else if (what < 7)
        remove(store, key);
      else
        put(store, key, "v" + std::to_string(i));
    }
    const Stats stats = store.stats();
    for (Revision at = stats.compacted; at <= stats.revision + 1; ++at) {
      INFO("run " << run << " revision " << at << " of " << stats.revision);
      RangeRequest everything;
      everything.revision = at;
      const auto read = store.range(everything);
      const auto live = LiveEntries::open(*engine->image(), at);
      REQUIRE(live.ok() == read.ok());
      if (!live.ok()) {
        CHECK(live.error().code == read.error().code);
        continue;
      }
      StateDigest expected, found;
      for (const EntryPtr& entry : read->entries) expected.add(*entry);
      for (;;) {
        const auto entries = (*live)->next(1 + random->below(200));
        REQUIRE(entries.ok());
        if (entries->empty()) break;
        for (const EntryPtr& entry : *entries) found.add(*entry);
      }
      CHECK(found.entries() == read->entries.size());
      CHECK(found.finish() == expected.finish());
    }
  }
}

TEST_CASE("an image of what was not written, and a restored state that was changed, are noticed") {
  const Original old;
  REQUIRE(restore(old.file, into(old.dir())).ok());
  open(old.dir());  // it is well
  const std::string key = "k/1" + std::string(1, '\0');
  {
    const auto engine = open_rocksdb_engine(old.dir() + "/state");
    REQUIRE(engine.ok());
    std::optional<EngineWrite> found;
    REQUIRE((*engine)
                ->scan(Family::kVersions, key,
                       [&](std::string_view row, std::string_view value) {
                         found = EngineWrite{Family::kVersions, std::string(row), std::string(value)};
                         return false;
                       })
                .ok());
    found->value->back() = static_cast<char>(found->value->back() ^ 1);
    REQUIRE((*engine)->write({*found}).ok());
    REQUIRE((*engine)->flush().ok());
    auto live = LiveEntries::open(*(*engine)->image(), 0);
    REQUIRE(live.ok());
    Result<std::vector<EntryPtr>> entries = (*live)->next(50);
    while (entries.ok() && !entries->empty()) entries = (*live)->next(50);
    REQUIRE_FALSE(entries.ok());
    CHECK(entries.error().code == ErrorCode::kCorruption);
  }
  LocalStoreOptions options;
  options.dir = old.dir();
  CHECK(open_local_store(options).error().code == ErrorCode::kCorruption);
}

TEST_CASE("options of a restore that make no sense are refused before anything is written") {
  const Original old;
  RestoreOptions options = into(old.dir());
  options.bump_revision = 0;
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  options = into(old.dir());
  options.members = {{1, "h:1"}, {1, "h:2"}};
  options.cluster_id = "c";
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  options.members = {{2, "h:1"}, {3, "h:2"}};  // not this one
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  options.members = {{1, "h:1"}, {2, "h:2"}};
  options.cluster_id = "";
  CHECK(restore(old.file, options).error().message.find("--cluster-id") != std::string::npos);
  options.cluster_id = "a b";
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  options = into(old.dir());
  options.member_id = 2;  // of what?
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  options = into(old.dir());
  options.bump_revision = INT64_MAX;
  CHECK(restore(old.file, options).error().code == ErrorCode::kInvalidArgument);
  CHECK_FALSE(std::filesystem::exists(old.dir()));
  options.dir = old.home.path + "/no/such/place";
  CHECK_FALSE(restore(old.file, options).ok());
}
