#include "libs/store/node/member.h"

#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store {
Member::Member(MemberOptions options, MemberHost& host)
    : options_(std::move(options)),
      host_(host),
      hub_(std::make_shared<Hub>(options_.limits.history_events, options_.limits.history_bytes)),
      history_(std::make_shared<History>(options_.engine)),
      next_read_(options_.raft.seed) {
  COX_CHECK(options_.clock != nullptr && options_.engine != nullptr);
}

Member::~Member() = default;

Result<void> Member::start() {
  COX_ASSIGN_OR_RETURN(applied_, history_->load(&state_));
  stored_index_ = applied_.index;
  hub_->start(history_, applied_.revision, applied_.compacted);
  if (applied_.configuration.voters.empty() || raft::planted(raft::Mutant::kConfigurationLostOnRestart))
    applied_.configuration = options_.initial;
  // A first log begins with an empty hard state; one that an upgrade made has its own.
  COX_ASSIGN_OR_RETURN(copied_, history_->copied());
  const RaftLog::Origin origin{applied_.index, applied_.term, {}, copied_};
  auto opened = RaftLog::open(
      {options_.env, options_.log_dir, options_.log_segment_bytes, options_.log_cache_bytes}, origin);
  if (!opened.ok()) return std::move(opened).error();
  log_ = std::move(opened).value();
  start_raft();
  COX_RETURN_IF_ERROR(drive());
  if (sole_voter()) (void)lead();  // on a full disk it cannot yet; reads are served
  if (health_ == Health::kStopped) return make_error(ErrorCode::kIo, reason_);
  store_applied();
  checkpoint_at_bytes_ = options_.checkpoint_log_bytes;
  sample_at_ms_ = options_.clock->now_ms();
  sample_revision_ = applied_.revision;
  return {};
}

void Member::close() {
  hub_->close();
  refuse_proposals(make_error(ErrorCode::kDeadlineExceeded, "the store is closing"));
  for (auto& [context, read] : reads_) read.done(make_error(ErrorCode::kUnavailable, "the store is closing"));
  reads_.clear();
  if (log_ == nullptr || options_.env == nullptr || health_ != Health::kServing || behind_) return;
  if (options_.engine->flush().ok()) (void)log_->truncate_prefix(stored_index_);  // a fast next start
}

// A member is started, and after a write that found no room started again, from what is durable.
void Member::start_raft() {
  raft::HardState state = log_->hard_state();
  state.commit = std::min(std::max<raft::Index>(state.commit, applied_.index), log_->last_index());
  if (sole_voter()) {
    // Whatever is durable here was committed by that, up to the next change of members.
    const std::vector<raft::Index> changes = log_->changes();
    const auto next = std::upper_bound(changes.begin(), changes.end(), applied_.index);
    state.commit = next == changes.end() ? log_->last_index() : *next;
  }
  raft_ = std::make_unique<raft::Raft>(options_.raft, static_cast<const raft::LogReader&>(*this),
                                       raft::Start{state, applied_.index, applied_.configuration});
}

bool Member::sole_voter() const {
  const raft::Configuration& now = applied_.configuration;
  return now.voters == std::vector{options_.raft.id} && !now.joint();
}

// A group of one leads at once, and applies again what it had not stored. False: it cannot, there is no room.
bool Member::lead() {
  if (raft_->role() == raft::Role::kLeader) return true;
  raft_->campaign();
  return drive().ok() && raft_->role() == raft::Role::kLeader;
}

// ---- what comes in ----

void Member::propose(std::vector<Proposal> batch) {
  const Result<void> taken = accept(batch);
  if (!taken.ok()) {
    for (Proposal& proposal : batch) proposal.done(taken.error());
    return;
  }
  const raft::Index first = raft_->last_index() + 1 - batch.size();
  for (std::size_t i = 0; i < batch.size(); ++i)
    proposals_.push_back({first + i, raft_->term(), ticks_, std::move(batch[i].done)});
  turn();
}

// All of them get a place in the log, or none.
Result<void> Member::accept(std::vector<Proposal>& batch) {
  if (health_ == Health::kReadOnly) recover_space();
  if (health_ != Health::kServing) {
    return make_error(health_ == Health::kStopped ? ErrorCode::kUnavailable : ErrorCode::kResourceExhausted,
                      reason_);
  }
  std::size_t bytes = 0;
  for (const Proposal& proposal : batch) bytes += proposal.command.size();
  refused_bytes_ = RaftLog::bytes_for(batch.size(), bytes);
  COX_RETURN_IF_ERROR(log_outcome(log_->reserve(refused_bytes_)));
  std::vector<raft::Payload> payloads;
  payloads.reserve(batch.size());
  for (Proposal& proposal : batch)
    payloads.push_back(std::make_shared<const std::string>(std::move(proposal.command)));
  switch (raft_->propose(std::move(payloads))) {
    case raft::Outcome::kAccepted:
      return {};
    case raft::Outcome::kBusy:
      return make_error(ErrorCode::kResourceExhausted, "too many writes are waiting; retry later");
    case raft::Outcome::kNotLeader:
    case raft::Outcome::kNotAllowed:
      break;
  }
  return make_error(ErrorCode::kUnavailable, "this member does not lead; try again");
}

