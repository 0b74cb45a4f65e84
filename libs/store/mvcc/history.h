// Versions and events in the engine: what a restart loads, what reads of old revisions and late watchers
// use, and what compaction removes. The row formats are in docs/store.md. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "libs/store/engine/engine.h"
#include "libs/store/mvcc/checks.h"
#include "libs/store/mvcc/state.h"
#include "libs/store/raft/configuration.h"

namespace coxswain::store {

// Where the state in the engine is; written in one batch with the rows it speaks of.
struct Applied {
  std::uint64_t index = 0;            // of the last log entry that is in...
  std::uint64_t term = 0;             // ...and its term
  raft::Configuration configuration;  // of the last change up to there; nobody: there was none
  Revision revision = 0;
  Revision compacted = 0;
  Sessions sessions;
  Checks checks;
  // Of all current entries. None: not known, as nobody has looked at them since they were changed by hand.
  std::optional<StateHash> content;
  Revision swept = 0;  // superseded rows up to here are physically gone; <= compacted

  // Of what is the same on every member that is there. Without the members and the checks: whoever gets the
  // whole log learns them late. Only when `content` is known.
  StateHash digest() const;
};

class History {
 public:
  explicit History(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}

  static void record(const std::vector<EventPtr>& events, EngineBatch* batch);
  static void record_applied(const Applied& applied, EngineBatch* batch);

  // One row of Family::kVersions, for copies of a state. An entry of version 0 is a tombstone.
  static EngineWrite version_row(const Entry& entry);
  static Result<EntryPtr> read_version_row(std::string_view key, std::string_view value);  // kCorruption

  // A state that was copied from another member says so, until the log fits it.
  static void record_copied(bool copied, EngineBatch* batch);
  Result<bool> copied() const;

  // Adds a version row to the hash of the current entries, if it is the newest of its key; rows come in the
  // order of their keys, `last` is the key of the one before. kCorruption.
  static Result<void> add_version(std::string_view row, std::string_view value, std::string* last,
                                  StateHash* content);

  // A member that must not serve this state any more says why; for good. Empty: nothing is known to be wrong.
  static void record_refusal(const std::string& reason, EngineBatch* batch);
  Result<std::string> refusal() const;

  Result<Applied> applied() const;
  // Fills `state` with the current versions, which must be those that were stored. Errors: kCorruption (with
  // what to do), kIo.
  Result<Applied> load(State* state) const;

  // While the engine lacks what it had before, reads of the past are refused: kUnavailable. Node's thread.
  void set_whole(bool whole);

  // `revision` must be retained: the caller checks before and, as a sweep may run, after.
  Result<EntryPtr> get(std::string_view key, Revision revision) const;  // null: absent then
  Result<void> range(const RangeRequest& request, RangeResult* result) const;

  struct Page {
    std::vector<EventPtr> events;  // matching, whole transactions
    Revision upto = 0;             // every event up to here was looked at
  };
  Result<Page> events(Revision after, std::string_view prefix, std::size_t max_events,
                      std::size_t max_scan) const;

  // Deletes what events in (from, to] superseded, looking at no more than about `max_events` of them;
  // returns how far it came.
  Result<Revision> sweep(Revision from, Revision to, std::size_t max_events, EngineBatch* batch) const;

 private:
  Result<EntryPtr> version(std::string_view key, Revision revision) const;
  Result<Page> read_events(Revision after, std::string_view prefix, std::size_t max_events,
                           std::size_t max_scan) const;

  // Reads that overlap with a rebuild saw who knows what.
  bool is_whole(std::uint64_t began) const { return began % 2 == 0 && rebuilds_ == began; }
  static Error not_whole();

  const std::shared_ptr<Engine> engine_;
  std::atomic<std::uint64_t> rebuilds_{0};  // odd: one is under way
};

}  // namespace coxswain::store
