#include "libs/store/raft/raft.h"

#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store::raft {

Raft::Raft(Options options, const LogReader& stored, Start start)
    : options_(options),
      log_(stored, start.applied, start.hard_state.commit),
      configuration_(std::move(start.configuration)),
      persisted_(start.hard_state),
      random_(options.seed ^ options.id * 0x9e3779b97f4a7c15ULL) {
  COX_CHECK(options_.id != kNobody && options_.heartbeat_ticks > 0 &&
            options_.election_ticks > options_.heartbeat_ticks);
  COX_CHECK(log_.last_term() <= start.hard_state.term);
  become_follower(start.hard_state.term, kNobody);
  vote_ = start.hard_state.vote;
}

// splitmix64
std::uint64_t Raft::random() {
  std::uint64_t z = random_ += 0x9e3779b97f4a7c15ULL;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
  return z ^ z >> 31;
}

void Raft::reset(Term term) {
  COX_CHECK(term >= term_);
  if (term != term_) {
    term_ = term;
    vote_ = kNobody;
  }
  leader_ = kNobody;
  election_elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  const int spread =
      options_.election_spread_ticks > 0 ? options_.election_spread_ticks : options_.election_ticks;
  election_timeout_ = options_.election_ticks + static_cast<int>(random() % static_cast<unsigned>(spread));
  votes_.clear();
  progress_.clear();
  transferee_ = kNobody;
  pending_change_ = 0;
  uncommitted_bytes_ = 0;
  reads_.clear();
  postponed_reads_.clear();
}

void Raft::become_follower(Term term, MemberId leader) {
  reset(term);
  role_ = Role::kFollower;
  leader_ = leader;
}

void Raft::become_leader() {
  COX_CHECK(role_ == Role::kCandidate);
  reset(term_);
  role_ = Role::kLeader;
  leader_ = options_.id;
  sync_progress();
  // There may be a change among the entries of before: none may be proposed until they are applied.
  pending_change_ = log_.last();
  // §6.4, §5.4.2 of the paper: nothing of before is committed, and nothing read, until this is.
  append({Entry{}});
  broadcast_append();
}

void Raft::tick() {
  ++election_elapsed_;
  if (role_ != Role::kLeader) {
    if (election_elapsed_ >= election_timeout_ && promotable()) {
      election_elapsed_ = 0;
      start_election(Role::kPreCandidate, false);
    } else if (election_elapsed_ >= election_timeout_ && leader_ != kNobody) {
      become_follower(term_, kNobody);  // without a vote it can do nothing else, but others should not wait
    }
    return;
  }
  if (election_elapsed_ >= options_.election_ticks) {
    election_elapsed_ = 0;
    transferee_ = kNobody;  // it had its time
    check_quorum();
    if (role_ != Role::kLeader) return;
  }
  if (++heartbeat_elapsed_ >= options_.heartbeat_ticks) {
    heartbeat_elapsed_ = 0;
    broadcast_heartbeat();
  }
}

void Raft::send(Message message) {
  message.from = options_.id;
  // Votes carry the term that they are about.
  if (message.term == 0) message.term = term_;
  messages_.push_back(std::move(message));
}

void Raft::step(Message message) {
  if (message.to != options_.id || message.from == options_.id || !step_term(message)) return;
  const bool question = message.kind == MessageKind::kVote || message.kind == MessageKind::kPreVote;
  if (question || message.kind == MessageKind::kVoteReply || message.kind == MessageKind::kPreVoteReply)
    learn_commit(message);
  if (question) return handle_vote(message);
  switch (role_) {
    case Role::kLeader:
      return step_leader(message);
    case Role::kPreCandidate:
    case Role::kCandidate:
      return step_candidate(message);
    case Role::kFollower:
      return step_follower(message);
  }
}

// §3.3, §4.2.3, §9.6. False: the message ends here.
bool Raft::step_term(const Message& m) {
  const bool question = m.kind == MessageKind::kVote || m.kind == MessageKind::kPreVote;
  const bool from_leader =
      m.kind == MessageKind::kAppend || m.kind == MessageKind::kHeartbeat || m.kind == MessageKind::kSnapshot;
  if (m.term > term_) {
    if (question && !m.transfer && leader_ != kNobody && election_elapsed_ < options_.election_ticks) {
      return false;  // stickiness: there is a leader, and it was heard of lately
    }
    if (m.kind == MessageKind::kPreVote || (m.kind == MessageKind::kPreVoteReply && !m.reject)) return true;
    if (planted(Mutant::kLeaderIgnoresHigherTerm) && role_ == Role::kLeader) return false;
    become_follower(m.term, from_leader ? m.from : kNobody);
    return true;
  }
  if (m.term == term_) return true;
  // A member with a newer term that cannot win (pre-vote, stickiness) must bring an old leader to that term,
  // and a candidate that was away to its senses.
  if ((from_leader || m.kind == MessageKind::kPreVote) && !planted(Mutant::kStuckAtHigherTerm)) {
    Message reply;
    reply.kind = from_leader ? MessageKind::kAppendReply : MessageKind::kPreVoteReply;
    reply.to = m.from;
    reply.reject = true;
    send(std::move(reply));
  }
  return false;
}

