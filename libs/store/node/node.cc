#include "libs/store/node/node.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "libs/common/base/check.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kGroupTxns = 4096;  // one group commit; bounds the log write and the engine batch
constexpr std::size_t kGroupBytes = 8u << 20;
constexpr std::size_t kReplayRows = 4096;
constexpr std::size_t kSweepEvents = 500;  // per turn of the loop: a few milliseconds
constexpr std::int64_t kRetryMs = 1000;
constexpr auto kTick = std::chrono::milliseconds(500);

}  // namespace

Result<std::unique_ptr<Store>> open_node(NodeOptions options) {
  auto node = std::make_unique<Node>(std::move(options));
  COX_RETURN_IF_ERROR(node->start());
  return std::unique_ptr<Store>(std::move(node));
}

Node::Node(NodeOptions options)
    : options_(std::move(options)),
      hub_(std::make_shared<Hub>(options_.limits.history_events, options_.limits.history_bytes)),
      history_(std::make_shared<const History>(options_.engine)) {
  COX_CHECK(options_.clock != nullptr && options_.engine != nullptr);
}

Node::~Node() {
  Batch refused;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    refused.swap(queue_);
  }
  arrived_.notify_all();
  checkpoint_wanted_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (checkpoint_thread_.joinable()) checkpoint_thread_.join();
  for (Pending& pending : refused) pending.done(make_error(ErrorCode::kUnavailable, "the store is closing"));
  hub_->close();
  if (wal_ == nullptr || health() != Health::kServing || !unstored_.empty()) return;
  if (options_.engine->flush().ok()) (void)wal_->truncate_prefix(stored_index_);  // a fast next start
}

Result<void> Node::start() {
  COX_ASSIGN_OR_RETURN(applied_, history_->load(&state_));
  stored_index_ = applied_.index;
  hub_->start(history_, applied_.revision, applied_.compacted);
  if (options_.env != nullptr) {
    Wal::Options wal{options_.log_dir, options_.log_segment_bytes, applied_.index};
    auto opened =
        Wal::open(*options_.env, wal, [this](std::uint64_t index, std::string_view payload) -> Result<void> {
          COX_CHECK(index == applied_.index + 1);
          Hub::Wakes wakes;
          COX_ASSIGN_OR_RETURN(const State::Plan plan, apply(payload, &wakes));
          static_cast<void>(plan);
          if (unstored_.size() >= kReplayRows) store_applied();
          return {};
        });
    if (!opened.ok()) return std::move(opened).error();
    wal_ = std::move(opened).value();
    log_bytes_ = static_cast<std::int64_t>(wal_->disk_bytes());
  }
  store_applied();
  checkpoint_at_bytes_ = options_.checkpoint_log_bytes;
  sample_at_ms_ = options_.clock->now_ms();
  sample_revision_ = applied_.revision;
  thread_ = std::thread([this] { run(); });
  if (wal_ != nullptr) checkpoint_thread_ = std::thread([this] { run_checkpoints(); });
  return {};
}

// ---- writes: any thread ----

void Node::txn(Txn txn, TxnDone done) {
  if (Result<void> valid = check_txn(txn, options_.limits.max_txn_bytes); !valid.ok()) {
    done(std::move(valid).error());
    return;
  }
  enqueue({encode_txn(txn), std::move(done)});
}

void Node::enqueue(Pending pending) {
  Error refusal;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || health_ == Health::kStopped) {
      refusal = make_error(ErrorCode::kUnavailable, stopping_ ? "the store is closing" : reason_);
    } else if (queue_.size() >= options_.limits.max_queued_txns ||
               queued_bytes_ + pending.command.size() > options_.limits.max_queued_bytes) {
      refusal = make_error(ErrorCode::kResourceExhausted, "too many writes are waiting; retry later");
    } else {
      queued_bytes_ += pending.command.size();
      queue_.push_back(std::move(pending));
      if (queue_.size() == 1) arrived_.notify_one();
      return;
    }
  }
  pending.done(std::move(refusal));
}

Result<void> Node::compact(Revision revision) {
  const Stats now = stats();
  if (revision > now.revision) {
    return make_error(ErrorCode::kOutOfRange, "cannot compact to a revision in the future");
  }
  if (revision <= now.compacted) return {};
  auto promise = std::make_shared<std::promise<Result<TxnResult>>>();
  auto future = promise->get_future();
  enqueue({encode_compact(revision), [promise](Result<TxnResult> r) { promise->set_value(std::move(r)); }});
  Result<TxnResult> result = future.get();
  if (!result.ok()) return std::move(result).error();
  return {};
}

// ---- the node's thread ----

