// A log of records, each with the next number: append-only, checksummed, in preallocated segment files. The
// only thing that makes a commit durable. What is in the records is raft_log.h's business. Format and
// recovery rules: docs/store.md.
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
    bool may_be_new = true;  // else a log without any segment is kCorruption
  };
  // A record in two parts, written one behind the other.
  struct Piece {
    std::string_view head;
    std::string_view body;
  };
  using Replay = std::function<Result<void>(std::uint64_t number, std::string_view payload)>;

  // Calls `replay` for every record, in order; all are durable by then. An incomplete group at the end (a
  // crash before its sync) is cut off. kCorruption: a record that was synced is damaged or missing; nothing
  // is changed on disk.
  static Result<std::unique_ptr<Wal>> open(Env& env, Options options, const Replay& replay);

  // Room for a group of so many bytes (record_bytes() of each): a new segment when the open one is too short.
  // Ends with kResourceExhausted when there is no space; nothing happened. kIo: stop.
  Result<void> reserve(std::size_t bytes);
  // Appends one group, for which there is room, and gives its records the next numbers. kResourceExhausted:
  // no space, on file systems that do not keep what was reserved; the log is durably as before. kIo: stop.
  Result<void> append(const std::vector<Piece>& group);
  // Only now, by whoever appended it, does the group count. kIo: stop.
  Result<void> sync();

  // Reads synced records from `number` on, until `more` says false. kCorruption, kIo.
  Result<void> read(std::uint64_t number,
                    const std::function<bool(std::uint64_t number, std::string_view payload)>& more);

  // Removes the segments that hold nothing after `number`. The last one stays.
  Result<void> truncate_prefix(std::uint64_t number);

  std::uint64_t first_number() const { return segments_.front().first; }
  std::uint64_t last_number() const { return last_; }
  bool segment_is_empty() const;                                    // the open one
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
  Result<void> read_segment(std::size_t i, std::uint64_t* number,
                            const std::function<bool(std::uint64_t, std::string_view)>& more, bool* stopped);
  Result<void> roll(std::size_t need);
  Result<void> grow_segment(std::size_t size);
  Result<void> start_segment(const Segment& segment, std::size_t size);
  Result<void> undo_append();
  Error damaged(const std::string& where, const std::string& what) const;

  Env& env_;
  const Options options_;
  std::vector<Segment> segments_;  // by first index; the last one is open
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;    // where the next record goes
  std::uint64_t capacity_ = 0;  // the size of the open segment
  std::uint64_t last_ = 0;      // the last record
  std::uint64_t durable_ = 0;   // ... that is synced
  std::uint64_t appended_bytes_ = 0;
  std::string group_;  // as it is written; kept, because fresh memory for each group costs page faults
};

}  // namespace coxswain::store
