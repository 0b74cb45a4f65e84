// The write-ahead log: append-only, checksummed, in preallocated segment files. The only thing that makes
// a commit durable. Format and recovery rules: docs/store.md.
//
// One thread. After kIo from append() or sync() the log must not be used any more: what is on disk is not
// known (fsyncgate: a failed fsync that is repeated may lie).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/store/env/env.h"

namespace coxswain::store {

class Wal {
 public:
  struct Options {
    std::string dir;  // exists
    std::size_t segment_bytes = 16u << 20;
    std::uint64_t applied = 0;  // the state has everything up to this entry durably
  };
  using Replay = std::function<Result<void>(std::uint64_t index, std::string_view payload)>;

  // Calls `replay` for every entry after `applied`, in order; all are durable by then. An incomplete group
  // at the end (a crash before its sync) is cut off. kCorruption: an entry that was committed is damaged
  // or missing; nothing is changed on disk.
  static Result<std::unique_ptr<Wal>> open(Env& env, Options options, const Replay& replay);

  // Appends one group and gives its entries the next indexes. kResourceExhausted: no space; the log is
  // durably as before. kIo: stop.
  Result<void> append(const std::vector<std::string_view>& payloads);
  Result<void> sync();
  // After kResourceExhausted: is there room now for what was refused? kIo: stop.
  Result<void> make_room();

  // Reads the synced entries after `index` again. kCorruption, kIo.
  Result<void> read(std::uint64_t index, const Replay& replay);

  // Removes the segments that hold nothing after `index`.
  Result<void> truncate_prefix(std::uint64_t index);

  std::uint64_t last_index() const { return last_; }
  std::uint64_t appended_bytes() const { return appended_bytes_; }  // since it was opened
  std::uint64_t disk_bytes() const { return segments_.size() * options_.segment_bytes; }

 private:
  struct Segment {
    std::uint64_t first = 0;
    std::string path;
  };

  Wal(Env& env, Options options) : env_(env), options_(std::move(options)) {}
  Result<void> recover(const Replay& replay);
  Result<void> recover_segment(std::size_t i, const Replay& replay);
  Result<void> find_segments();
  Result<void> drop_unfinished_segment();
  Result<void> cut_tail(const std::string& bytes, std::size_t at);
  Result<void> roll(std::size_t need);
  Result<void> start_segment(const Segment& segment, std::size_t size);
  Result<void> undo_append();
  Error damaged(const std::string& where, const std::string& what) const;

  Env& env_;
  const Options options_;
  std::vector<Segment> segments_;  // by first index; the last one is open
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;    // where the next record goes
  std::uint64_t capacity_ = 0;  // the size of the open segment
  std::uint64_t last_ = 0;      // index of the last entry
  std::uint64_t durable_ = 0;   // ... that is synced
  std::uint64_t appended_bytes_ = 0;
  std::size_t refused_bytes_ = 0;
};

}  // namespace coxswain::store