void Node::run() {
  for (;;) {
    Batch batch = take();
    if (!batch.empty()) {
      commit(std::move(batch));
    } else {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    housekeeping();
  }
}

Node::Batch Node::take() {
  const bool busy = applied_.swept < applied_.compacted && unstored_.empty();
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, busy ? std::chrono::milliseconds(0) : kTick,
                    [this] { return stopping_ || !queue_.empty(); });
  Batch batch;
  std::size_t bytes = 0;
  std::size_t n = 0;
  while (n < queue_.size() && n < kGroupTxns && bytes < kGroupBytes) bytes += queue_[n++].command.size();
  queued_bytes_ -= bytes;
  if (n == queue_.size()) {
    batch.swap(queue_);
    return batch;
  }
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(n);
  batch.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return batch;
}

void Node::commit(Batch batch) {
  Error refusal;
  if (!make_durable(batch, &refusal)) {
    for (Pending& pending : batch) pending.done(refusal);
    return;
  }
  Hub::Wakes wakes;
  std::vector<TxnResult> results;
  results.reserve(batch.size());
  for (Pending& pending : batch) {
    Result<State::Plan> plan = apply(pending.command, &wakes);
    COX_CHECK(plan.ok());  // we encoded it
    results.push_back(std::move(plan->result));
  }
  store_applied();
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].done(std::move(results[i]));
  for (const auto& wake : wakes) wake();
}

bool Node::make_durable(const Batch& batch, Error* refusal) {
  if (health() == Health::kReadOnly) recover_space();
  if (const Health now = health(); now != Health::kServing) {
    const std::lock_guard lock(mutex_);
    *refusal = make_error(now == Health::kStopped ? ErrorCode::kUnavailable : ErrorCode::kResourceExhausted,
                          reason_);
    return false;
  }
  if (wal_ == nullptr) return true;
  std::vector<std::string_view> payloads;
  payloads.reserve(batch.size());
  for (const Pending& pending : batch) payloads.push_back(pending.command);
  Result<void> outcome = wal_->append(payloads);
  if (!outcome.ok() && outcome.error().code == ErrorCode::kResourceExhausted) {
    *refusal =
        make_error(ErrorCode::kResourceExhausted, "no space left for the log: " + outcome.error().message);
    set_health(Health::kReadOnly, refusal->message);
    retry_at_ms_ = options_.clock->now_ms() + kRetryMs;
    return false;
  }
  if (outcome.ok()) outcome = wal_->sync();
  if (outcome.ok()) return true;
  *refusal = make_error(ErrorCode::kDeadlineExceeded, stop_member(outcome.error()));
  return false;
}

std::string Node::stop_member(const Error& cause) {
  std::string reason =
      "the log failed and this member has stopped; check the disk, then restart it: " + cause.message;
  set_health(Health::kStopped, reason);
  return reason;
}

Result<State::Plan> Node::apply(std::string_view bytes, Hub::Wakes* wakes) {
  COX_ASSIGN_OR_RETURN(Command command, decode_command(bytes));
  State::Plan plan = state_.plan(std::move(command));
  hub_->publish(plan, &state_, wakes);
  ++applied_.index;
  if (!plan.events.empty()) applied_.revision = plan.result.revision;
  applied_.compacted = std::max(applied_.compacted, plan.compact_to);
  History::record(plan.events, &unstored_);
  return plan;
}

// The engine follows; should it fail, the log still has everything and the batch is kept for a retry.
void Node::store_applied() {
  if (stored_index_ == applied_.index && unstored_.empty()) return;
  EngineBatch batch = std::move(unstored_);
  unstored_.clear();
  const std::size_t rows = batch.size();
  History::record_applied(applied_, &batch);
  const Result<void> written = options_.engine->write(batch);
  if (written.ok()) {
    stored_index_ = applied_.index;
    hub_->trim();
    return;
  }
  batch.resize(rows);
  unstored_ = std::move(batch);
  set_health(Health::kReadOnly, "the state cannot be stored: " + written.error().message);
}

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
  const Result<void> room = wal_ == nullptr ? Result<void>() : wal_->make_room();
  if (!room.ok()) {
    if (room.error().code != ErrorCode::kResourceExhausted) stop_member(room.error());
    checkpoint_at_bytes_ = 0;  // what the log frees may be enough
    return;
  }
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
  const auto replay = [&](std::uint64_t index, std::string_view payload) -> Result<void> {
    COX_ASSIGN_OR_RETURN(Command command, decode_command(payload));
    const State::Plan plan = state.plan(std::move(command));
    state.commit(plan);
    applied.index = index;
    if (!plan.events.empty()) applied.revision = plan.result.revision;
    applied.compacted = std::max(applied.compacted, plan.compact_to);
    History::record(plan.events, &batch);
    return batch.size() < kReplayRows ? Result<void>() : store();
  };
  if (wal_ != nullptr) COX_RETURN_IF_ERROR(wal_->read(applied.index, replay));
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
  if (wal_ == nullptr) return;
  std::uint64_t flushed = 0;
  {
    const std::lock_guard lock(mutex_);
    log_bytes_ = static_cast<std::int64_t>(wal_->disk_bytes());
    flushed = std::exchange(flushed_index_, 0);
    if (flush_index_ == 0 && wal_->appended_bytes() >= checkpoint_at_bytes_) {
      flush_index_ = stored_index_;
      checkpoint_at_bytes_ = wal_->appended_bytes() + options_.checkpoint_log_bytes;
      checkpoint_wanted_.notify_one();
    }
  }
  if (flushed != 0) (void)wal_->truncate_prefix(flushed);  // what could not be removed goes next time
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

