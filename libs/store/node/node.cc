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
  for (Proposal& lost : proposals_)
    lost.done(make_error(ErrorCode::kDeadlineExceeded, "the store is closing"));
  if (log_ == nullptr || options_.env == nullptr || health() != Health::kServing || !unstored_.empty())
    return;
  if (options_.engine->flush().ok()) (void)log_->truncate_prefix(stored_index_);  // a fast next start
}

Result<void> Node::start() {
  COX_ASSIGN_OR_RETURN(applied_, history_->load(&state_));
  stored_index_ = applied_.index;
  hub_->start(history_, applied_.revision, applied_.compacted);
  if (applied_.configuration.voters.empty()) applied_.configuration.voters = {options_.id};
  // A first log begins with an empty hard state; one that an upgrade made has its own.
  const RaftLog::Origin origin{applied_.index, applied_.term, {}};
  auto opened = RaftLog::open(
      {options_.env, options_.log_dir, options_.log_segment_bytes, options_.log_cache_bytes}, origin);
  if (!opened.ok()) return std::move(opened).error();
  log_ = std::move(opened).value();
  log_bytes_ = static_cast<std::int64_t>(log_->disk_bytes());
  start_raft();
  COX_RETURN_IF_ERROR(drive());
  (void)lead();  // on a full disk it cannot yet; reads are served
  if (health() == Health::kStopped) return make_error(ErrorCode::kIo, reason_);
  store_applied();
  checkpoint_at_bytes_ = options_.checkpoint_log_bytes;
  sample_at_ms_ = options_.clock->now_ms();
  sample_revision_ = applied_.revision;
  thread_ = std::thread([this] { run(); });
  if (options_.env != nullptr) checkpoint_thread_ = std::thread([this] { run_checkpoints(); });
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

// A member is started, and after a write that found no room started again, from what is durable.
void Node::start_raft() {
  raft::Options options;
  options.id = options_.id;
  options.seed = options_.seed;
  raft::HardState state = log_->hard_state();
  state.commit = std::min(std::max<raft::Index>(state.commit, applied_.index), log_->last_index());
  const raft::Configuration& now = applied_.configuration;
  if (now.voters == std::vector{options_.id} && !now.joint()) {
    // Whatever is durable here was committed by that, up to the next change of members.
    const std::vector<raft::Index> changes = log_->changes();
    const auto next = std::upper_bound(changes.begin(), changes.end(), applied_.index);
    state.commit = next == changes.end() ? log_->last_index() : *next;
  }
  raft_ = std::make_unique<raft::Raft>(options, *log_,
                                       raft::Start{state, applied_.index, applied_.configuration});
}

// A group of one leads at once, and applies again what it had not stored. False: it cannot, there is no room.
bool Node::lead() {
  if (raft_->role() == raft::Role::kLeader) return true;
  if (!log_outcome(log_->reserve(RaftLog::bytes_for(1, 0))).ok()) return false;
  raft_->campaign();
  const Result<void> driven = drive();
  if (!driven.ok()) start_raft();
  return driven.ok() && raft_->role() == raft::Role::kLeader;
}

void Node::commit(Batch batch) {
  const Result<void> taken = propose(batch);
  if (!taken.ok()) {
    for (Pending& pending : batch) pending.done(taken.error());
    return;
  }
  const raft::Index first = raft_->last_index() + 1 - batch.size();
  for (std::size_t i = 0; i < batch.size(); ++i)
    proposals_.push_back({first + i, raft_->term(), std::move(batch[i].done)});
  const Result<void> driven = drive();
  if (driven.ok()) return;
  std::deque<Proposal> refused;
  refused.swap(proposals_);
  for (Proposal& proposal : refused) proposal.done(driven.error());
}

// All of them get a place in the log, or none.
Result<void> Node::propose(Batch& batch) {
  if (health() == Health::kReadOnly) recover_space();
  if (const Health now = health(); now != Health::kServing) {
    const std::lock_guard lock(mutex_);
    return make_error(now == Health::kStopped ? ErrorCode::kUnavailable : ErrorCode::kResourceExhausted,
                      reason_);
  }
  std::size_t bytes = 0;
  for (const Pending& pending : batch) bytes += pending.command.size();
  refused_bytes_ = RaftLog::bytes_for(batch.size(), bytes);
  COX_RETURN_IF_ERROR(log_outcome(log_->reserve(refused_bytes_)));
  std::vector<raft::Payload> payloads;
  payloads.reserve(batch.size());
  for (Pending& pending : batch)
    payloads.push_back(std::make_shared<const std::string>(std::move(pending.command)));
  const raft::Outcome outcome = raft_->propose(std::move(payloads));
  if (outcome != raft::Outcome::kAccepted)
    return make_error(ErrorCode::kUnavailable, "this member does not lead; try again");
  return {};
}

// What a failure of the log means for this member and its callers.
Result<void> Node::log_outcome(const Result<void>& outcome) {
  if (outcome.ok()) return {};
  if (outcome.error().code != ErrorCode::kResourceExhausted)
    return make_error(ErrorCode::kDeadlineExceeded, stop_member(outcome.error()));
  Error refusal =
      make_error(ErrorCode::kResourceExhausted, "no space left for the log: " + outcome.error().message);
  set_health(Health::kReadOnly, refusal.message);
  retry_at_ms_ = options_.clock->now_ms() + kRetryMs;
  return refusal;
}

// Until the core has nothing more to do: stored, applied, answered. After an error nothing of what was
// proposed is in the log, or the member has stopped.
Result<void> Node::drive() {
  while (raft_->has_ready()) {
    const raft::Ready ready = raft_->ready();
    if (ready.must_sync) {
      Result<void> stored = log_->append(ready.hard_state, ready.entries);
      if (stored.ok()) stored = log_->sync();
      if (Result<void> outcome = log_outcome(stored); !outcome.ok()) {
        // Nothing is stored: the core, which thinks of it as written, forgets it by starting anew.
        if (health() != Health::kStopped) start_raft();
        return outcome;
      }
    }
    if (!ready.must_sync && !ready.hard_state.has_value() && ready.committed.empty() && ready.reads.empty() &&
        ready.messages.empty() && ready.after_persist.empty()) {
      // What is committed comes from the log, and it gives nothing.
      return log_outcome(make_error(ErrorCode::kIo, "the log cannot be read"));
    }
    apply(ready.committed);
    raft_->advance(ready);
    log_->forget(applied_.index);
  }
  return {};
}

void Node::apply(const std::vector<raft::Entry>& entries) {
  if (entries.empty()) return;
  Hub::Wakes wakes;
  std::vector<std::pair<Proposal, TxnResult>> answers;
  for (const raft::Entry& entry : entries) {
    Result<State::Plan> plan = plan_entry(entry, state_, &applied_);
    COX_CHECK(plan.ok());  // we encoded it
    if (entry.kind == raft::EntryKind::kData && entry.data != nullptr) {
      hub_->publish(*plan, &state_, &wakes);
      History::record(plan->events, &unstored_);
    }
    if (unstored_.size() >= kReplayRows) store_applied();
    if (proposals_.empty() || proposals_.front().index != entry.index) continue;
    COX_CHECK(proposals_.front().term == entry.term);  // a group of one
    answers.emplace_back(std::move(proposals_.front()), std::move(plan->result));
    proposals_.pop_front();
  }
  store_applied();
  for (auto& [proposal, result] : answers) proposal.done(std::move(result));
  for (const auto& wake : wakes) wake();
}

// What an entry does to a state, worked out but not done, and where the state is then.
Result<State::Plan> Node::plan_entry(const raft::Entry& entry, const State& state, Applied* applied) {
  COX_CHECK(entry.index == applied->index + 1);
  State::Plan plan;
  if (entry.kind == raft::EntryKind::kConfiguration) {
    COX_ASSIGN_OR_RETURN(applied->configuration, raft::decode_configuration(*entry.data));
  } else if (entry.data != nullptr) {  // else a new leader's first entry
    COX_ASSIGN_OR_RETURN(Command command, decode_command(*entry.data));
    plan = state.plan(std::move(command));
    if (!plan.events.empty()) applied->revision = plan.result.revision;
    applied->compacted = std::max(applied->compacted, plan.compact_to);
  }
  applied->index = entry.index;
  applied->term = entry.term;
  return plan;
}

std::string Node::stop_member(const Error& cause) {
  std::string reason =
      "the log failed and this member has stopped; check the disk, then restart it: " + cause.message;
  set_health(Health::kStopped, reason);
  return reason;
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

}  // namespace coxswain::store
