// One member of the group, driven by calls: it takes proposals, messages and ticks, writes its log, applies
// what is committed and answers, and keeps its house (room on the disk, compaction, the length of the log).
// It has no thread, lock or clock of its own, so that the simulation runs the very code that the node
// (node.h) runs.
//
// A failed write or fsync of the log stops the member for good; a full disk makes it read-only until there is
// room. Its state can be read in both cases.
//
// Threads: one at a time, which may be any; state(), hub() and history() are for all.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "libs/store/engine/engine.h"
#include "libs/store/env/env.h"
#include "libs/store/log/raft_log.h"
#include "libs/store/mvcc/copied_state.h"
#include "libs/store/mvcc/history.h"
#include "libs/store/mvcc/scrub.h"
#include "libs/store/mvcc/state.h"
#include "libs/store/open.h"
#include "libs/store/raft/raft.h"
#include "libs/store/watch/hub.h"

namespace coxswain::store {

enum class Health { kServing, kReadOnly, kStopped };

struct MemberOptions {
  raft::Options raft;
  raft::Configuration initial;  // of a member that has no state yet
  StoreLimits limits;
  Clock* clock = nullptr;          // required
  std::shared_ptr<Engine> engine;  // required
  Env* env = nullptr;              // null: no log, nothing is durable
  std::string log_dir;
  std::size_t log_segment_bytes = 16u << 20;
  std::size_t log_cache_bytes = 0;  // of entries, kept for members that are behind
  std::size_t checkpoint_log_bytes = 32u << 20;
  raft::Index keep_entries = 0;                    // that the state has, for members that are behind...
  std::uint64_t keep_log_bytes = 256u << 20;       // ...unless the log has more than that
  std::uint64_t keep_bytes_for_copy = 4ull << 30;  // of log, or twice the state, for who takes a state
  std::uint64_t incarnation = 0;    // of this process: no other has it, later ones have greater ones
  int patience_ticks = 100;         // whoever waits longer for a quorum is told that it may be in vain
  std::int64_t check_ms = 5000;     // members compare their states as often as that, if something happened
  std::int64_t scrub_ms = 600'000;  // between two walks through what is in memory
  std::int64_t scrub_step_ms = 10;  // at most one step of a walk in this time
  std::size_t scrub_entries = 256;  // of a step
  std::size_t scrub_bytes = 256u << 10;  // about
};

// What a member asks of whoever drives it. It is called from inside of the member's own functions and must
// not call back.
class MemberHost {
 public:
  virtual ~MemberHost() = default;
  virtual void send(raft::Message message) = 0;  // may be lost, late, doubled
  // Flush the engine, in whatever thread, then call flushed(). Never asked twice at a time.
  virtual void flush_engine() = 0;
  virtual void health_changed(Health health, const std::string& reason) = 0;
  // What the operator should know: one line.
  virtual void noticed(const std::string& what) { (void)what; }

  // For whoever watches: entries are durable; an entry was applied; the core has moved.
  virtual void stored(const std::vector<raft::Entry>& entries) { (void)entries; }
  virtual void applied(const raft::Entry& entry, const State::Plan& plan) { (void)entry, (void)plan; }
  virtual void installed(const Applied& applied) { (void)applied; }  // a state from another member
  virtual void moved() {}
};

class Member : private raft::LogReader {
 public:
  struct Proposal {
    std::string command;  // encode_txn(), encode_compact()
    Store::TxnDone done;
  };
  using ReadDone = std::function<void(Result<void>)>;

  Member(MemberOptions options, MemberHost& host);
  ~Member() override;  // as a crash: nothing is written, nobody is told

  // Once, first: recovers what is durable. Errors as of open_local_store().
  Result<void> start();
  // In an orderly way, last: whoever waits is told, and the next start will be fast.
  void close();

