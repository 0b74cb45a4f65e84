// Snapshot files: what goes in comes out, whatever the pieces; what is damaged is refused, wherever.
#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
#include "libs/store/backup/snapshot_file.h"

using namespace coxswain;         // NOLINT: a test
using namespace coxswain::store;  // NOLINT

namespace {

SnapshotHeader some_header() {
  SnapshotHeader header;
  header.cluster_id = "c1";
  header.member = 2;
  header.revision = 90;
  header.compacted = 40;
  header.index = 123;
  header.term = 7;
  header.created_unix_ms = 1'700'000'000'000;
  header.created_by = "test";
  return header;
}

EntryPtr entry(const std::string& key, const std::string& value, Revision created = 3, Revision modified = 9,
               std::int64_t version = 2) {
  return make_entry(key, value, created, modified, version);
}

std::string some_file() {
  SnapshotEncoder encoder;
  std::string file = encoder.begin(some_header());
  file += encoder.entries({entry("a", "1"), entry("b", std::string(3000, 'x'))});
  file += encoder.entries({entry("b/c", ""), entry("d", std::string("\0\1", 2), 90, 90, 1)});
  return file + encoder.end();
}

struct Read {
  SnapshotHeader header;
  std::vector<std::string> entries;
  Result<SnapshotSummary> summary = make_error(ErrorCode::kInternal, "");
};

Read read(std::string_view file, std::size_t piece) {
  Read out;
  SnapshotDecoder decoder({[&](const SnapshotHeader& header) {
                             out.header = header;
                             return Result<void>();
                           },
                           [&](const EntryPtr& one) {
                             std::string text;
                             put_entry(&text, *one);
                             out.entries.push_back(text);
                             return Result<void>();
                           }});
  for (std::size_t at = 0; at < file.size(); at += piece) {
    if (const Result<void> fed = decoder.feed(file.substr(at, piece)); !fed.ok()) {
      CHECK(decoder.feed("x").error().message == fed.error().message);
      CHECK(decoder.finish().error().message == fed.error().message);
      out.summary = fed.error();
      return out;
    }
  }
  out.summary = decoder.finish();
  return out;
}

// A file whose checksums are right, with this as its frame of entries.
Result<SnapshotSummary> read_entries_of(const std::vector<EntryPtr>& entries) {
  SnapshotEncoder encoder;
  std::string file = encoder.begin(some_header());
  file += encoder.entries(entries);
  return read(file + encoder.end(), 4096).summary;
}

}  // namespace

TEST_CASE("a snapshot is read as it was written, in pieces of any size") {
  const std::string file = some_file();
  const Read whole = read(file, file.size());
  REQUIRE(whole.summary.ok());
  CHECK(whole.header == some_header());
  CHECK(whole.summary->header == some_header());
  CHECK(whole.summary->entries == 4);
  CHECK(whole.summary->bytes == file.size());
  CHECK(whole.entries.size() == 4);
  StateDigest hash;
  for (const auto& one : {entry("a", "1"), entry("b", std::string(3000, 'x')), entry("b/c", ""),
                          entry("d", std::string("\0\1", 2), 90, 90, 1)})
    hash.add(*one);
  CHECK(whole.summary->state_hash == hash.finish());
  for (const std::size_t piece : {1u, 2u, 7u, 16u, 1000u}) {
    INFO(piece);
    const Read again = read(file, piece);
    REQUIRE(again.summary.ok());
    CHECK(again.entries == whole.entries);
    CHECK(again.summary->state_hash == whole.summary->state_hash);
  }
}

TEST_CASE("a snapshot of nothing is one, too") {
  SnapshotEncoder encoder;
  std::string file = encoder.begin(some_header());
  file += encoder.end();
  const Read empty = read(file, 5);
  REQUIRE(empty.summary.ok());
  CHECK(empty.summary->entries == 0);
}

TEST_CASE("a snapshot with any one bit flipped is refused") {
  const std::string file = some_file();
  for (std::size_t at = 0; at < file.size(); ++at) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    INFO("byte " << at);
    const Read got = read(damaged, 512);
    REQUIRE_FALSE(got.summary.ok());
    CHECK(got.summary.error().code == (at < 8 ? ErrorCode::kInvalidArgument : ErrorCode::kCorruption));
  }
}