void Member::read_barrier(ReadDone done) {
  if (health_ == Health::kStopped) return done(make_error(ErrorCode::kUnavailable, reason_));
  const std::uint64_t context = next_read_++;
  reads_[context] = {std::move(done), std::nullopt, ticks_, ticks_};
  (void)raft_->read_index(context);  // whoever gets no answer asks again, in tick()
  turn();
}

void Member::step(std::vector<raft::Message> messages) {
  if (health_ == Health::kStopped) return;
  for (raft::Message& message : messages) raft_->step(std::move(message));
  turn();
}

void Member::hand_over() {
  if (health_ == Health::kStopped || raft_->role() != raft::Role::kLeader) return;
  raft::MemberId best = raft::kNobody;
  raft::Index most = 0;
  for (const auto& [id, progress] : raft_->progress()) {
    if (!raft_->configuration().is_voter(id) || progress.match() < most) continue;
    best = id;
    most = progress.match();
  }
  if (best != raft::kNobody) (void)raft_->transfer_leadership(best);
  turn();
}

void Member::report_unreachable(raft::MemberId id) {
  if (health_ == Health::kStopped) return;
  raft_->report_unreachable(id);
  turn();
}

void Member::report_state(raft::MemberId id, bool arrived) {
  if (health_ == Health::kStopped) return;
  raft_->report_snapshot(id, arrived);
  turn();
}

void Member::install(raft::Message message, std::unique_ptr<EngineCopy> copy) {
  incoming_ = std::move(copy);
  std::vector<raft::Message> messages;
  messages.push_back(std::move(message));
  step(std::move(messages));
  incoming_.reset();
}

void Member::tick() {
  if (health_ == Health::kStopped) return;
  ++ticks_;
  raft_->tick();
  give_up();
  ask_again();
  turn();
}

// Without a quorum nobody can say what becomes of a write, and a read is not to be served.
void Member::give_up() {
  const auto patience = static_cast<std::uint64_t>(options_.patience_ticks);
  while (!proposals_.empty() && ticks_ - proposals_.front().since_tick > patience) {
    const Store::TxnDone done = std::move(proposals_.front().done);
    proposals_.pop_front();
    done(
        make_error(ErrorCode::kDeadlineExceeded, "no quorum has answered; the write may still come to pass"));
  }
  for (auto it = reads_.begin(); it != reads_.end();) {
    if (ticks_ - it->second.since_tick <= patience) {
      ++it;
      continue;
    }
    const ReadDone done = std::move(it->second.done);
    it = reads_.erase(it);
    done(make_error(ErrorCode::kUnavailable, "no quorum has answered; try again"));
  }
}

// A read that was lost on its way gets a fresh context: an answer to an old one may speak of an old quorum.
void Member::ask_again() {
  std::vector<std::uint64_t> lost;
  for (const auto& [context, read] : reads_) {
    if (!read.index.has_value() &&
        ticks_ - read.asked_tick >= static_cast<std::uint64_t>(options_.raft.election_ticks))
      lost.push_back(context);
  }
  for (const std::uint64_t context : lost) {
    Read read = std::move(reads_[context]);
    reads_.erase(context);
    read.asked_tick = ticks_;
    reads_[next_read_] = std::move(read);
    (void)raft_->read_index(next_read_++);
  }
}

// ---- what follows from it ----

void Member::turn() {
  if (const Result<void> driven = drive(); !driven.ok()) {
    // Others may have got what this member could not keep.
    const bool alone = sole_voter();
    refuse_proposals(alone ? driven.error()
                           : make_error(ErrorCode::kDeadlineExceeded, driven.error().message));
  }
}

void Member::refuse_proposals(const Error& error) {
  std::deque<Pending> refused;
  refused.swap(proposals_);
  for (Pending& pending : refused) pending.done(error);
}