  // Through whoever leads, once, however often it has to be sent. Each `done` is called once, now or later:
  // kUnavailable (this member has stopped) and kResourceExhausted (no room): nothing happened;
  // kDeadlineExceeded: not known.
  void propose(std::vector<Proposal> batch);
  // `done` is called when the state has everything that was acknowledged anywhere before this call (§6.4).
  void read_barrier(ReadDone done);
  void step(std::vector<raft::Message> messages);  // one write and fsync for all of them
  // A kSnapshot message, with the rows of the state it speaks of, from an image() of the sender's engine.
  void install(raft::Message message, std::unique_ptr<CopiedState> copy);
  // To `to`, or to whoever has most of the log: at once if this member leads, else the leader is asked to.
  void hand_over(raft::MemberId to = raft::kNobody);
  // Towards `target` (plan_change() of raft().configuration()); kNotAllowed and kBusy: later, perhaps.
  raft::Outcome change_members(const raft::Configuration& target);
  void report_unreachable(raft::MemberId id);
  void report_state(raft::MemberId id, bool arrived);  // that was sent
  void tick();
  // Makes all members compare their states, now; what comes of it will be in applied().checks. Refused as a
  // write is.
  void check_replicas(Store::TxnDone done);
  void upkeep();  // between other calls, now and then
  // Somebody who read the engine found that it is not what it says that it is: this member stops, and its
  // next start looks at all of it.
  void distrust(const std::string& what);
  bool busy() const;  // upkeep() has more to do, at once
  void flushed(Result<void> outcome);

  const State& state() const { return state_; }
  const std::shared_ptr<Hub>& hub() const { return hub_; }
  std::shared_ptr<const History> history() const { return history_; }

  Health health() const { return health_; }
  std::int64_t log_bytes() const { return static_cast<std::int64_t>(log_->disk_bytes()); }
  const raft::Raft& raft() const { return *raft_; }
  raft::Raft& control() { return *raft_; }  // for changes of members and hand-over; then turn()
  void turn();                              // does what the core has ready
  const RaftLog& log() const { return *log_; }
  const Applied& applied() const { return applied_; }
  // Why this state must not be read any more, with what to do; empty: nothing is known to be wrong. Such a
  // member refuses writes and barriers at once, and stops soon.
  const std::string& damage() const { return damage_; }

 private:
  struct Asked {
    Origin origin;
    raft::Payload bytes;
  };
  struct Pending {  // not applied here yet
    Asked asked;
    Store::TxnDone done;
    std::uint64_t since_tick = 0;
    std::uint64_t sent_tick = 0;
  };
  struct Read {
    ReadDone done;
    std::optional<raft::Index> index;  // may be answered there
    std::uint64_t since_tick = 0;
    std::uint64_t asked_tick = 0;
  };
  struct Planned {  // what an entry does
    State::Plan plan;
    std::optional<Origin> origin;
    bool repeated = false;  // it was done before: nothing
    Command::Type type = Command::Type::kTxn;
  };
  using Answers = std::vector<std::pair<Store::TxnDone, Result<TxnResult>>>;

  static constexpr std::size_t kReplayRows = 4096;  // of one write to the engine
  static constexpr std::int64_t kRetryMs = 1000;    // after the disk was full
  static constexpr std::size_t kMostPending = 65536;

  // The log, and what can be sent of the state.
  raft::Index first_index() const override { return log_->first_index(); }
  raft::Index last_index() const override { return log_->last_index(); }
  std::optional<raft::Term> term(raft::Index index) const override { return log_->term(index); }
  std::vector<raft::Entry> entries(raft::Index from, raft::Index to, std::size_t max_bytes) const override {
    return log_->entries(from, to, max_bytes);
  }
  std::vector<raft::Index> changes() const override { return log_->changes(); }
  std::optional<raft::Snapshot> snapshot() const override;