TEST_CASE("a snapshot that is cut off anywhere, or goes on, is refused") {
  const std::string file = some_file();
  for (std::size_t size = 0; size < file.size(); ++size) {
    INFO(size);
    const Read got = read(std::string_view(file).substr(0, size), 4096);
    REQUIRE_FALSE(got.summary.ok());
    CHECK(got.summary.error().code == ErrorCode::kCorruption);
  }
  CHECK(read(file + "x", 4096).summary.error().code == ErrorCode::kCorruption);
  CHECK(read(file + file, 4096).summary.error().code == ErrorCode::kCorruption);
}

TEST_CASE("a snapshot of a newer format is told from a damaged one") {
  SnapshotHeader header = some_header();
  header.version = kSnapshotVersion + 1;
  SnapshotEncoder encoder;
  std::string file = encoder.begin(header);
  file += encoder.end();
  const Read got = read(file, 4096);
  REQUIRE_FALSE(got.summary.ok());
  CHECK(got.summary.error().code == ErrorCode::kInvalidArgument);
  CHECK(got.summary.error().message.find("use the release that made it") != std::string::npos);
}

TEST_CASE("frames in the wrong order or left out are refused, though each is whole") {
  SnapshotEncoder encoder;
  const std::string begin = encoder.begin(some_header());
  const std::string first = encoder.entries({entry("a", "1")});
  const std::string second = encoder.entries({entry("b", "2")});
  const std::string end = encoder.end();
  REQUIRE(read(begin + first + second + end, 4096).summary.ok());
  for (const std::string& file :
       {begin + second + first + end, begin + first + end, begin + second + end,
        begin + first + first + second + end, begin + begin.substr(8) + first + second + end,
        begin.substr(0, 8) + first + second + end, begin + end}) {
    const Read got = read(file, 4096);
    REQUIRE_FALSE(got.summary.ok());
    CHECK(got.summary.error().code == ErrorCode::kCorruption);
  }
}

TEST_CASE("entries that cannot be are refused, though the checksums are right") {
  CHECK(read_entries_of({entry("a", "1"), entry("b", "1")}).ok());
  CHECK_FALSE(read_entries_of({entry("b", "1"), entry("a", "1")}).ok());
  CHECK_FALSE(read_entries_of({entry("a", "1"), entry("a", "1")}).ok());
  CHECK_FALSE(read_entries_of({entry("", "1")}).ok());
  CHECK_FALSE(read_entries_of({entry(std::string("a\0b", 3), "1")}).ok());
  CHECK_FALSE(read_entries_of({entry("a", "1", 3, 91, 2)}).ok());  // newer than the snapshot
  CHECK_FALSE(read_entries_of({entry("a", "1", 9, 3, 2)}).ok());   // older than its creation
  CHECK_FALSE(read_entries_of({entry("a", "1", 0, 3, 2)}).ok());
  CHECK_FALSE(read_entries_of({entry("a", "1", 3, 9, 0)}).ok());  // a tombstone
  CHECK_FALSE(read_entries_of({entry("a", "1", 3, -1, 1)}).ok());
}

TEST_CASE("what the reader of a snapshot says ends it") {
  SnapshotDecoder decoder({nullptr, [](const EntryPtr&) -> Result<void> {
                             return make_error(ErrorCode::kResourceExhausted, "full");
                           }});
  CHECK(decoder.feed(some_file()).error().code == ErrorCode::kResourceExhausted);
  CHECK(decoder.finish().error().code == ErrorCode::kResourceExhausted);
}

TEST_CASE("the hash of a state tells entries apart") {
  const auto hash = [](const std::vector<EntryPtr>& entries) {
    StateDigest hash;
    for (const EntryPtr& one : entries) hash.add(*one);
    return hash.finish();
  };
  const std::string base = hash({entry("ab", "c", 3, 9, 2)});
  CHECK(base.size() == 64);
  CHECK(base == hash({entry("ab", "c", 3, 9, 2)}));
  CHECK(base != hash({entry("a", "bc", 3, 9, 2)}));
  CHECK(base != hash({entry("ab", "c", 4, 9, 2)}));
  CHECK(base != hash({entry("ab", "c", 3, 8, 2)}));
  CHECK(base != hash({entry("ab", "c", 3, 9, 3)}));
  CHECK(base != hash({}));
}
