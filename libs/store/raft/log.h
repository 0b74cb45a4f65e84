// The core's view of the log: what the node has stored, read through LogReader, and behind it the entries
// that are not durable yet. Positions: 1 <= first..applied <= committed <= last; durable <= last.
#pragma once

#include <deque>
#include <limits>
#include <optional>
#include <vector>

#include "libs/store/raft/types.h"

namespace coxswain::store::raft {

// What the node has stored, as of the last Ready that was advanced. The core only reads it.
class LogReader {
 public:
  virtual ~LogReader() = default;
  virtual Index first_index() const = 0;  // the oldest entry there; last_index() + 1 when there is none
  virtual Index last_index() const = 0;
  // For first_index() - 1 .. last_index(); nothing: it is gone.
  virtual std::optional<Term> term(Index index) const = 0;
  // From `from` on, before `to`: as many as fit into max_bytes, but one at least. Empty: they cannot be read.
  virtual std::vector<Entry> entries(Index from, Index to, std::size_t max_bytes) const = 0;
  virtual std::vector<Index> changes() const = 0;  // which of them are of a configuration, in order
  // The newest state that can be sent to a follower. Nothing: not now, ask again.
  virtual std::optional<Snapshot> snapshot() const = 0;
};

inline constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

class Log {
 public:
  Log(const LogReader& stored, Index applied, Index committed);

  Index first() const;
  Index last() const;
  Index committed() const { return committed_; }
  Index applied() const { return applied_; }
  Index durable() const { return durable_; }
  // Of the configuration entries that are not applied yet, the first one is committed.
  bool change_unapplied() const { return !changes_.empty() && changes_.front() <= committed_; }
  Term last_term() const;
  std::optional<Term> term(Index index) const;
  bool matches(Index index, Term term) const { return this->term(index) == term; }
  // §3.6.1: may a candidate whose log ends like this lead?
  bool up_to_date(Index index, Term term) const;
  std::vector<Entry> entries(Index from, Index to, std::size_t max_bytes) const;

  // The leader's own.
  void append(std::vector<Entry> entries);
  // A follower's: only what is missing or differs is taken; the last index of `entries`, or of `after` when
  // there are none. `after` matches.
  Index merge(Index after, const std::vector<Entry>& entries);
  // The last index <= `index` whose term is <= `term`: where a probe may go on.
  Index last_not_after(Index index, Term term) const;

  std::optional<Snapshot> newest_snapshot() const;

  void commit_to(Index index);
  void restore(const Snapshot& snapshot);

  // What the node must make durable, and what it may apply once that is done.
  const std::vector<Entry>& unstable() const { return unstable_; }
  const std::optional<Snapshot>& unstable_snapshot() const { return snapshot_; }
  std::vector<Entry> next_committed(std::size_t max_bytes) const;
  bool has_next_committed() const { return applied_ < committed_; }
  // Entries up to `index`, which has `term`, are durable. Entries that were replaced meanwhile are not.
  void persisted(Index index, Term term);
  void snapshot_persisted(Index index);
  void applied_to(Index index);

 private:
  void note_change(Index index);

  const LogReader& stored_;
  std::optional<Snapshot> snapshot_;  // received, not stored yet; unstable_ follows it
  std::vector<Entry> unstable_;
  Index applied_;
  Index committed_;
  Index durable_;
  std::deque<Index> changes_;  // configuration entries after applied_
};

}  // namespace coxswain::store::raft
