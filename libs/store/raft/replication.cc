// Log replication (§3.5, §10.2): pipelined appends with flow control, fast back-off, commitment, snapshots.
#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"
#include "libs/store/raft/raft.h"

namespace coxswain::store::raft {

// ---- the leader ----

void Raft::append(std::vector<Entry> entries) {
  Index index = log_.last();
  for (Entry& entry : entries) {
    entry.term = term_;
    entry.index = ++index;
    uncommitted_bytes_ += payload_bytes(entry);
  }
  log_.append(std::move(entries));
}

Outcome Raft::propose(std::vector<Payload> payloads) {
  if (role_ != Role::kLeader) return Outcome::kNotLeader;
  if (transferee_ != kNobody) return Outcome::kBusy;
  std::size_t bytes = 0;
  for (const Payload& payload : payloads) bytes += payload == nullptr ? 0 : payload->size();
  if (uncommitted_bytes_ > 0 && uncommitted_bytes_ + bytes > options_.max_uncommitted_bytes)
    return Outcome::kBusy;
  std::vector<Entry> entries(payloads.size());
  for (std::size_t i = 0; i < payloads.size(); ++i) entries[i].data = std::move(payloads[i]);
  if (entries.empty()) return Outcome::kAccepted;
  append(std::move(entries));
  broadcast_append();
  return Outcome::kAccepted;
}

void Raft::broadcast_append() {
  for (auto& [id, progress] : progress_)
    if (send_append(id, true)) fill(id);
}

// Everything that the window has room for.
void Raft::fill(MemberId to) {
  while (send_append(to, false)) {
  }
}

bool Raft::send_append(MemberId to, bool even_if_empty) {
  const auto it = progress_.find(to);
  if (it == progress_.end() || it->second.paused()) return false;
  Progress& progress = it->second;
  const std::optional<Term> before = log_.term(progress.next() - 1);
  std::vector<Entry> entries;
  if (before.has_value() && progress.next() <= log_.last()) {
    entries = log_.entries(progress.next(), log_.last() + 1, options_.max_message_bytes);
    if (entries.empty()) return send_snapshot(to, &progress);
  }
  if (!before.has_value()) return send_snapshot(to, &progress);
  if (entries.empty() && !even_if_empty) return false;
  Message m;
  m.kind = MessageKind::kAppend;
  m.to = to;
  m.index = progress.next() - 1;
  m.log_term = *before;
  m.commit = log_.committed();
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += payload_bytes(entry);
  progress.sent(entries.empty() ? 0 : entries.back().index, bytes);
  m.entries = std::move(entries);
  send(std::move(m));
  return true;
}

bool Raft::send_snapshot(MemberId to, Progress* progress) {
  if (!progress->recently_active()) return false;  // nobody there to take it
  std::optional<Snapshot> snapshot = log_.newest_snapshot();
  if (!snapshot.has_value()) return false;
  progress->become_snapshot(snapshot->index);
  Message m;
  m.kind = MessageKind::kSnapshot;
  m.to = to;
  m.snapshot = std::move(snapshot);
  send(std::move(m));
  return true;
}

void Raft::broadcast_heartbeat() {
  for (auto& [id, progress] : progress_) send_heartbeat(id, last_read_context());
}

void Raft::send_heartbeat(MemberId to, std::uint64_t context) {
  // A follower may have lost its tail: what it is not known to have must not be committed by this.
  Message m;
  m.kind = MessageKind::kHeartbeat;
  m.to = to;
  m.context = context;
  m.commit = std::min(progress_.at(to).match(), log_.committed());
  if (planted(Mutant::kHeartbeatCommitsUnmatched)) m.commit = log_.committed();
  send(std::move(m));
}

// §3.6.2: only entries of the own term are committed by counting; those before them follow.
bool Raft::maybe_commit() {
  const auto reached = [this](MemberId id) -> Index {
    if (id == options_.id) return log_.durable();
    const auto it = progress_.find(id);
    return it == progress_.end() ? 0 : it->second.match();
  };
  Index index = quorum_value(configuration_, reached);
  if (planted(Mutant::kLearnerCounted)) {
    Configuration counted = configuration_;
    for (const MemberId id : configuration_.learners) counted.voters.push_back(id);
    std::vector<Index> all;
    for (const MemberId id : counted.voters) all.push_back(reached(id));
    std::sort(all.begin(), all.end(), std::greater<>());
    index = all[configuration_.voters.size() / 2];
  }
  if (index <= log_.committed()) return false;
  if (!log_.matches(index, term_) && !planted(Mutant::kCommitOlderTermByCounting)) return false;
  log_.commit_to(index);
  start_postponed_reads();
  return true;
}

void Raft::handle_append_reply(const Message& m) {
  const auto it = progress_.find(m.from);
  if (it == progress_.end()) return;
  Progress& progress = it->second;
  progress.heard_of();
  if (m.reject) {
    Index hint = m.hint;
    // Skip everything of ours that is newer than what the follower has there: one step per term, not per
    // entry.
    if (m.log_term > 0) hint = log_.last_not_after(m.hint, m.log_term);
    if (!progress.retreat(m.index, hint)) return;
    if (progress.state() == Progress::State::kReplicate) progress.become_probe();
    send_append(m.from, true);
    return;
  }
  const bool was_paused = progress.paused();
  const bool news = progress.update(m.index);
  if (progress.state() == Progress::State::kProbe) {
    if (news || m.index == progress.match()) progress.become_replicate();
  } else if (progress.state() == Progress::State::kSnapshot && progress.match() + 1 >= log_.first()) {
    progress.become_replicate();  // it can go on from the log, with or without the snapshot
  }
  if (news && maybe_commit()) {
    broadcast_append();
  } else if (was_paused) {
    send_append(m.from, true);
  }
  fill(m.from);
  if (progress.state() == Progress::State::kReplicate && progress.next() > log_.last()) progress.caught_up();
  if (m.from == transferee_ && progress.match() == log_.last()) {
    Message now;
    now.kind = MessageKind::kTimeoutNow;
    now.to = m.from;
    send(std::move(now));
  }
}

void Raft::handle_heartbeat_reply(const Message& m) {
  const auto it = progress_.find(m.from);
  if (it == progress_.end()) return;
  Progress& progress = it->second;
  progress.heard_of();
  progress.resume();
  // Lost appends show here: an empty one is refused, and the back-off finds where to go on.
  if (progress.match() < log_.last()) send_append(m.from, true);
  if (m.context != 0) acknowledge_read(m.from, m.context);
}

void Raft::report_unreachable(MemberId id) {
  if (role_ == Role::kFollower && id == leader_) return on_lost_leader();
  const auto it = progress_.find(id);
  if (it != progress_.end() && it->second.state() == Progress::State::kReplicate) it->second.become_probe();
}

// While a state is on its way others write on: if the log behind it were gone when it has arrived, that
// member would need another state, and so on for as long as they write.
Index Raft::needed_by_others() const {
  Index needed = log_.last();
  for (const auto& [id, progress] : progress_)
    needed = std::min(needed, progress.needs_log_from().value_or(needed));
  return needed;
}

void Raft::report_snapshot(MemberId id, bool arrived) {
  const auto it = progress_.find(id);
  if (it == progress_.end() || it->second.state() != Progress::State::kSnapshot) return;
  if (!arrived) it->second.become_snapshot(0);
  it->second.become_probe();
  it->second.sent(0, 0);  // wait for a sign of life
}

// ---- the follower ----

void Raft::handle_append(const Message& m) {
  Message reply;
  reply.kind = MessageKind::kAppendReply;
  reply.to = m.from;
  reply.index = m.index;
  if (m.index < log_.committed() && !planted(Mutant::kAppendCutsMatching)) {
    reply.index = log_.committed();  // late; everything up to here is known to match
  } else if (log_.matches(m.index, m.log_term) ||
             (planted(Mutant::kAppendWithoutMatch) && m.index <= log_.last())) {
    reply.index = log_.merge(m.index, m.entries);
    log_.commit_to(std::min(m.commit, reply.index));
  } else {
    reply.reject = true;
    reply.hint = log_.last_not_after(std::min(m.index, log_.last()), m.log_term);
    reply.log_term = log_.term(reply.hint).value_or(0);
  }
  send(std::move(reply));
}

void Raft::handle_heartbeat(const Message& m) {
  // What is committed and surely matches cannot go again.
  if (m.commit > log_.last() && !planted(Mutant::kHeartbeatCommitsUnmatched)) {
    forgot_ = true;
    return;
  }
  log_.commit_to(planted(Mutant::kHeartbeatCommitsUnmatched) ? std::min(m.commit, log_.last()) : m.commit);
  Message reply;
  reply.kind = MessageKind::kHeartbeatReply;
  reply.to = m.from;
  reply.context = m.context;
  send(std::move(reply));
}

void Raft::handle_snapshot(const Message& m) {
  Message reply;
  reply.kind = MessageKind::kAppendReply;
  reply.to = m.from;
  const Snapshot& snapshot = *m.snapshot;
  const bool older = snapshot.index <= log_.committed() && !planted(Mutant::kSnapshotOverNewerState);
  if (!older && log_.matches(snapshot.index, snapshot.term) && !planted(Mutant::kSnapshotOverNewerState)) {
    log_.commit_to(snapshot.index);  // the log has it all
  } else if (!older) {
    log_.restore(snapshot);
    configuration_ = snapshot.configuration;
  }
  reply.index = log_.committed();
  send(std::move(reply));
}

}  // namespace coxswain::store::raft
