// Whether this member still has what the others have, and what it once had itself (docs/decisions/0012).
#include <utility>

#include "libs/store/node/member.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store {

// The state that a check is about is the one right after its entry.
void Member::note_entry(const Planned& planned) {
  scrub_.changed(planned.plan);
  if (planned.type != Command::Type::kCheck || planned.repeated) return;
  own_checks_[applied_.index] = {applied_.digest(), false};
  while (own_checks_.size() > Checks::kKept) own_checks_.erase(own_checks_.begin());
}

// What the members have found out about each other, told once.
void Member::raise_alarm() {
  const std::size_t marked = applied_.checks.marked().size();
  const std::string alarm = applied_.checks.alarm();
  const bool news = !alarm.empty() && (!std::exchange(alarmed_, true) || marked > told_marked_);
  alarmed_ = !alarm.empty();
  told_marked_ = marked;
  if (news) host_.noticed(alarm);
}

// Against what a quorum has agreed on.
void Member::compare_states() {
  raise_alarm();
  if (damaged() || raft::planted(raft::Mutant::kDifferenceIgnored)) return;
  if (const auto mark = applied_.checks.marked().find(options_.raft.id);
      mark != applied_.checks.marked().end())
    return set_different(mark->second);
  for (const Checks::Point& point : applied_.checks.points()) {
    const auto own = own_checks_.find(point.index);
    if (own != own_checks_.end() && point.agreed.value_or(own->second.hash) != own->second.hash)
      return set_different(point.index);
  }
}

// The leader's: when something has happened since the last one.
void Member::begin_check() {
  const std::int64_t now = options_.clock->now_ms();
  if (options_.check_ms <= 0 || now - check_at_ms_ < options_.check_ms) return;
  check_at_ms_ = now;
  if (raft_->role() != raft::Role::kLeader || applied_.configuration.members().size() < 2) return;
  const auto& points = applied_.checks.points();
  const bool seen = !points.empty() && points.back().revision == applied_.revision &&
                    points.back().compacted == applied_.compacted &&
                    (points.back().split || !points.back().disputed());
  if (!seen) check_replicas([](const Result<TxnResult>&) {});
}

void Member::check_replicas(Store::TxnDone done) {
  std::vector<Proposal> batch;
  batch.push_back({encode_check(), std::move(done)});
  propose(std::move(batch));
}

void Member::report_checks() {
  std::vector<Proposal> batch;
  for (auto& [index, own] : own_checks_) {
    if (std::exchange(own.reported, true) || applied_.checks.find(index) == nullptr) continue;
    const bool late = raft::planted(raft::Mutant::kHashedLate);
    batch.push_back({encode_report(index, late ? applied_.digest() : own.hash), [](const auto&) {}});
  }
  if (batch.empty() || !enter(&batch).ok()) return;
  turn();
}

// Nobody is to build on this state any more.
void Member::set_damage(std::string reason) {
  host_.noticed(reason);
  set_health(Health::kReadOnly, reason);
  damage_ = std::move(reason);
  damage_tick_ = ticks_;
  hub_->close();
  refuse_proposals(make_error(ErrorCode::kDeadlineExceeded, damage_));
  refuse_reads(make_error(ErrorCode::kUnavailable, damage_));
}

// A restart would not help: that is written down.
void Member::set_different(raft::Index check) {
  set_damage(difference_text(options_.raft.id, check));
  EngineBatch batch;
  History::record_refusal(damage_, &batch);
  if (options_.engine->write(batch).ok()) (void)options_.engine->flush();
}

// The others learn of it when this member's report is in the log. Its copy of the log is good, so it stays
// until then, or for a while.
void Member::leave_when_marked() {
  if (!damaged() || health_ == Health::kStopped || raft::planted(raft::Mutant::kDamagedServes)) return;
  const std::uint64_t waited = ticks_ - damage_tick_;
  if (waited % static_cast<std::uint64_t>(options_.raft.election_ticks) == 0)
    for (auto& [index, own] : own_checks_) own.reported = false;
  report_checks();
  const bool marked = applied_.checks.marked().count(options_.raft.id) > 0;
  if (marked || own_checks_.empty() || waited > static_cast<std::uint64_t>(options_.patience_ticks))
    set_health(Health::kStopped, damage_);
}

// The log is good, and a start checks everything else: nothing is written down.
void Member::distrust(const std::string& what) {
  if (damaged() || health_ == Health::kStopped) return;
  set_damage(what + ": check this machine's memory and disk, then restart this member, which looks again");
  set_health(Health::kStopped, damage_);
}

void Member::scrub() {
  const std::int64_t now = options_.clock->now_ms();
  if (options_.scrub_ms <= 0 || damaged() || !applied_.content.has_value() || now < scrub_at_ms_) return;
  scrub_at_ms_ = now + options_.scrub_step_ms;
  const auto found = scrub_.step(state_.snapshot().index, options_.scrub_entries, options_.scrub_bytes);
  if (!found.has_value()) return;
  scrub_at_ms_ = now + options_.scrub_ms;
  if (*found != *applied_.content && !raft::planted(raft::Mutant::kScrubIgnored))
    distrust("what is in this process's memory is not what was written");
}

}  // namespace coxswain::store