Node::Health Node::health() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

void Node::set_health(Health health, std::string reason) {
  const std::lock_guard lock(mutex_);
  if (health_ == Health::kStopped) return;
  health_ = health;
  reason_ = std::move(reason);
}

// ---- reads: any thread ----

Result<void> Node::check_revision(Revision asked, Revision current, Revision compacted) const {
  if (asked < 0) return make_error(ErrorCode::kInvalidArgument, "negative revision");
  if (asked > current) {
    return make_error(ErrorCode::kOutOfRange, "revision " + std::to_string(asked) +
                                                  " is in the future; the store is at " +
                                                  std::to_string(current));
  }
  if (asked != 0 && asked < compacted) {
    return make_error(ErrorCode::kCompacted, "revision " + std::to_string(asked) +
                                                 " has been compacted; the oldest available is " +
                                                 std::to_string(compacted));
  }
  return {};
}

Result<EntryPtr> Node::get(std::string_view key, Revision revision) const {
  Revision current = 0;
  Revision compacted = 0;
  EntryPtr found = state_.find(key, &current, &compacted);
  COX_RETURN_IF_ERROR(check_revision(revision, current, compacted));
  // Whatever was last changed at or before the revision is what was there then.
  const bool as_of_now =
      revision == 0 || revision == current || (found != nullptr && found->mod_revision <= revision);
  if (!as_of_now) {
    Overlay overlay;
    std::vector<EventPtr> keep;
    if (hub_->undo(revision, current, key, &overlay, &keep)) {
      const auto it =
          std::find_if(overlay.begin(), overlay.end(), [&](const auto& item) { return item.first == key; });
      if (it != overlay.end()) found = it->second;
    } else {
      COX_ASSIGN_OR_RETURN(found, history_->get(key, revision));
      COX_RETURN_IF_ERROR(check_revision(revision, current, state_.snapshot().compacted));
    }
  }
  if (found == nullptr) return make_error(ErrorCode::kNotFound, "no such key");
  return found;
}

Result<RangeResult> Node::range(const RangeRequest& request) const {
  const State::Snapshot now = state_.snapshot();
  COX_RETURN_IF_ERROR(check_revision(request.revision, now.revision, now.compacted));
  RangeResult result;
  result.revision = request.revision == 0 ? now.revision : request.revision;
  if (result.revision != now.revision) {
    COX_RETURN_IF_ERROR(read_old(request, now, &result));
  } else {
    read_range(now.index, {}, request, &result);
  }
  return result;
}

Result<void> Node::read_old(const RangeRequest& request, const State::Snapshot& now,
                            RangeResult* result) const {
  Overlay overlay;
  std::vector<EventPtr> keep;
  if (hub_->undo(request.revision, now.revision, request.prefix, &overlay, &keep)) {
    read_range(now.index, overlay, request, result);
    return {};
  }
  const Result<void> read = history_->range(request, result);
  COX_RETURN_IF_ERROR(check_revision(request.revision, now.revision, state_.snapshot().compacted));
  return read;
}

std::int64_t Node::count(std::string_view prefix) const {
  return state_.snapshot().index.count_prefix(prefix);
}

Result<std::unique_ptr<Watcher>> Node::watch(std::string_view prefix, Revision after) {
  return hub_->watch(prefix, after);
}

Revision Node::revision() const { return state_.snapshot().revision; }

Stats Node::stats() const {
  const State::Snapshot now = state_.snapshot();
  Stats stats;
  stats.revision = now.revision;
  stats.compacted = now.compacted;
  stats.keys = now.index.size();
  stats.watchers = hub_->watchers();
  stats.disk_bytes = options_.engine->disk_bytes();
  const std::lock_guard lock(mutex_);
  stats.disk_bytes += log_bytes_;
  stats.read_only = health_ != Health::kServing;
  stats.read_only_reason = reason_;
  return stats;
}

}  // namespace coxswain::store
