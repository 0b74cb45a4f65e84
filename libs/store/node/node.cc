#include "libs/store/node/node.h"

#include <chrono>
#include <future>

#include "libs/common/base/check.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kGroupTxns = 4096;  // one group commit; bounds the log write and the engine batch
constexpr std::size_t kGroupBytes = 8u << 20;
constexpr auto kPause = std::chrono::milliseconds(500);

}  // namespace

Result<std::unique_ptr<Store>> open_node(NodeOptions options) {
  auto node = std::make_unique<Node>(std::move(options));
  COX_RETURN_IF_ERROR(node->start());
  return std::unique_ptr<Store>(std::move(node));
}

Node::Node(NodeOptions options)
    : lock_(std::move(options.lock)),
      engine_(options.member.engine),
      limits_(options.member.limits),
      durable_(options.member.env != nullptr),
      member_(std::move(options.member), *this),
      state_(member_.state()),
      hub_(member_.hub()),
      history_(member_.history()) {}

Node::~Node() {
  Batch refused;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    refused.swap(queue_);
  }
  arrived_.notify_all();
  flush_wanted_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (flush_thread_.joinable()) flush_thread_.join();
  for (Member::Proposal& proposal : refused)
    proposal.done(make_error(ErrorCode::kUnavailable, "the store is closing"));
  member_.close();
}

Result<void> Node::start() {
  COX_RETURN_IF_ERROR(member_.start());
  log_bytes_ = member_.log_bytes();
  thread_ = std::thread([this] { run(); });
  if (durable_) flush_thread_ = std::thread([this] { run_flushes(); });
  return {};
}

// ---- writes: any thread ----

void Node::txn(Txn txn, TxnDone done) {
  if (Result<void> valid = check_txn(txn, limits_.max_txn_bytes); !valid.ok()) {
    done(std::move(valid).error());
    return;
  }
  enqueue({encode_txn(txn), std::move(done)});
}

void Node::enqueue(Member::Proposal proposal) {
  Error refusal;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || health_ == Health::kStopped) {
      refusal = make_error(ErrorCode::kUnavailable, stopping_ ? "the store is closing" : reason_);
    } else if (queue_.size() >= limits_.max_queued_txns ||
               queued_bytes_ + proposal.command.size() > limits_.max_queued_bytes) {
      refusal = make_error(ErrorCode::kResourceExhausted, "too many writes are waiting; retry later");
    } else {
      queued_bytes_ += proposal.command.size();
      queue_.push_back(std::move(proposal));
      if (queue_.size() == 1) arrived_.notify_one();
      return;
    }
  }
  proposal.done(std::move(refusal));
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
    hand_over_flush();
    if (!batch.empty()) {
      member_.propose(std::move(batch));
    } else {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    member_.upkeep();
    const std::int64_t log_bytes = member_.log_bytes();
    const std::lock_guard lock(mutex_);
    log_bytes_ = log_bytes;
  }
}

Node::Batch Node::take() {
  const bool busy = member_.busy();
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, busy ? std::chrono::milliseconds(0) : kPause,
                    [this] { return stopping_ || !queue_.empty() || flushed_.has_value(); });
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

void Node::hand_over_flush() {
  std::optional<Result<void>> outcome;
  {
    const std::lock_guard lock(mutex_);
    outcome.swap(flushed_);
  }
  if (outcome.has_value()) member_.flushed(*std::move(outcome));
}

void Node::send(raft::Message) { COX_CHECK(false); }  // a group of one has nobody to talk to

void Node::flush_engine() {
  const std::lock_guard lock(mutex_);
  flushing_ = true;
  flush_wanted_.notify_one();
}

void Node::health_changed(Health health, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  health_ = health;
  reason_ = reason;
}

// ---- the flush thread ----

void Node::run_flushes() {
  std::unique_lock lock(mutex_);
  for (;;) {
    flush_wanted_.wait(lock, [this] { return stopping_ || flushing_; });
    if (stopping_) return;
    lock.unlock();
    Result<void> outcome = engine_->flush();
    lock.lock();
    flushing_ = false;
    flushed_ = std::move(outcome);
    arrived_.notify_one();
  }
}

}  // namespace coxswain::store