  // member.cc
  void start_raft();
  bool sole_voter() const;
  bool lead();
  Result<void> accept(const std::vector<Proposal>& batch);
  Result<void> enter(std::vector<Proposal>* batch);
  Result<void> hand_in(std::vector<Asked> commands);
  Result<void> log_commands(std::vector<Asked> commands);
  void forward(const std::vector<Asked>& commands);
  void forwarded(const raft::Message& message);
  void transfer(raft::MemberId to);
  void follow_leader();
  void send_again(bool everything);
  Result<void> drive();
  Result<void> store(const raft::Ready& ready);
  Result<void> adopt(const raft::Snapshot& snapshot);
  Result<void> log_outcome(const Result<void>& outcome);
  std::string stop_member(const Error& cause);  // returns the reason
  void apply(const raft::Ready& ready);
  void answer(const Origin& origin, State::Plan* plan, Answers* answers);
  void answer_reads();
  void answer_what_came_with_it();
  void refuse_proposals(const Error& error);
  void refuse_reads(const Error& error);
  void refuse_all();
  void give_up();
  void ask_again(bool everything);
  void step_aside();
  static Result<Planned> plan_entry(const raft::Entry& entry, const State& state, Applied* applied);
  void store_applied();
  void set_health(Health health, std::string reason);

  // replica_check.cc
  bool damaged() const { return !damage_.empty(); }
  void note_entry(const Planned& planned);
  void compare_states();
  void begin_check();
  void report_checks();
  void scrub();
  void raise_alarm();
  void set_damage(std::string reason);
  void set_different(raft::Index check);
  void leave_when_marked();

  // upkeep.cc
  void recover_space();
  Result<void> rebuild_engine();
  void compact_by_age();
  void sweep();
  void checkpoint();
  raft::Index needed_by_others() const;

  const MemberOptions options_;
  MemberHost& host_;
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<History> history_;
  State state_;
  std::unique_ptr<RaftLog> log_;
  std::unique_ptr<raft::Raft> raft_;  // reads log_ through this
  std::unique_ptr<EngineCopy> incoming_;

  std::map<std::uint64_t, Pending> proposals_;  // by number
  std::uint64_t incarnation_ = 0;
  std::uint64_t next_proposal_ = 1;
  std::pair<raft::Term, raft::MemberId> heard_;  // who led: another one is asked everything
  // The leader's: what it has put into its log in this term and not applied, so that it is there once.
  raft::Term logged_term_ = 0;
  std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>> logged_;
  std::map<std::uint64_t, Read> reads_;
  std::uint64_t next_read_ = 1;
  std::uint64_t ticks_ = 0;
  std::uint64_t aside_tick_ = 0;   // not before, step_aside()
  std::size_t refused_bytes_ = 0;  // what the last group needed

  Applied applied_;
  bool copied_ = false;             // the engine says so
  EngineBatch unstored_;            // applied, not yet in the engine
  std::uint64_t stored_index_ = 0;  // the last entry that is in the engine
  std::uint64_t flush_index_ = 0;   // what a flush that was asked for will have; 0: none is
  bool behind_ = false;  // the engine failed; it gets what it lacks from the log, by rebuild_engine()
  std::uint64_t checkpoint_at_bytes_ = 0;
  std::int64_t retry_at_ms_ = 0;
  std::int64_t sample_at_ms_ = 0;  // when...
  Revision sample_revision_ = 0;   // ...the store was here

  // What this member had at the checks that it saw, and whether it has said so.
  struct OwnCheck {
    StateHash hash;
    bool reported = false;
  };
  std::map<raft::Index, OwnCheck> own_checks_;
  std::int64_t check_at_ms_ = 0;
  std::int64_t scrub_at_ms_ = 0;
  Scrub scrub_;
  bool alarmed_ = false;         // something is wrong somewhere, and was told...
  std::size_t told_marked_ = 0;  // ...with so many members that differ
  std::string damage_;
  std::uint64_t damage_tick_ = 0;

  Health health_ = Health::kServing;
  std::string reason_;
#ifdef COXSWAIN_MUTANTS
  EngineBatch late_;  // rows that a planted bug holds back
#endif
};

}  // namespace coxswain::store
