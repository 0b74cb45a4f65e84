// Elections: pre-vote, votes, hand-over, and a leader that checks that it still has a quorum (§3.4, §3.10,
// §6.2, §9.6).
#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"
#include "libs/store/raft/raft.h"

namespace coxswain::store::raft {

bool Raft::promotable() const {
  return configuration_.is_voter(options_.id) && !log_.unstable_snapshot().has_value();
}

void Raft::campaign() {
  if (role_ != Role::kLeader && promotable()) start_election(Role::kPreCandidate, false);
}

void Raft::start_election(Role role, bool transfer) {
  // A member that has not applied a committed change yet could win with a majority of before it.
  if (log_.change_unapplied()) return;
  if (planted(Mutant::kStuckAtHigherTerm)) role = Role::kCandidate;
  const bool pre_vote = role == Role::kPreCandidate;
  reset(pre_vote ? term_ : term_ + 1);
  role_ = role;
  if (!pre_vote) vote_ = options_.id;
  votes_[options_.id] = true;
  Message question;
  question.kind = pre_vote ? MessageKind::kPreVote : MessageKind::kVote;
  question.term = pre_vote ? term_ + 1 : term_;
  question.index = log_.last();
  question.log_term = log_.last_term();
  question.transfer = transfer;
  tell_commit(&question);
  for (const MemberId id : configuration_.members()) {
    if (id == options_.id || !configuration_.is_voter(id)) continue;
    question.to = id;
    send(question);
  }
  // Alone: that was it. Its own vote is durable before anything depends on it.
  Message own;
  own.kind = pre_vote ? MessageKind::kPreVoteReply : MessageKind::kVoteReply;
  own.from = options_.id;
  own.term = question.term;
  handle_vote_reply(own);
}

void Raft::handle_vote(const Message& m) {
  const bool pre_vote = m.kind == MessageKind::kPreVote;
  const bool free = vote_ == m.from || (vote_ == kNobody && leader_ == kNobody) ||
                    (pre_vote && m.term > term_) || (planted(Mutant::kVoteTwice) && role_ != Role::kLeader);
  const bool complete = log_.up_to_date(m.index, m.log_term) || planted(Mutant::kVoteForStaleLog);
  Message reply;
  reply.kind = pre_vote ? MessageKind::kPreVoteReply : MessageKind::kVoteReply;
  reply.to = m.from;
  reply.reject = !(free && complete);
  if (!reply.reject) {
    reply.term = m.term;
    if (!pre_vote) {
      election_elapsed_ = 0;
      vote_ = m.from;
    }
  }
  tell_commit(&reply);
  send(std::move(reply));
}

// A change takes effect when it is applied, so members that do not know that it is committed may wait for
// ever: the only voter of the newest configuration, refused by one that is a voter no more and has a longer
// log; or a new voter whose log is longer than that of who asks, and who does not know that it is one. So
// questions and answers say what is committed; if the entry is the same here, so is everything before it.
void Raft::tell_commit(Message* m) const {
  m->commit = log_.committed();
  m->commit_term = log_.term(m->commit).value_or(0);
}

void Raft::learn_commit(const Message& m) {
  if (m.commit_term > 0 && log_.matches(m.commit, m.commit_term)) log_.commit_to(m.commit);
}

void Raft::handle_vote_reply(const Message& m) {
  const bool about_pre_vote = m.kind == MessageKind::kPreVoteReply;
  if (about_pre_vote != (role_ == Role::kPreCandidate)) return;
  if (!m.reject && m.term != (about_pre_vote ? term_ + 1 : term_)) return;  // of an earlier round
  votes_.emplace(m.from, !m.reject);
  const Vote result = count_votes(configuration_, [this](MemberId id) -> std::optional<bool> {
    const auto it = votes_.find(id);
    return it == votes_.end() ? std::nullopt : std::optional<bool>(it->second);
  });
  if (result == Vote::kPending) {
    if (m.reject && !about_pre_vote) hurry();
    return;
  }
  if (result == Vote::kLost) return become_follower(term_, kNobody);
  if (about_pre_vote) return start_election(Role::kCandidate, false);
  become_leader();
}

// Somebody voted for another candidate, and the rest may be gone: a split vote is held again after a moment
// of chance. Not before a refusal came: where messages take long, that is how long they take.
void Raft::hurry() {
  const int spread = std::max(1, options_.election_ticks * 3 / 10);
  const int moment = 2 + static_cast<int>(random() % static_cast<unsigned>(spread));
  election_timeout_ = std::min(election_timeout_, election_elapsed_ + moment);
}

// The leader's process has died, most likely. It counts as silent: this member may vote for others, and asks
// for votes after what is left of its time-out, the share of chance. If the leader lives, its next message
// sets that right, and those who still hear it refuse (§4.2.3, §9.6): no term passes.
void Raft::on_lost_leader() { election_elapsed_ = std::max(election_elapsed_, options_.election_ticks); }

// §6.2: a leader that cannot reach a quorum steps down, so that its clients look elsewhere.
void Raft::check_quorum() {
  if (planted(Mutant::kNoCheckQuorum)) return;
  const Vote alive = count_votes(configuration_, [this](MemberId id) -> std::optional<bool> {
    if (id == options_.id) return true;
    const auto it = progress_.find(id);
    return it != progress_.end() && it->second.recently_active();
  });
  if (alive != Vote::kWon) return become_follower(term_, kNobody);
  for (auto& [id, progress] : progress_) progress.end_round();
}

Outcome Raft::transfer_leadership(MemberId to) {
  if (role_ != Role::kLeader) return Outcome::kNotLeader;
  if (to == options_.id) return Outcome::kAccepted;
  const auto it = progress_.find(to);
  if (it == progress_.end() || !configuration_.is_voter(to)) return Outcome::kNotAllowed;
  if (transferee_ == to) return Outcome::kAccepted;
  election_elapsed_ = 0;  // it gets one election time-out
  transferee_ = to;
  if (it->second.match() == log_.last()) {
    Message now;
    now.kind = MessageKind::kTimeoutNow;
    now.to = to;
    send(std::move(now));
  } else {
    send_append(to, true);
  }
  return Outcome::kAccepted;
}

}  // namespace coxswain::store::raft
