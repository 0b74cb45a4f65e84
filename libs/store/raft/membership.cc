// Changes of the membership (§4): one at a time, joint when more than one vote moves, in effect when applied.
#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"
#include "libs/store/raft/raft.h"

namespace coxswain::store::raft {

Outcome Raft::propose_configuration(const Configuration& target) {
  if (role_ != Role::kLeader) return Outcome::kNotLeader;
  if (transferee_ != kNobody) return Outcome::kBusy;
  const bool pending = pending_change_ > log_.applied();
  if (pending && !planted(Mutant::kChangeWhileChangePending)) return Outcome::kNotAllowed;
  if (configuration_.joint() && target != leave_joint(configuration_) &&
      !planted(Mutant::kChangeWhileChangePending))
    return Outcome::kNotAllowed;
  Entry entry;
  entry.kind = EntryKind::kConfiguration;
  entry.data = std::make_shared<const std::string>(encode_configuration(target));
  append({std::move(entry)});
  pending_change_ = log_.last();
  broadcast_append();
  return Outcome::kAccepted;
}

void Raft::sync_progress() {
  const std::vector<MemberId> members = configuration_.members();
  for (auto it = progress_.begin(); it != progress_.end();)
    it = configuration_.contains(it->first) ? std::next(it) : progress_.erase(it);
  for (const MemberId id : members) {
    if (id == options_.id || progress_.count(id) > 0) continue;
    Progress& fresh = progress_.emplace(id, Progress(options_.flow, log_.last() + 1)).first->second;
    fresh.heard_of();  // a newcomer gets one election time-out before it counts as gone
  }
}

void Raft::switch_configuration(const Configuration& next) {
  configuration_ = next;
  if (role_ != Role::kLeader) return;
  // §4.2.2: a leader that is no voter any more leads until the change is committed, and not longer.
  sync_progress();
  if (!configuration_.is_voter(options_.id)) {
    broadcast_append();  // those who stay should know that it is committed
    return become_follower(term_, kNobody);
  }
  if (transferee_ != kNobody && !configuration_.is_voter(transferee_)) transferee_ = kNobody;
  maybe_commit();  // a smaller quorum may have been reached long ago
  broadcast_append();
}

// §4.3: the joint configuration is only a passage. A new leader finishes what the old one began.
void Raft::leave_joint_when_applied() {
  if (role_ != Role::kLeader || !configuration_.joint() || pending_change_ > log_.applied()) return;
  transferee_ = kNobody;
  (void)propose_configuration(leave_joint(configuration_));
}

}  // namespace coxswain::store::raft
