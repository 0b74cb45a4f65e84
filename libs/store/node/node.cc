#include "libs/store/node/node.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <random>

#include "libs/common/base/check.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kGroupTxns = 4096;  // one group commit; bounds the log write and the engine batch
constexpr std::size_t kGroupBytes = 8u << 20;
constexpr std::int64_t kPauseMs = 500;
constexpr std::size_t kBarriers = 65536;
constexpr std::size_t kMessages = 4096;  // that wait; more are lost, as if the network had
constexpr std::size_t kMessageBytes = 64u << 20;

std::size_t bytes_of(const raft::Message& message) {
  std::size_t bytes = sizeof message;
  for (const raft::Entry& entry : message.entries) bytes += raft::payload_bytes(entry);
  return bytes;
}

// Processes that are started one after the other have times that grow, and by chance differ if they do not.
MemberOptions with_incarnation(MemberOptions options) {
  if (options.incarnation == 0) {
    const auto now_ms = static_cast<std::uint64_t>(options.clock->unix_ms());
    options.incarnation = now_ms << 20 | (std::random_device{}() & 0xfffffu);
  }
  return options;
}

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
      transport_(std::move(options.transport)),
      tick_ms_(options.tick_ms),
      cluster_id_(std::move(options.cluster_id)),
      self_(std::move(options.self)),
      roster_(std::move(options.roster)),
      on_members_(std::move(options.on_members)),
      on_removed_(std::move(options.on_removed)),
      on_event_(std::move(options.on_event)),
      clock_(*options.member.clock),
      member_(with_incarnation(std::move(options.member)), *this),
      state_(member_.state()),
      hub_(member_.hub()),
      history_(member_.history()) {}

Node::~Node() {
  leave();
  if (transport_ != nullptr) transport_->stop();
  Mail refused;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    std::swap(refused, mail_);
  }
  arrived_.notify_all();
  flush_wanted_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (flush_thread_.joinable()) flush_thread_.join();
  const Error closing = make_error(ErrorCode::kUnavailable, "the store is closing");
  for (Member::Proposal& proposal : refused.proposals) proposal.done(closing);
  for (BarrierDone& done : refused.barriers) done(closing);
  member_.close();
  refuse_admin();
}

