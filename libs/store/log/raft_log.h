// The Raft log on disk: entries, votes and terms as records of the Wal, and what the core reads of them.
//
// A record is one of (numbers are varints):
//   mark  := 1 term vote commit index entry-term   the state of the log at the start of a segment: the hard
//   state, and
//                                                  the last entry before
//   hard  := 2 term vote commit                    a new hard state
//   entry := 3 index term kind data                replaces everything from `index` on
//   begin := 4 term vote commit index entry-term   nothing before counts any more: the state came from
//   elsewhere
// An entry of a lower index than the last one cuts the log there: nothing is ever overwritten on disk.
//
// One thread. Errors are the Wal's: after kIo the log must not be used any more.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/store/log/wal.h"
#include "libs/store/raft/log.h"

namespace coxswain::store {

class RaftLog : public raft::LogReader {
 public:
  struct Options {
    Env* env = nullptr;  // null: in memory only
    std::string dir;     // exists
    std::size_t segment_bytes = 16u << 20;
    std::size_t cache_bytes = 4u << 20;  // of entries that need not be read from disk again
  };
  // What the state has, durably: the log may begin there.
  struct Origin {
    raft::Index index = 0;
    raft::Term term = 0;
    raft::HardState hard_state;  // of a log that does not exist yet
    bool copied = false;         // from another member: the log, if it does not fit, begins anew
  };

  // kCorruption: damaged, or it does not reach the origin. Nothing is changed on disk then.
  static Result<std::unique_ptr<RaftLog>> open(Options options, const Origin& origin);

  const raft::HardState& hard_state() const { return hard_state_; }

  // How many bytes append() needs at most.
  static std::size_t bytes_for(std::size_t entries, std::size_t payload_bytes);
  // Room for so many. kResourceExhausted: there is none, and nothing happened.
  Result<void> reserve(std::size_t bytes);
  // kResourceExhausted only where reservations are not kept: nothing happened.
  Result<void> append(const std::optional<raft::HardState>& hard_state,
                      const std::vector<raft::Entry>& entries);
  Result<void> sync();
  // Begins anew behind an entry that the state has, durably. There is room for bytes_for(1, 0).
  Result<void> restart(raft::Index index, raft::Term term);

  // The state has everything up to `index`, durably: older segments may go.
  Result<void> truncate_prefix(raft::Index index);
  // Nobody here needs entries up to `index` any more; what is not cached is read from disk.
  void forget(raft::Index index);

  std::uint64_t appended_bytes() const { return wal_ == nullptr ? 0 : wal_->appended_bytes(); }
  std::uint64_t disk_bytes() const { return wal_ == nullptr ? 0 : wal_->disk_bytes(); }

  raft::Index first_index() const override { return base_ + 1; }
  raft::Index last_index() const override { return last_; }
  std::optional<raft::Term> term(raft::Index index) const override;
  std::vector<raft::Entry> entries(raft::Index from, raft::Index to, std::size_t max_bytes) const override;
  std::vector<raft::Index> changes() const override { return changes_; }
  std::optional<raft::Snapshot> snapshot() const override { return std::nullopt; }

 private:
  struct Run {  // entries from `first` on have this term, and the records number + 0, 1, 2, ...
    raft::Index first = 0;
    raft::Term term = 0;
    std::uint64_t number = 0;
  };

  explicit RaftLog(Options options) : options_(std::move(options)) {}
  Result<void> recover(const Origin& origin);
  Result<void> replay(std::uint64_t number, std::string_view payload);
  Result<void> replay_entry(std::uint64_t number, raft::Entry entry);
  void add(const raft::Entry& entry, std::uint64_t number);
  void cut(raft::Index from);
  void begin(raft::Index index, std::optional<raft::Term> term);
  std::string mark() const;
  const Run* run_of(raft::Index index) const;
  std::uint64_t number_of(raft::Index index) const;
  void trim_cache();
  Error damaged(const std::string& what) const;

  const Options options_;
  std::unique_ptr<Wal> wal_;
  raft::HardState hard_state_;
  raft::Index base_ = 0;  // the entry before the first one
  std::optional<raft::Term> base_term_ = 0;
  raft::Index last_ = 0;
  bool has_mark_ = false;  // the first record there ever was
  std::deque<Run> runs_;
  std::deque<raft::Entry> cache_;  // the newest ones, without a gap, up to last_
  std::size_t cache_bytes_ = 0;
  raft::Index needed_ = 0;  // entries behind this one stay cached
  std::vector<raft::Index> changes_;
};

}  // namespace coxswain::store