// What a failure of the log means for this member and its callers.
Result<void> Member::log_outcome(const Result<void>& outcome) {
  if (outcome.ok()) return {};
  if (outcome.error().code != ErrorCode::kResourceExhausted)
    return make_error(ErrorCode::kDeadlineExceeded, stop_member(outcome.error()));
  Error refusal =
      make_error(ErrorCode::kResourceExhausted, "no space left for the log: " + outcome.error().message);
  set_health(Health::kReadOnly, refusal.message);
  retry_at_ms_ = options_.clock->now_ms() + kRetryMs;
  return refusal;
}

// Until the core has nothing more to do: sent, stored, applied, answered. After an error nothing of what was
// to be stored is in the log, or the member has stopped.
Result<void> Member::drive() {
  if (health_ == Health::kStopped) return make_error(ErrorCode::kUnavailable, reason_);
  host_.moved();
  while (raft_->has_ready()) {
    raft::Ready ready = raft_->ready();
    const bool empty = !ready.must_sync && !ready.hard_state.has_value() && ready.committed.empty() &&
                       ready.reads.empty() && ready.messages.empty() && ready.after_persist.empty();
    // What is committed comes from the log, and it gives nothing.
    if (empty) return log_outcome(make_error(ErrorCode::kIo, "the log cannot be read"));
    for (raft::Message& message : ready.messages) host_.send(std::move(message));
    if (Result<void> stored = store(ready); !stored.ok()) {
      // The core thinks of it as written. It forgets that by starting anew.
      if (health_ != Health::kStopped) start_raft();
      return stored;
    }
    for (raft::Message& message : ready.after_persist) host_.send(std::move(message));
    apply(ready);
    raft_->advance(ready);
    log_->forget(applied_.index);
    host_.moved();
  }
  return {};
}

Result<void> Member::store(const raft::Ready& ready) {
  if (!ready.must_sync) return {};
  if (ready.snapshot.has_value()) COX_RETURN_IF_ERROR(adopt(*ready.snapshot));
  std::size_t bytes = 0;
  for (const raft::Entry& entry : ready.entries) bytes += raft::payload_bytes(entry);
  Result<void> stored = log_->reserve(RaftLog::bytes_for(ready.entries.size(), bytes));
  if (stored.ok()) stored = log_->append(ready.hard_state, ready.entries);
  if (stored.ok() && !raft::planted(raft::Mutant::kLogNotSynced)) stored = log_->sync();
  COX_RETURN_IF_ERROR(log_outcome(stored));
  host_.stored(ready.entries);
  return {};
}

// The state first, then a log that begins there: a crash in between is told by the mark in the state.
Result<void> Member::adopt(const raft::Snapshot& snapshot) {
  COX_CHECK(incoming_ != nullptr);
  EngineBatch mark;
  History::record_copied(true, &mark);
  COX_RETURN_IF_ERROR(log_outcome(log_->reserve(RaftLog::bytes_for(1, 0))));
  COX_RETURN_IF_ERROR(incoming_->write(mark));
  if (flush_index_ != 0)  // it must not vouch for this
    return make_error(ErrorCode::kUnavailable, "a checkpoint is running");
  State state;
  Result<Applied> loaded = Applied();
  history_->set_whole(false);
  if (raft::planted(raft::Mutant::kLogBeforeCopiedState)) (void)log_->restart(snapshot.index, snapshot.term);
  const Result<void> adopted = options_.engine->adopt(std::move(incoming_));
  if (adopted.ok()) loaded = history_->load(&state);
  if (!adopted.ok() || !loaded.ok()) {
    behind_ = true;
    const Error& cause = adopted.ok() ? loaded.error() : adopted.error();
    set_health(Health::kReadOnly, "the state of another member cannot be stored: " + cause.message);
    return cause;
  }
  COX_CHECK(loaded->index == snapshot.index && loaded->term == snapshot.term);
  applied_ = *std::move(loaded);
  copied_ = true;
  behind_ = false;
  history_->set_whole(true);
  stored_index_ = applied_.index;
  unstored_.clear();
  state_.replace(std::move(state));
  hub_->restart(applied_.revision, applied_.compacted);
  host_.installed(applied_);
  refuse_proposals(
      make_error(ErrorCode::kDeadlineExceeded, "another member leads now; look before you retry"));
  const Result<void> begun = log_->restart(snapshot.index, snapshot.term);
  if (begun.ok()) return {};
  // The state is here and the log does not fit it: only a restart can go on from there.
  return make_error(ErrorCode::kIo, stop_member(begun.error()));
}

std::optional<raft::Snapshot> Member::snapshot() const {
  if (stored_index_ != applied_.index || behind_) return std::nullopt;
  return raft::Snapshot{applied_.index, applied_.term, applied_.configuration};
}

