// Snapshots of a store as files: every live key as of one revision, with checksums. Pure: strings in, strings
// out. Integers are little-endian in frames; numbers in payloads are varints, bytes have their length in
// front.
//
//   file    := "COXSNAP1", header frame, entries frame ..., trailer frame
//   frame   := u32 payload length, u32 CRC-32C of the payload, u32 kind, u32 CRC-32C of these 12 bytes,
//   payload header  := kind 1: version, cluster id bytes, member, revision, compacted, index, term, created
//   (Unix ms),
//              created by bytes; index and term are of the last log entry that is in it
//   entries := kind 2: n, n × (key bytes, value bytes, create_revision, mod_revision, version), keys
//   ascending trailer := kind 3: number of entries, SHA-256 of the file before this frame (32 bytes); nothing
//   follows
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/store/backup/sha256.h"
#include "libs/store/store.h"

namespace coxswain::store {

inline constexpr std::uint64_t kSnapshotVersion = 1;
inline constexpr std::size_t kMaxSnapshotFrame = 64u << 20;  // of a payload; a longer one is damage

struct SnapshotHeader {
  std::uint64_t version = kSnapshotVersion;
  std::string cluster_id;
  std::uint64_t member = 0;  // that it was taken from
  Revision revision = 0;
  Revision compacted = 0;
  std::uint64_t index = 0;
  std::uint64_t term = 0;
  std::int64_t created_unix_ms = 0;
  std::string created_by;  // program and version, for people
  bool operator==(const SnapshotHeader&) const = default;
};

// The bytes that stand for an entry, in a snapshot and in hashes of a state.
void put_entry(std::string* out, const Entry& entry);

// begin(), entries() as often as there are some, end(): the pieces of the file, in order.
class SnapshotEncoder {
 public:
  std::string begin(const SnapshotHeader& header);
  // In the order of their keys. All together shorter than kMaxSnapshotFrame.
  std::string entries(const std::vector<EntryPtr>& entries);
  std::string end();

 private:
  std::string framed(std::uint32_t kind, std::string_view payload);

  Sha256 digest_;
  std::uint64_t count_ = 0;
};

struct SnapshotSummary {
  SnapshotHeader header;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // of the file
  std::string state_hash;   // hexadecimal; of the entries (StateDigest)
};

// The hash of a state: of all live entries in the order of their keys. Members agree on it at every revision.
class StateDigest {
 public:
  void add(const Entry& entry);
  std::uint64_t entries() const { return count_; }
  std::string finish();  // hexadecimal; once, last

 private:
  Sha256 digest_;
  std::string scratch_;
  std::uint64_t count_ = 0;
};

// Takes the file in pieces of any size and holds at most a frame. What it hands out is as it was put in as
// far as checksums can tell; that the file is whole is only known when finish() says so.
class SnapshotDecoder {
 public:
  struct Visitor {
    std::function<Result<void>(const SnapshotHeader&)> header;  // first, once
    std::function<Result<void>(EntryPtr)> entry;                // in the order of the keys
  };
  explicit SnapshotDecoder(Visitor visitor) : visitor_(std::move(visitor)) {}

  // kCorruption: damaged, and the message says where; kInvalidArgument: not a snapshot, or of a newer
  // release; or what the visitor said. After an error every call gives that error.
  Result<void> feed(std::string_view bytes);
  Result<SnapshotSummary> finish();  // the file ends here

  std::uint64_t bytes() const { return taken_ + buffer_.size(); }
  std::uint64_t entries() const { return count_; }

 private:
  enum class Expect { kMagic, kHeader, kEntries, kNothing };

  Result<bool> step(std::string_view rest, std::size_t* used);
  Result<void> frame(std::uint32_t kind, std::string_view whole, std::string_view payload);
  Result<void> read_header(std::string_view payload);
  Result<void> read_entries(std::string_view payload);
  Result<void> read_trailer(std::string_view payload);
  Error damaged(const std::string& what) const;

  const Visitor visitor_;
  Expect expect_ = Expect::kMagic;
  Result<void> outcome_;
  std::string buffer_;       // not taken yet
  std::uint64_t taken_ = 0;  // bytes of the file before buffer_
  SnapshotHeader header_;
  Sha256 digest_;
  StateDigest state_;
  std::uint64_t count_ = 0;
  std::string last_key_;
};

}  // namespace coxswain::store
