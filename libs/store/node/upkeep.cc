// What a member does between writes: room on the disk, checkpoints, compaction by age, sweeping.
#include <algorithm>
#include <utility>

#include "libs/common/base/check.h"
#include "libs/store/node/member.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kReplayBytes = 4u << 20;
constexpr std::size_t kSweepEvents = 500;  // per turn of the loop: a few milliseconds

}  // namespace

void Member::upkeep() {
  if (health_ == Health::kStopped) return refuse_all();
  if (health_ == Health::kReadOnly && !damaged()) recover_space();
  checkpoint();
  scrub();
  if (health_ != Health::kServing || damaged()) return;
  report_checks();
  begin_check();
  compact_by_age();
  sweep();
}

bool Member::busy() const { return applied_.swept < applied_.compacted && !behind_; }

void Member::recover_space() {
  if (options_.clock->now_ms() < retry_at_ms_) return;
  retry_at_ms_ = options_.clock->now_ms() + kRetryMs;
  if (behind_ && !rebuild_engine().ok()) return;
  if (const Result<void> room = log_->reserve(refused_bytes_); !room.ok()) {
    if (room.error().code != ErrorCode::kResourceExhausted) stop_member(room.error());
    checkpoint_at_bytes_ = 0;  // what the log frees may be enough
    return;
  }
  if (sole_voter() && !lead()) return;
  if (!damaged()) set_health(Health::kServing, "");
}

// The engine starts again from its last flush; what came after is worked out again from the log, beside the
// state that goes on serving reads.
Result<void> Member::rebuild_engine() {
  // A flush under way must not vouch for entries that are being written again.
  if (flush_index_ != 0) return make_error(ErrorCode::kUnavailable, "a checkpoint is running");
  if (!raft::planted(raft::Mutant::kHistoryWhileRebuilt)) history_->set_whole(false);
  COX_RETURN_IF_ERROR(options_.engine->reopen());
  State state;
  COX_ASSIGN_OR_RETURN(Applied applied, history_->load(&state));
  COX_ASSIGN_OR_RETURN(copied_, history_->copied());
  if (applied.index > applied_.index) {  // a copy of another member's state got there after all
    const Error newer = make_error(ErrorCode::kIo, "the state is newer than the log");
    stop_member(newer);
    return newer;
  }
  EngineBatch batch;
  const auto store = [&]() -> Result<void> {
    History::record_applied(applied, &batch);
    COX_RETURN_IF_ERROR(options_.engine->write(batch));
    batch.clear();
    return {};
  };
  while (applied.index < applied_.index) {
    const auto entries = log_->entries(applied.index + 1, applied_.index + 1, kReplayBytes);
    if (entries.empty()) return make_error(ErrorCode::kIo, "the log cannot be read");
    for (const raft::Entry& entry : entries) {
      COX_ASSIGN_OR_RETURN(const Planned planned, plan_entry(entry, state, &applied));
      if (!planned.repeated) state.commit(planned.plan);
      History::record(planned.plan.events, &batch);
      if (batch.size() >= kReplayRows) COX_RETURN_IF_ERROR(store());
    }
  }
  COX_RETURN_IF_ERROR(store());
  COX_CHECK(applied.index == applied_.index && applied.revision == applied_.revision);
  if (applied.content != applied_.content) distrust("the log gives another state than is in memory");
  applied_.swept = applied.swept;
  stored_index_ = applied.index;
  behind_ = false;
  history_->set_whole(true);
  hub_->trim();
  return {};
}

void Member::compact_by_age() {
  const std::int64_t retention = options_.limits.retention_ms;
  const std::int64_t now = options_.clock->now_ms();
  if (retention <= 0 || now - sample_at_ms_ < retention) return;
  const Revision old = std::exchange(sample_revision_, applied_.revision);
  sample_at_ms_ = now;
  if (old <= applied_.compacted) return;
  if (raft_->role() != raft::Role::kLeader) return;  // one decides
  std::vector<Proposal> batch;
  batch.push_back({encode_compact(old), [](const Result<TxnResult>&) {}});
  propose(std::move(batch));
}

void Member::sweep() {
  if (applied_.swept >= applied_.compacted || behind_) return;
  const auto reached = history_->sweep(applied_.swept, applied_.compacted, kSweepEvents, &unstored_);
  if (!reached.ok()) {
    unstored_.clear();
    set_health(Health::kReadOnly, "the state cannot be read: " + reached.error().message);
    return;
  }
  applied_.swept = *reached;
  store_applied();
}

void Member::checkpoint() {
  if (options_.env == nullptr || flush_index_ != 0 || stored_index_ == 0 || behind_) return;
  if (log_->appended_bytes() < checkpoint_at_bytes_) return;
  flush_index_ = stored_index_;
  if (raft::planted(raft::Mutant::kTruncatedBeforeFlush)) (void)log_->truncate_prefix(stored_index_);
  checkpoint_at_bytes_ = log_->appended_bytes() + options_.checkpoint_log_bytes;
  host_.flush_engine();
}

// As long as there is room. The larger the state, the more is written while it is copied.
raft::Index Member::needed_by_others() const {
  const auto state_bytes = static_cast<std::uint64_t>(options_.engine->disk_bytes());
  const std::uint64_t most = std::max(options_.keep_bytes_for_copy, 2 * state_bytes);
  const bool room = health_ == Health::kServing && log_->disk_bytes() <= most;
  return room ? raft_->needed_by_others() : raft_->last_index();
}

void Member::flushed(Result<void> outcome) {
  const std::uint64_t index = std::exchange(flush_index_, 0);
  if (outcome.ok()) {
    const raft::Index kept = log_->disk_bytes() > options_.keep_log_bytes ? 0 : options_.keep_entries;
    if (index > kept)  // what could not be removed goes next time
      (void)log_->truncate_prefix(std::min(index - kept, needed_by_others()));
    return;
  }
  behind_ = true;
  if (health_ == Health::kServing)
    set_health(Health::kReadOnly, "the state cannot be written: " + outcome.error().message);
}

}  // namespace coxswain::store