void Member::apply(const raft::Ready& ready) {
  Hub::Wakes wakes;
  Answers answers;
  for (const raft::Entry& entry : ready.committed) {
    Result<State::Plan> plan = plan_entry(entry, state_, &applied_);
    COX_CHECK(plan.ok());  // one of us encoded it
    if (entry.kind == raft::EntryKind::kData && entry.data != nullptr) {
      hub_->publish(*plan, &state_, &wakes);
      History::record(plan->events, &unstored_);
    }
    host_.applied(entry, *plan);
    if (unstored_.size() >= kReplayRows) store_applied();
    answer_proposals(entry, &*plan, &answers);
  }
  if (!ready.committed.empty()) store_applied();
  for (const raft::ReadState& read : ready.reads)
    if (const auto it = reads_.find(read.context); it != reads_.end()) it->second.index = read.index;
  for (auto& [proposal, result] : answers) proposal.done(std::move(result));
  for (const auto& wake : wakes) wake();
  answer_reads();
}

// What was proposed in one term is committed from the front or not at all: of an earlier term than a
// committed entry's, or at its index and of another term, nothing can be any more (§3.6.2).
void Member::answer_proposals(const raft::Entry& entry, State::Plan* plan, Answers* answers) {
  const auto lost = [&](Pending& pending) {
    answers->emplace_back(std::move(pending),
                          make_error(ErrorCode::kUnavailable, "another member leads now; try again"));
  };
  while (!proposals_.empty() && proposals_.front().term < entry.term &&
         !raft::planted(raft::Mutant::kProposalAnsweredByIndex)) {
    lost(proposals_.front());
    proposals_.pop_front();
  }
  if (proposals_.empty()) return;
  const bool by_index =
      raft::planted(raft::Mutant::kProposalAnsweredByIndex) && proposals_.front().index == entry.index;
  if (proposals_.front().term == entry.term || by_index) {
    if (proposals_.front().index != entry.index) return;
    answers->emplace_back(std::move(proposals_.front()), std::move(plan->result));
    proposals_.pop_front();
    return;
  }
  const auto before = [](const Pending& pending, const std::pair<raft::Term, raft::Index>& at) {
    return std::pair(pending.term, pending.index) < at;
  };
  for (auto it = proposals_.begin(); it != proposals_.end();) {
    const raft::Term term = it->term;
    it = std::lower_bound(it, proposals_.end(), std::pair(term, entry.index), before);
    if (it != proposals_.end() && it->term == term && it->index == entry.index) {
      lost(*it);
      it = proposals_.erase(it);
    }
    it = std::lower_bound(it, proposals_.end(), std::pair(term + 1, raft::Index{0}), before);
  }
}

void Member::answer_reads() {
  std::vector<ReadDone> ready;
  for (auto it = reads_.begin(); it != reads_.end();) {
    if (!it->second.index.has_value() || *it->second.index > applied_.index) {
      ++it;
      continue;
    }
    ready.push_back(std::move(it->second.done));
    it = reads_.erase(it);
  }
  for (ReadDone& done : ready) done({});
}

// What an entry does to a state, worked out but not done, and where the state is then.
Result<State::Plan> Member::plan_entry(const raft::Entry& entry, const State& state, Applied* applied) {
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

std::string Member::stop_member(const Error& cause) {
  std::string reason =
      "the log failed and this member has stopped; check the disk, then restart it: " + cause.message;
  set_health(Health::kStopped, reason);
  return reason;
}

// The engine follows; should it fail, the log still has everything.
void Member::store_applied() {
  EngineBatch batch = std::exchange(unstored_, {});
  const bool behind = behind_ && !raft::planted(raft::Mutant::kStoredBehindHole);
  if (behind || (stored_index_ == applied_.index && batch.empty())) return;
  History::record_applied(applied_, &batch);
#ifdef COXSWAIN_MUTANTS
  if (raft::planted(raft::Mutant::kAppliedApartFromData)) {
    late_.push_back({Family::kMeta, "late", ""});
    batch.swap(late_);
    History::record_applied(applied_, &batch);
  }
#endif
  if (copied_) History::record_copied(false, &batch);  // the log fits by now
  const Result<void> written = options_.engine->write(batch);
  if (written.ok()) {
    copied_ = false;
    stored_index_ = applied_.index;
    hub_->trim();
    return;
  }
  behind_ = true;
  set_health(Health::kReadOnly, "the state cannot be stored: " + written.error().message);
}

void Member::set_health(Health health, std::string reason) {
  if (health_ == Health::kStopped) return;
  health_ = health;
  reason_ = std::move(reason);
  host_.health_changed(health_, reason_);
}

}  // namespace coxswain::store