void Raft::step_leader(const Message& m) {
  switch (m.kind) {
    case MessageKind::kAppendReply:
      return handle_append_reply(m);
    case MessageKind::kHeartbeatReply:
      return handle_heartbeat_reply(m);
    case MessageKind::kReadIndex:
      if (configuration_.contains(m.from)) start_read(m.from, m.context);
      return;
    case MessageKind::kAppend:
    case MessageKind::kHeartbeat:
    case MessageKind::kSnapshot:
      COX_CHECK(!"two leaders in one term");
      return;
    default:
      return;
  }
}

void Raft::step_candidate(const Message& m) {
  switch (m.kind) {
    case MessageKind::kAppend:
    case MessageKind::kHeartbeat:
    case MessageKind::kSnapshot:
      become_follower(m.term, m.from);
      return step_follower(m);
    case MessageKind::kVoteReply:
    case MessageKind::kPreVoteReply:
      return handle_vote_reply(m);
    default:
      return;
  }
}

void Raft::step_follower(const Message& m) {
  switch (m.kind) {
    case MessageKind::kAppend:
    case MessageKind::kHeartbeat:
    case MessageKind::kSnapshot:
      election_elapsed_ = 0;
      leader_ = m.from;
      if (m.kind == MessageKind::kAppend) return handle_append(m);
      return m.kind == MessageKind::kHeartbeat ? handle_heartbeat(m) : handle_snapshot(m);
    case MessageKind::kTimeoutNow:
      if (promotable()) start_election(Role::kCandidate, true);
      return;
    case MessageKind::kReadIndexReply:
      read_states_.push_back({m.context, m.index});
      return;
    default:
      return;
  }
}

// `commit` never speaks of entries that are written with it: a crash might leave it beside what they
// replaced.
HardState Raft::hard_state() const {
  Index commit = std::min(log_.committed(), log_.durable());
  if (planted(Mutant::kCommitBeforeItsEntries)) commit = log_.committed();
  return {term_, vote_, std::max(persisted_.commit, commit)};
}

bool Raft::has_ready() const {
  return !messages_.empty() || !read_states_.empty() || !log_.unstable().empty() ||
         log_.unstable_snapshot().has_value() || log_.has_next_committed() || identity_changed();
}

Ready Raft::ready() {
  Ready out;
  out.entries = log_.unstable();
  out.snapshot = log_.unstable_snapshot();
  out.committed = log_.next_committed(options_.max_apply_bytes);
  out.reads.swap(read_states_);
  const HardState now = hard_state();
  offered_ = now;
  if (now != persisted_) out.hard_state = now;
  out.must_sync = identity_changed() || !out.entries.empty() || out.snapshot.has_value();
  if (out.hard_state.has_value() && planted(Mutant::kVoteNotPersisted)) out.hard_state->vote = kNobody;
  if (out.hard_state.has_value() && planted(Mutant::kTermNotPersisted)) out.hard_state->term = 0;
  // A leader's messages promise nothing about its own disk, once its term is on it (§10.2.1).
  const bool may_overtake = role_ == Role::kLeader && !identity_changed();
  for (Message& message : messages_) {
    const bool promises =
        message.kind == MessageKind::kAppendReply || message.kind == MessageKind::kVoteReply;
    const bool now_ok = (may_overtake && !promises) || planted(Mutant::kAckBeforePersist);
    (now_ok ? out.messages : out.after_persist).push_back(std::move(message));
  }
  messages_.clear();
  return out;
}

void Raft::advance(const Ready& ready) {
  if (ready.hard_state.has_value()) persisted_ = offered_;
  if (ready.snapshot.has_value()) log_.snapshot_persisted(ready.snapshot->index);
  if (!ready.entries.empty()) {
    log_.persisted(ready.entries.back().index, ready.entries.back().term);
    if (role_ == Role::kLeader && maybe_commit()) broadcast_append();
  }
  for (const Entry& entry : ready.committed) {
    const std::size_t bytes = payload_bytes(entry);
    uncommitted_bytes_ -= std::min(uncommitted_bytes_, bytes);
    log_.applied_to(entry.index);
    if (entry.kind != EntryKind::kConfiguration) continue;
    Result<Configuration> next = decode_configuration(entry.data == nullptr ? "" : *entry.data);
    COX_CHECK(next.ok());
    if (planted(Mutant::kConfigurationOnOneSide) && role_ != Role::kLeader) continue;
    switch_configuration(*next);
  }
  leave_joint_when_applied();
}

}  // namespace coxswain::store::raft
