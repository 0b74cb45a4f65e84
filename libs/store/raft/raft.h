// Raft as a deterministic state machine: messages, ticks and proposals in, a Ready out. No clock, thread,
// disk, socket or log; the same calls in the same order give the same answers. One thread at a time.
//
// The caller's loop, for each Ready (one at a time):
//   1. send `messages`; they may overtake the disk
//   2. store `snapshot`, then `hard_state`, then `entries` (whatever was stored from entries[0].index on is
//      replaced); durably when `must_sync`. A crash may leave any prefix of that
//   3. send `after_persist`
//   4. apply `committed` in order; answer `reads` as soon as their index is applied
//   5. advance(ready)
// A configuration entry takes effect in advance(). Whoever stores "applied up to" must store the
// configuration of the last such entry with it, and give both back after a restart.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "libs/store/raft/log.h"
#include "libs/store/raft/progress.h"

namespace coxswain::store::raft {

struct Options {
  MemberId id = kNobody;
  int election_ticks = 10;        // a time-out is drawn from [election_ticks,
  int election_spread_ticks = 0;  // election_ticks + this); 0: as much again
  int heartbeat_ticks = 1;
  std::uint64_t seed = 0;  // of the election time-outs
  FlowLimits flow;
  std::size_t max_message_bytes = 1u << 20;
  std::size_t max_apply_bytes = 8u << 20;          // handed out with one Ready
  std::size_t max_uncommitted_bytes = 256u << 20;  // proposed here, not committed yet
  std::size_t max_waiting_reads = 4096;
};

// What the node knows when it starts.
struct Start {
  HardState hard_state;
  Index applied = 0;
  Configuration configuration;  // as of `applied`
};

struct Ready {
  std::optional<HardState> hard_state;
  std::vector<Entry> entries;
  std::optional<Snapshot> snapshot;
  std::vector<Message> messages;
  std::vector<Message> after_persist;
  std::vector<Entry> committed;
  std::vector<ReadState> reads;
  bool must_sync = false;
};

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
enum class Outcome : std::uint8_t {
  kAccepted,
  kNotLeader,   // leader() may know who is
  kBusy,        // a bound is reached, or leadership is being handed over: retry
  kNotAllowed,  // a change while one is in flight, a transfer to somebody without a vote
};

class Raft {
 public:
  // `stored` outlives this.
  Raft(Options options, const LogReader& stored, Start start);

  void tick();
  void step(Message message);

  // All or nothing. They get the indexes last_index() - n + 1 .. last_index(); whether they are committed
  // shows in `committed`: under the term of now, or something else at that index.
  Outcome propose(std::vector<Payload> payloads);
  // `target` from plan_change() of configuration().
  Outcome propose_configuration(const Configuration& target);
  // A ReadState with this context follows, or never: retry with a fresh context. Contexts are the caller's
  // own.
  Outcome read_index(std::uint64_t context);
  Outcome transfer_leadership(MemberId to);
  void campaign();  // without waiting for the time-out

  // From the node. The first: a connection with that member broke, or none can be had. If it leads, a
  // follower need not wait until it has been silent for an election time-out (on_lost_leader()).
  void report_unreachable(MemberId id);
  void report_snapshot(MemberId id, bool arrived);

  bool has_ready() const;
  Ready ready();
  void advance(const Ready& ready);

  MemberId id() const { return options_.id; }
  Role role() const { return role_; }
  Term term() const { return term_; }
  MemberId leader() const { return leader_; }
  Index last_index() const { return log_.last(); }
  Index committed() const { return log_.committed(); }
  Index applied() const { return log_.applied(); }
  const Configuration& configuration() const { return configuration_; }
  const std::map<MemberId, Progress>& progress() const { return progress_; }  // the leader's
  const Log& log() const { return log_; }
  Index needed_by_others() const;  // the leader's: those who take a state of it need the log from here on
  // True: the log lacks what this member once said it has. It must not go on.
  bool forgot() const { return forgot_; }

 private:
  struct PendingRead {
    std::uint64_t context = 0;
    MemberId from = kNobody;  // who asked, and with which context
    std::uint64_t from_context = 0;
    Index index = 0;
    std::set<MemberId> acks;
  };

  // raft.cc
  void become_follower(Term term, MemberId leader);
  void become_leader();
  void reset(Term term);
  void send(Message message);
  HardState hard_state() const;
  bool identity_changed() const { return term_ != persisted_.term || vote_ != persisted_.vote; }
  bool step_term(const Message& message);
  void step_leader(const Message& message);
  void step_candidate(const Message& message);
  void step_follower(const Message& message);
  std::uint64_t random();

  // election.cc
  void start_election(Role role, bool transfer);
  bool promotable() const;
  void handle_vote(const Message& message);
  void handle_vote_reply(const Message& message);
  void hurry();
  void on_lost_leader();
  void tell_commit(Message* message) const;
  void learn_commit(const Message& message);
  void check_quorum();

  // replication.cc
  void append(std::vector<Entry> entries);
  void broadcast_append();
  bool send_append(MemberId to, bool even_if_empty);
  bool send_snapshot(MemberId to, Progress* progress);
  void send_heartbeat(MemberId to, std::uint64_t context);
  void broadcast_heartbeat();
  void fill(MemberId to);
  bool maybe_commit();
  void handle_append(const Message& message);
  void handle_append_reply(const Message& message);
  void handle_heartbeat(const Message& message);
  void handle_heartbeat_reply(const Message& message);
  void handle_snapshot(const Message& message);

  // reads.cc
  bool committed_in_own_term() const;
  void start_read(MemberId from, std::uint64_t context);
  void answer_read(const PendingRead& read);
  void acknowledge_read(MemberId from, std::uint64_t context);
  void start_postponed_reads();
  std::uint64_t last_read_context() const { return reads_.empty() ? 0 : reads_.back().context; }

  // membership.cc
  void switch_configuration(const Configuration& next);
  void leave_joint_when_applied();
  void sync_progress();

  const Options options_;
  Log log_;
  Configuration configuration_;

  Term term_ = 0;
  MemberId vote_ = kNobody;
  MemberId leader_ = kNobody;
  Role role_ = Role::kFollower;
  HardState offered_;    // with the last Ready
  HardState persisted_;  // as far as this knows
  std::uint64_t random_;

  int election_elapsed_ = 0;
  int heartbeat_elapsed_ = 0;
  int election_timeout_ = 0;
  std::map<MemberId, bool> votes_;  // a candidate's
  bool forgot_ = false;

  // The leader's.
  std::map<MemberId, Progress> progress_;  // of everybody else
  MemberId transferee_ = kNobody;
  Index pending_change_ = 0;  // no other change before this is applied
  std::size_t uncommitted_bytes_ = 0;
  std::deque<PendingRead> reads_;  // waiting for a quorum, oldest first
  std::vector<std::pair<MemberId, std::uint64_t>>
      postponed_reads_;  // until something of this term is committed
  std::uint64_t read_round_ = 0;

  // Out with the next Ready.
  std::vector<Message> messages_;
  std::vector<ReadState> read_states_;
};

}  // namespace coxswain::store::raft