// Somebody else leads first, so that nobody has to wait for an election.
void Node::leave() {
  constexpr int kTries = 250;
  if (transport_ == nullptr || !thread_.joinable()) return;
  const Group now = group();
  if (now.role != raft::Role::kLeader || now.members.voters.size() < 2) return;
  hand_over();
  for (int i = 0; i < kTries && group().role == raft::Role::kLeader; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

Result<void> Node::start() {
  COX_RETURN_IF_ERROR(member_.start());
  publish_status();
  tick_at_ms_ = clock_.now_ms() + tick_ms_;
  if (transport_ != nullptr) COX_RETURN_IF_ERROR(transport_->start(*this));
  thread_ = std::thread([this] { run(); });
  if (durable_) flush_thread_ = std::thread([this] { run_flushes(); });
  return {};
}

// ---- writes: any thread ----

void Node::txn(Txn txn, TxnDone done) {
  if (Result<void> valid = check_txn(txn, limits_.max_value_bytes, limits_.max_txn_bytes); !valid.ok()) {
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
    } else if (mail_.proposals.size() >= limits_.max_queued_txns ||
               queued_bytes_ + proposal.command.size() > limits_.max_queued_bytes) {
      refusal = make_error(ErrorCode::kResourceExhausted, "too many writes are waiting; retry later");
    } else {
      queued_bytes_ += proposal.command.size();
      mail_.proposals.push_back(std::move(proposal));
      if (mail_.proposals.size() == 1) arrived_.notify_one();
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

void Node::barrier(BarrierDone done) {
  const bool alone = transport_ == nullptr || alone_.load(std::memory_order_acquire);
  if (alone && !damaged_.load(std::memory_order_acquire)) return done({});  // nobody else can write
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && mail_.barriers.size() >= kBarriers) {
      // Refused below.
    } else if (!stopping_) {
      mail_.barriers.push_back(std::move(done));
      if (mail_.barriers.size() == 1) arrived_.notify_one();
      return;
    }
  }
  done(make_error(ErrorCode::kUnavailable, "the store is closing, or too many reads wait; try again"));
}

Node::Group Node::group() const {
  const std::lock_guard lock(mutex_);
  return group_;
}

void Node::hand_over(raft::MemberId to) {
  const std::lock_guard lock(mutex_);
  mail_.hand_over = to;
  arrived_.notify_one();
}

// ---- from the transport ----

void Node::receive(raft::Message message) {
  const std::lock_guard lock(mutex_);
  const std::size_t bytes = bytes_of(message);
  if (mail_.messages.size() >= kMessages || message_bytes_ + bytes > kMessageBytes) return;
  message_bytes_ += bytes;
  mail_.messages.push_back(std::move(message));
  if (mail_.messages.size() == 1) arrived_.notify_one();
}

Result<std::unique_ptr<EngineCopy>> Node::start_copy() {
  COX_ASSIGN_OR_RETURN(std::unique_ptr<EngineCopy> copy, engine_->start_copy());
  return std::unique_ptr<EngineCopy>(std::make_unique<CopiedState>(std::move(copy)));
}

void Node::receive_state(raft::Message message, std::unique_ptr<EngineCopy> copy) {
  // It is one of start_copy().
  std::unique_ptr<CopiedState> state(static_cast<CopiedState*>(copy.release()));
  const std::lock_guard lock(mutex_);
  mail_.states.push_back({std::move(message), std::move(state)});
  arrived_.notify_one();
}

void Node::unreachable(raft::MemberId id) {
  const std::lock_guard lock(mutex_);
  if (mail_.reports.size() >= kMessages) return;
  mail_.reports.push_back({id, std::nullopt});
  arrived_.notify_one();
}

void Node::state_sent(raft::MemberId id, bool arrived) {
  const std::lock_guard lock(mutex_);
  mail_.reports.push_back({id, arrived});
  arrived_.notify_one();
}

// ---- the node's thread ----

void Node::run() {
  for (;;) {
    Mail mail = take();
    if (mail.empty()) {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    work(std::move(mail));
    if (transport_ != nullptr && clock_.now_ms() >= tick_at_ms_) tick();
    member_.upkeep();
    publish_status();
    if (transport_ != nullptr) answer_admin();
  }
}

Node::Mail Node::take() {
  const std::int64_t until_tick =
      transport_ == nullptr ? kPauseMs : std::max<std::int64_t>(0, tick_at_ms_ - clock_.now_ms());
  const std::int64_t pause_ms = member_.busy() ? 0 : std::min(kPauseMs, until_tick);
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, std::chrono::milliseconds(pause_ms),
                    [this] { return stopping_ || !mail_.empty(); });
  Mail mail;
  Batch proposals = take_proposals();
  Batch later = std::move(mail_.proposals);
  std::swap(mail, mail_);
  mail.proposals = std::move(proposals);
  mail_.proposals = std::move(later);
  message_bytes_ = 0;
  return mail;
}

// As many as make one group; the others wait for the next.
Node::Batch Node::take_proposals() {
  Batch& queue = mail_.proposals;
  Batch batch;
  std::size_t bytes = 0;
  std::size_t n = 0;
  while (n < queue.size() && n < kGroupTxns && bytes < kGroupBytes) bytes += queue[n++].command.size();
  queued_bytes_ -= bytes;
  if (n == queue.size()) {
    batch.swap(queue);
    return batch;
  }
  const auto end = queue.begin() + static_cast<std::ptrdiff_t>(n);
  batch.assign(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
  queue.erase(queue.begin(), end);
  return batch;
}

void Node::work(Mail mail) {
  if (mail.flushed.has_value()) member_.flushed(*std::move(mail.flushed));
  if (bad_image_->load()) member_.distrust("what this member has stored is not what it applied");
  for (Incoming& state : mail.states) member_.install(std::move(state.message), std::move(state.copy));
  if (!mail.messages.empty()) member_.step(std::move(mail.messages));
  // After what was received before: the last words of a leader that died are no sign of life.
  for (const Report& report : mail.reports) {
    if (report.state_arrived.has_value())
      member_.report_state(report.id, *report.state_arrived);
    else
      member_.report_unreachable(report.id);
  }
  if (mail.hand_over.has_value()) member_.hand_over(*mail.hand_over);
  if (!mail.barriers.empty()) {
    // One round to a quorum for all of them.
    member_.read_barrier([waiting = std::make_shared<std::vector<BarrierDone>>(std::move(mail.barriers))](
                             const Result<void>& outcome) {
      for (BarrierDone& done : *waiting) done(outcome);
    });
  }
  if (!mail.proposals.empty()) member_.propose(std::move(mail.proposals));
}

// A tick that comes late is one tick: time that this member missed proves nothing.
void Node::tick() {
  member_.tick();
  care_for_members();
  tick_at_ms_ = std::max(tick_at_ms_ + tick_ms_, clock_.now_ms() + tick_ms_ / 2);
}

void Node::installed(const Applied& applied) {
  noticed("took over the state of another member, as of entry " + std::to_string(applied.index));
}

void Node::tell_leader() {
  const raft::Raft& raft = member_.raft();
  if (transport_ == nullptr || raft.leader() == told_leader_) return;
  told_leader_ = raft.leader();
  const std::string who = told_leader_ == raft::kNobody ? "nobody" : "member " + std::to_string(told_leader_);
  noticed(who + " leads in term " + std::to_string(raft.term()));
}

void Node::publish_status() {
  tell_leader();
  const raft::Raft& raft = member_.raft();
  const std::int64_t log_bytes = member_.log_bytes();
  const std::lock_guard lock(mutex_);
  log_bytes_ = log_bytes;
  group_.leader = raft.leader();
  group_.role = raft.role();
  group_.term = raft.term();
  group_.last = raft.last_index();
  group_.committed = raft.committed();
  group_.applied = member_.applied().index;
  group_.log_first = member_.log().first_index();
  if (group_.members != raft.configuration()) group_.members = raft.configuration();
  if (checks_ != member_.applied().checks) checks_ = member_.applied().checks;
  damaged_.store(!member_.damage().empty(), std::memory_order_release);
  publish_match(raft.progress());
  alone_.store(raft.role() == raft::Role::kLeader && raft.progress().empty() && !group_.members.joint(),
               std::memory_order_release);
}

// In place: this is done for every group, and the members are nearly always the same ones.
void Node::publish_match(const std::map<raft::MemberId, raft::Progress>& progress) {
  auto at = group_.match.begin();
  for (const auto& [id, of] : progress) {
    while (at != group_.match.end() && at->first < id) at = group_.match.erase(at);
    if (at == group_.match.end() || at->first != id) at = group_.match.emplace_hint(at, id, 0);
    (at++)->second = of.match();
  }
  group_.match.erase(at, group_.match.end());
}

void Node::send(raft::Message message) {
  COX_CHECK(transport_ != nullptr);  // a group of one has nobody to talk to
  if (!message.snapshot.has_value()) return transport_->send(std::move(message));
  const raft::MemberId to = message.to;
  // The rows of now, which are those of the message: what is applied later is not stored yet.
  Result<std::unique_ptr<EngineImage>> image = engine_->image();
  if (image.ok()) {
    const raft::Snapshot& about = *message.snapshot;
    auto checked = std::make_unique<CheckedImage>(*std::move(image), about.index, about.term, bad_image_);
    return transport_->send_state(std::move(message), std::move(checked));
  }
  state_sent(to, false);
}

void Node::flush_engine() {
  const std::lock_guard lock(mutex_);
  flushing_ = true;
  flush_wanted_.notify_one();
}

void Node::noticed(const std::string& what) {
  if (on_event_) on_event_(what);
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
    mail_.flushed = std::move(outcome);
    arrived_.notify_one();
  }
}

}  // namespace coxswain::store
