// What must hold at every step of a run, whatever was broken on the way, and of the history that clients saw.
// The first violation ends the run: fail() throws Violation, which the program prints with the seed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "libs/store/raft/raft.h"
#include "libs/store/store.h"

namespace coxswain::simulation {

namespace raft = store::raft;

class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One request of a client, from the moment it was sent.
struct Operation {
  enum class Kind { kPut, kCompareAndPut, kDelete, kRead };
  enum class State { kOpen, kDone, kFailed, kUnknown };  // kFailed: it surely did not happen
  Kind kind = Kind::kPut;
  State state = State::kOpen;
  std::string key;
  std::string value;                // written, or read
  std::vector<std::string> others;  // written in the same transaction, each with value_of_other()
  std::int64_t began = 0;           // microseconds of the run
  std::int64_t ended = 0;
  store::Revision revision = 0;  // of the commit, or of the state that was seen
  bool wrote = false;            // a compare may refuse
};

std::string value_of_other(const Operation& op, std::size_t i);

class Checker {
 public:
  // Election safety and leader completeness (figure 3 of the paper).
  void on_leader(const raft::Raft& leader);
  // Log matching: an entry became durable somewhere.
  void on_stored(const raft::Entry& entry, raft::Term term_before);
  // A leader counts an entry as committed: `holders` have it on disk.
  void on_commit(const raft::Raft& leader, const raft::Configuration& before, raft::Index index,
                 const std::vector<raft::MemberId>& holders);
  // State-machine safety: everybody applies the same, and gets the same.
  void on_applied(const raft::Raft& member, const raft::Entry& entry, std::uint64_t state_hash);
  // A member starts from what it has stored, or from what another one had.
  void on_state(raft::MemberId member, raft::Index applied, std::uint64_t state_hash) const;
  void on_write(const std::vector<std::shared_ptr<const store::Event>>& events);  // of one revision
  void on_leader_cut_off(raft::MemberId member, std::int64_t for_ms);

  // Something of a member is damaged on purpose. Nobody else's may be found to be.
  void on_damage(raft::MemberId member) { damaged_.insert(member); }
  void on_distrust(raft::MemberId member, const std::string& why) const;
  void on_alarm(const std::string& what) const;

  // Linearizability of what is known, in full: every operation that was answered has a revision, so there is
  // one order to check and nothing to guess. Operations with unknown outcome may or may not be in it.
  void check_history(const std::vector<Operation>& operations) const;

  // What a watcher of `prefix` got, who had everything up to `position`: ordered, once, nothing skipped.
  void check_watch(const std::string& prefix, store::Revision position, const store::WatchBatch& batch) const;
  // What a member says of an old revision.
  void check_history_read(const std::string& key, store::Revision revision,
                          const store::EntryPtr& found) const;

  raft::Index last_applied() const { return applied_.empty() ? 0 : applied_.rbegin()->first; }

 private:
  struct Applied {
    raft::Term term = 0;
    raft::Term committed_in = 0;  // or earlier: the least term in which somebody applied it
    std::uint64_t payload_hash = 0;
    std::uint64_t state_hash = 0;
  };
  struct Write;
  static Write write_of(const store::Event& event);
  void check_written(const Operation& op) const;
  std::optional<std::string> value_at(const std::string& key, store::Revision revision) const;

  std::map<raft::Term, raft::MemberId> leaders_;
  std::map<std::pair<raft::Term, raft::Index>, std::pair<std::uint64_t, raft::Term>> stored_;
  std::map<raft::Index, Applied> applied_;
  struct Write {
    std::string key;
    std::string value;  // of a deletion: its last words
    bool deleted = false;
    bool operator==(const Write&) const = default;
  };
  std::map<store::Revision, std::vector<Write>> writes_;  // the one true history
  std::set<std::string> values_;                          // every one is written by one operation
  std::set<raft::MemberId> damaged_;
};

std::string describe(const raft::Configuration& configuration);  // [voters|outgoing|learners]
[[noreturn]] void fail(const std::string& invariant, const std::string& what);
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed = 0xcbf29ce484222325ULL);

}  // namespace coxswain::simulation
