// Linearizable reads without the log (§6.4): where the leader had committed when the read came, once a quorum
// has confirmed after that that it still leads. No clock is trusted.
#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"
#include "libs/store/raft/raft.h"

namespace coxswain::store::raft {

bool Raft::committed_in_own_term() const { return log_.matches(log_.committed(), term_); }

Outcome Raft::read_index(std::uint64_t context) {
  if (role_ == Role::kLeader) {
    if (reads_.size() + postponed_reads_.size() >= options_.max_waiting_reads) return Outcome::kBusy;
    start_read(options_.id, context);
    return Outcome::kAccepted;
  }
  if (leader_ == kNobody) return Outcome::kNotLeader;
  Message m;
  m.kind = MessageKind::kReadIndex;
  m.to = leader_;
  m.context = context;
  send(std::move(m));
  return Outcome::kAccepted;
}

void Raft::start_read(MemberId from, std::uint64_t context) {
  if (!committed_in_own_term() && !planted(Mutant::kReadBeforeOwnTermCommit)) {
    // A leader knows how far its predecessors committed only when an entry of its own is committed.
    if (postponed_reads_.size() < options_.max_waiting_reads) postponed_reads_.emplace_back(from, context);
    return;
  }
  PendingRead read;
  read.context = planted(Mutant::kReadReusesOldQuorum) ? 1 : ++read_round_;
  read.from = from;
  read.from_context = context;
  read.index = log_.committed();
  read.acks.insert(options_.id);
  const bool alone = configuration_.voters.size() == 1 && !configuration_.joint() &&
                     configuration_.voters.front() == options_.id;
  const bool leased =
      planted(Mutant::kLeaseOfPausedLeader) && election_elapsed_ < options_.election_ticks / 2;
  if (alone || leased || planted(Mutant::kReadWithoutQuorum)) return answer_read(read);
  if (reads_.size() >= options_.max_waiting_reads) return;  // it is asked again
  reads_.push_back(std::move(read));
  broadcast_heartbeat();
}

void Raft::start_postponed_reads() {
  if (postponed_reads_.empty() || !committed_in_own_term()) return;
  const auto postponed = std::move(postponed_reads_);
  postponed_reads_.clear();
  for (const auto& [from, context] : postponed) start_read(from, context);
}

void Raft::answer_read(const PendingRead& read) {
  if (read.from == options_.id) {
    read_states_.push_back({read.from_context, read.index});
    return;
  }
  Message m;
  m.kind = MessageKind::kReadIndexReply;
  m.to = read.from;
  m.context = read.from_context;
  m.index = read.index;
  send(std::move(m));
}

// Whoever confirms a round confirms all rounds before it.
void Raft::acknowledge_read(MemberId from, std::uint64_t context) {
  std::size_t confirmed = 0;
  for (std::size_t i = 0; i < reads_.size() && reads_[i].context <= context; ++i) {
    reads_[i].acks.insert(from);
    const Vote vote = count_votes(configuration_, [&](MemberId id) -> std::optional<bool> {
      return reads_[i].acks.count(id) > 0 ? std::optional<bool>(true) : std::nullopt;
    });
    if (vote == Vote::kWon) confirmed = i + 1;
  }
  for (std::size_t i = 0; i < confirmed; ++i) answer_read(reads_[i]);
  reads_.erase(reads_.begin(), reads_.begin() + static_cast<std::ptrdiff_t>(confirmed));
}

}  // namespace coxswain::store::raft
