// What the operator asks of a node (libs/store/admin.h), and what the leader does about it.
#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/node/node.h"

namespace coxswain::store {
namespace {

constexpr int kAttempts = 8;  // of a change that others make at the same time
constexpr std::int64_t kPatienceMs = 10'000;
constexpr std::int64_t kIntroduceMs = 1000;
constexpr raft::Index kCaughtUp = 1000;  // entries behind, at most

Error alone_error() {
  return make_error(ErrorCode::kConflict,
                    "this api-server is alone and does not listen for others; restart it with --member-id 1 "
                    "--initial-cluster 1=HOST:PORT, then it can have more members");
}

}  // namespace

// ---- any thread ----

GroupStatus Node::status() const {
  GroupStatus status;
  status.stats = stats();
  status.cluster_id = cluster_id_;
  status.member = self_.id;
  status.state_bytes = engine_->disk_bytes();
  const MemberList list = read_members(state_.snapshot());
  const Group group = this->group();
  status.leader = group.leader;
  status.term = group.term;
  status.last_index = group.last;
  status.committed_index = group.committed;
  status.applied_index = group.applied;
  status.log_first_index = group.log_first;
  status.log_bytes = status.stats.disk_bytes - status.state_bytes;
  Checks checks;
  {
    const std::lock_guard lock(mutex_);
    checks = checks_;
  }
  const Checks::Point check = checks.points().empty() ? Checks::Point() : checks.points().back();
  status.check_index = check.index;
  status.check_revision = check.revision;
  if (check.agreed.has_value()) status.agreed_hash = to_string(*check.agreed);
  std::vector<MemberRecord> records = list.records;
  for (const raft::MemberId id : group.members.members()) {
    if (list.find(id) != nullptr) continue;
    MemberRecord record;
    record.id = id;
    record.role = group.members.is_voter(id) ? MemberRole::kVoter : MemberRole::kLearner;
    if (id == self_.id) record = self_;
    records.push_back(std::move(record));
  }
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (MemberRecord& record : records) {
    MemberView view;
    view.in_group = group.members.contains(record.id);
    view.votes = group.members.is_voter(record.id);
    const auto match = group.match.find(record.id);
    view.match_known = match != group.match.end();
    if (view.match_known) view.match = match->second;
    const auto hash = check.reports.find(record.id);
    if (hash != check.reports.end()) view.hash = to_string(hash->second);
    view.differs = checks.marked().count(record.id) > 0;
    view.record = std::move(record);
    status.members.push_back(std::move(view));
  }
  return status;
}

void Node::check_states(CheckDone done) {
  enqueue({encode_check(), [done = std::move(done)](const Result<TxnResult>& result) {
             done(result.ok() ? Result<void>() : Result<void>(result.error()));
           }});
}

void Node::add_member(std::string name, std::string peer_address, MemberDone done) {
  change_member([name = std::move(name), peer_address = std::move(peer_address)](
                    const MemberList& list,
                    const raft::Configuration& now) { return plan_add(list, now, name, peer_address); },
                kAttempts, std::move(done));
}

void Node::promote_member(std::uint64_t id, MemberDone done) {
  change_member(
      [id](const MemberList& list, const raft::Configuration& now) { return plan_promote(list, now, id); },
      kAttempts, std::move(done));
}

void Node::remove_member(std::uint64_t id, MemberDone done) {
  change_member(
      [id](const MemberList& list, const raft::Configuration& now) { return plan_remove(list, now, id); },
      kAttempts, std::move(done));
}

void Node::replace_member(std::uint64_t id, MemberDone done) {
  // The new one has to be started before it can be in the group: what is waited for is that the old one is
  // out.
  auto fresh = std::make_shared<MemberRecord>();
  change_member(
      [id, fresh](const MemberList& list, const raft::Configuration& now) -> Result<MemberChange> {
        COX_ASSIGN_OR_RETURN(Replacement replacement, plan_replace(list, now, id));
        *fresh = std::move(replacement.change.record);
        return MemberChange{std::move(replacement.removed), std::move(replacement.change.txn)};
      },
      kAttempts,
      [fresh, done = std::move(done)](Result<MemberRecord> removed) {
        if (!removed.ok()) return done(std::move(removed));
        done(std::move(*fresh));
      });
}

// From a fresh list; again when somebody else changed it in between.
void Node::change_member(MemberPlan plan, int attempts, MemberDone done) {
  if (transport_ == nullptr) return done(alone_error());
  barrier(
      [this, plan = std::move(plan), attempts, done = std::move(done)](const Result<void>& fresh) mutable {
        if (!fresh.ok()) return done(fresh.error());
        Result<MemberChange> change = plan(read_members(state_.snapshot()), group().members);
        if (!change.ok()) return done(std::move(change).error());
        if (change->txn.ops.empty()) return await_member(std::move(change->record), std::move(done));
        txn(std::move(change->txn), [this, plan = std::move(plan), attempts, done = std::move(done),
                                     record = std::move(change->record)](Result<TxnResult> result) mutable {
          if (!result.ok()) return done(std::move(result).error());
          if (result->succeeded) return await_member(std::move(record), std::move(done));
          if (attempts > 1) return change_member(std::move(plan), attempts - 1, std::move(done));
          done(make_error(ErrorCode::kConflict, "others change the members at the same time; try again"));
        });
      });
}

void Node::await_member(MemberRecord record, MemberDone done) {
  const std::lock_guard lock(mutex_);
  member_waits_.push_back({std::move(record), std::move(done), clock_.now_ms() + kPatienceMs});
  arrived_.notify_one();
}

void Node::transfer_leader(std::uint64_t id, LeaderDone done) {
  if (transport_ == nullptr) return done(alone_error());
  Error refusal;
  {
    const std::lock_guard lock(mutex_);
    if (id != 0 && !group_.members.contains(id)) {
      refusal = make_error(ErrorCode::kNotFound, "there is no member " + std::to_string(id));
    } else if (id != 0 && !group_.members.is_voter(id)) {
      refusal =
          make_error(ErrorCode::kConflict, "member " + std::to_string(id) + " has no vote; promote it first");
    } else if (group_.members.voters.size() < 2) {
      refusal = make_error(ErrorCode::kConflict, "there is nobody else with a vote");
    } else if (group_.leader == raft::kNobody) {
      refusal = make_error(ErrorCode::kUnavailable, "nobody leads at the moment");
    } else {
      mail_.hand_over = id;
      leader_waits_.push_back({id, group_.leader, std::move(done), clock_.now_ms() + kPatienceMs});
      arrived_.notify_one();
      return;
    }
  }
  done(std::move(refusal));
}

// mutex_ held.
std::string Node::why_no_leader() const {
  std::string why = "no leader is known: a majority of the members must be up and reach each other";
  const std::string refusal = roster_ == nullptr ? std::string() : roster_->refusal();
  return refusal.empty() ? why : why + " (" + refusal + ")";
}

// ---- the node's thread ----

void Node::care_for_members() {
  if (roster_ == nullptr) return;
  const State::Snapshot now = state_.snapshot();
  const raft::Configuration& configuration = member_.raft().configuration();
  const bool changed = !member_list_.has_value() || member_list_->version != members_version(now);
  if (changed) member_list_ = read_members(now);
  const MemberList& list = *member_list_;
  if (changed || members_told_ != configuration) {
    members_told_ = configuration;
    std::vector<MemberRecord> records = list.records;
    for (MemberRecord& record : records) {
      // Until it is gone from the configuration its vote may be needed.
      if (configuration.contains(record.id) && record.role == MemberRole::kRemoved)
        record.role = MemberRole::kVoter;
    }
    roster_->update(records);
    on_members_(roster_->records());
  }
  notice_removal(list);
  introduce_self(list);
  if (member_.raft().role() == raft::Role::kLeader) lead_members(list);
}

// Until it is out of the configuration its vote may be needed. That it is, it may never hear from a leader:
// then from the others, who do not want to hear it any more.
void Node::notice_removal(const MemberList& list) {
  const MemberRecord* own = list.find(self_.id);
  const bool wanted = own != nullptr && own->role == MemberRole::kRemoved;
  const raft::Raft& raft = member_.raft();
  const bool refused = raft.leader() == raft::kNobody && !roster_->refusal().empty();
  if (!wanted || removed_ || (raft.configuration().contains(self_.id) && !refused)) return;
  removed_ = true;
  const std::string why =
      "member " + std::to_string(self_.id) +
      " was removed from this cluster; it can come back as a new member only (coxctl store "
      "member add), with an empty data directory";
  roster_->set_refusal(why);
  if (on_removed_) on_removed_(why);
}

void Node::introduce_self(const MemberList& list) {
  const raft::Raft& raft = member_.raft();
  if (raft.leader() == raft::kNobody || clock_.now_ms() < introduce_at_ms_) return;
  Txn txn = plan_introduce(list, raft.configuration(), self_);
  if (txn.ops.empty()) return;
  introduce_at_ms_ = clock_.now_ms() + kIntroduceMs;  // others do so too: not in each other's way for long
  this->txn(std::move(txn), [](const Result<TxnResult>&) {});
}

void Node::lead_members(const MemberList& list) {
  const raft::Raft& raft = member_.raft();
  const auto change = next_change(list, raft.configuration(), [&](raft::MemberId id) {
    if (id == self_.id) return MemberProgress{true, true};
    const auto it = raft.progress().find(id);
    if (it == raft.progress().end()) return MemberProgress{};
    return MemberProgress{it->second.recently_active(), it->second.match() + kCaughtUp >= raft.last_index()};
  });
  if (!change.has_value()) return;
  if (change->kind == raft::Change::Kind::kRemove && change->id == self_.id) return member_.hand_over();
  const auto target = raft::plan_change(raft.configuration(), {*change});
  if (!target.ok()) return;
  alone_.store(false, std::memory_order_release);
  (void)member_.change_members(*target);
}

void Node::answer_admin() {
  std::vector<std::pair<MemberDone, Result<MemberRecord>>> members;
  std::vector<std::pair<LeaderDone, Result<std::uint64_t>>> leaders;
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t now_ms = clock_.now_ms();
    std::erase_if(member_waits_, [&](MemberWait& wait) {
      if (is_settled(wait.record, group_.members)) {
        members.emplace_back(std::move(wait.done), wait.record);
      } else if (now_ms >= wait.until_ms) {
        members.emplace_back(
            std::move(wait.done),
            make_error(ErrorCode::kDeadlineExceeded,
                       "it is asked for, and waits: a member that is to vote must have caught up, "
                       "and a majority must stay that can be reached"));
      } else {
        return false;
      }
      return true;
    });
    std::erase_if(leader_waits_, [&](LeaderWait& wait) {
      const bool done = wait.id != 0 ? group_.leader == wait.id
                                     : group_.leader != raft::kNobody && group_.leader != wait.before;
      if (done) {
        leaders.emplace_back(std::move(wait.done), group_.leader);
      } else if (now_ms >= wait.until_ms) {
        leaders.emplace_back(
            std::move(wait.done),
            make_error(ErrorCode::kDeadlineExceeded,
                       "the new leader did not take over in time; look at the members' status"));
      } else {
        return false;
      }
      return true;
    });
  }
  for (auto& [done, result] : members) done(std::move(result));
  for (auto& [done, result] : leaders) done(std::move(result));
}

void Node::refuse_admin() {
  std::vector<MemberWait> members;
  std::vector<LeaderWait> leaders;
  {
    const std::lock_guard lock(mutex_);
    members.swap(member_waits_);
    leaders.swap(leader_waits_);
  }
  const Error closing = make_error(ErrorCode::kDeadlineExceeded, "the store is closing");
  for (MemberWait& wait : members) wait.done(closing);
  for (LeaderWait& wait : leaders) wait.done(closing);
}

}  // namespace coxswain::store
