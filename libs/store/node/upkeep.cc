// What the node does between writes: room on the disk, checkpoints, compaction by age, sweeping.
#include <utility>

#include "libs/common/base/check.h"
#include "libs/store/node/node.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kReplayRows = 4096;
constexpr std::size_t kReplayBytes = 4u << 20;
constexpr std::size_t kSweepEvents = 500;  // per turn of the loop: a few milliseconds
constexpr std::int64_t kRetryMs = 1000;

}  // namespace

void Node::housekeeping() {
  if (health() == Health::kStopped) return;
  if (health() == Health::kReadOnly) recover_space();
  checkpoint();
  if (health() != Health::kServing) return;
  compact_by_age();
  sweep();
}

void Node::recover_space() {
  if (options_.clock->now_ms() < retry_at_ms_) return;
  retry_at_ms_ = options_.clock->now_ms() + kRetryMs;
  if (engine_failed()) {
    if (!rebuild_engine().ok()) return;
    const std::lock_guard lock(mutex_);
    flush_error_.clear();
  }
  if (const Result<void> room = log_->reserve(refused_bytes_); !room.ok()) {
    if (room.error().code != ErrorCode::kResourceExhausted) stop_member(room.error());
    checkpoint_at_bytes_ = 0;  // what the log frees may be enough
    return;
  }
  if (!lead()) return;
  set_health(Health::kServing, "");
}

// The engine starts again from its last flush; what came after is worked out again from the log, beside the
// state that goes on serving reads.
Result<void> Node::rebuild_engine() {
  {
    // A flush under way must not vouch for entries that are being written again. Only this thread asks for
    // one.
    const std::lock_guard lock(mutex_);
    if (flush_index_ != 0) return make_error(ErrorCode::kUnavailable, "a checkpoint is running");
  }
  COX_RETURN_IF_ERROR(options_.engine->reopen());
  State state;
  COX_ASSIGN_OR_RETURN(Applied applied, history_->load(&state));
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
      COX_ASSIGN_OR_RETURN(const State::Plan plan, plan_entry(entry, state, &applied));
      state.commit(plan);
      History::record(plan.events, &batch);
      if (batch.size() >= kReplayRows) COX_RETURN_IF_ERROR(store());
    }
  }
  COX_RETURN_IF_ERROR(store());
  COX_CHECK(applied.index == applied_.index && applied.revision == applied_.revision);
  applied_.swept = applied.swept;
  stored_index_ = applied.index;
  unstored_.clear();
  hub_->trim();
  return {};
}

bool Node::engine_failed() const {
  const std::lock_guard lock(mutex_);
  return !flush_error_.empty() || !unstored_.empty();
}

void Node::compact_by_age() {
  const std::int64_t retention = options_.limits.retention_ms;
  const std::int64_t now = options_.clock->now_ms();
  if (retention <= 0 || now - sample_at_ms_ < retention) return;
  const Revision old = std::exchange(sample_revision_, applied_.revision);
  sample_at_ms_ = now;
  if (old <= applied_.compacted) return;
  Batch batch;
  batch.push_back({encode_compact(old), [](const Result<TxnResult>&) {}});
  commit(std::move(batch));
}

void Node::sweep() {
  if (applied_.swept >= applied_.compacted || !unstored_.empty()) return;
  const auto reached = history_->sweep(applied_.swept, applied_.compacted, kSweepEvents, &unstored_);
  if (!reached.ok()) {
    unstored_.clear();
    set_health(Health::kReadOnly, "the state cannot be read: " + reached.error().message);
    return;
  }
  applied_.swept = *reached;
  store_applied();
}

void Node::checkpoint() {
  if (options_.env == nullptr) return;
  std::uint64_t flushed = 0;
  {
    const std::lock_guard lock(mutex_);
    log_bytes_ = static_cast<std::int64_t>(log_->disk_bytes());
    flushed = std::exchange(flushed_index_, 0);
    if (flush_index_ == 0 && log_->appended_bytes() >= checkpoint_at_bytes_) {
      flush_index_ = stored_index_;
      checkpoint_at_bytes_ = log_->appended_bytes() + options_.checkpoint_log_bytes;
      checkpoint_wanted_.notify_one();
    }
  }
  if (flushed != 0) (void)log_->truncate_prefix(flushed);  // what could not be removed goes next time
}

void Node::run_checkpoints() {
  std::unique_lock lock(mutex_);
  for (;;) {
    checkpoint_wanted_.wait(lock, [this] { return stopping_ || flush_index_ != 0; });
    if (stopping_) return;
    const std::uint64_t index = flush_index_;
    lock.unlock();
    const Result<void> flushed = options_.engine->flush();
    lock.lock();
    flush_index_ = 0;
    if (flushed.ok()) {
      flushed_index_ = index;
      continue;
    }
    flush_error_ = flushed.error().message;
    if (health_ != Health::kServing) continue;
    health_ = Health::kReadOnly;
    reason_ = "the state cannot be written: " + flush_error_;
  }
}

}  // namespace coxswain::store
