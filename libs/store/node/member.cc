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
      incarnation_(raft::planted(raft::Mutant::kIncarnationReused) ? 1 : options_.incarnation),
      next_read_(options_.raft.seed) {
  COX_CHECK(options_.clock != nullptr && options_.engine != nullptr);
}

Member::~Member() = default;

Result<void> Member::start() {
  COX_ASSIGN_OR_RETURN(const std::string refusal, history_->refusal());
  if (!refusal.empty()) return make_error(ErrorCode::kCorruption, refusal);
  COX_ASSIGN_OR_RETURN(applied_, history_->load(&state_));
  if (raft::planted(raft::Mutant::kSessionsForgotten)) applied_.sessions = {};
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
  if (!raft::planted(raft::Mutant::kIncarnationReused))
    incarnation_ = std::max(incarnation_, applied_.sessions.incarnation(options_.raft.id) + 1);
  store_applied();
  compare_states();
  if (damaged()) return make_error(ErrorCode::kCorruption, damage_);
  checkpoint_at_bytes_ = options_.checkpoint_log_bytes;
  sample_at_ms_ = check_at_ms_ = options_.clock->now_ms();
  scrub_at_ms_ = sample_at_ms_ + options_.scrub_ms;
  sample_revision_ = applied_.revision;
  return {};
}

void Member::close() {
  hub_->close();
  refuse_proposals(make_error(ErrorCode::kDeadlineExceeded, "the store is closing"));
  refuse_reads(make_error(ErrorCode::kUnavailable, "the store is closing"));
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
  Result<void> taken = accept(batch);
  if (taken.ok()) taken = enter(&batch);
  if (taken.ok()) return turn();
  for (Proposal& proposal : batch) proposal.done(taken.error());
}

// Gives them their numbers. An error: nothing happened.
Result<void> Member::enter(std::vector<Proposal>* batch) {
  std::vector<Asked> commands;
  const std::uint64_t first = next_proposal_;
  const std::uint64_t settled = proposals_.empty() ? first : proposals_.begin()->first;
  for (const Proposal& proposal : *batch) {
    const Origin origin{options_.raft.id, incarnation_, next_proposal_++, settled};
    commands.push_back(
        {origin, std::make_shared<const std::string>(encode_with_origin(origin, proposal.command))});
  }
  COX_RETURN_IF_ERROR(hand_in(commands));
  for (std::size_t i = 0; i < batch->size(); ++i)
    proposals_[first + i] = {std::move(commands[i]), std::move((*batch)[i].done), ticks_, ticks_};
#ifdef COXSWAIN_MUTANTS
  if (raft::planted(raft::Mutant::kAckWhenForwarded) && raft_->leader() != options_.raft.id &&
      raft_->leader() != raft::kNobody) {
    TxnResult believed{true, applied_.revision + 1, {make_entry("", "", 0, 0, 0)}, 0, nullptr};
    for (std::size_t i = 0; i < batch->size(); ++i)
      std::exchange(proposals_[first + i].done, [](const auto&) {})(believed);
  }
#endif
  return {};
}

// Whether they can be taken at all.
Result<void> Member::accept(const std::vector<Proposal>& batch) {
  if (damaged()) return make_error(ErrorCode::kUnavailable, damage_);
  if (health_ == Health::kReadOnly) recover_space();
  if (health_ != Health::kServing) {
    return make_error(health_ == Health::kStopped ? ErrorCode::kUnavailable : ErrorCode::kResourceExhausted,
                      reason_);
  }
  if (sole_voter() && !lead()) return make_error(ErrorCode::kResourceExhausted, reason_);
  if (proposals_.size() + batch.size() > kMostPending)
    return make_error(ErrorCode::kResourceExhausted, "too many writes are waiting; retry later");
  return {};
}

// Into the log, or off to whoever has it. An error: nothing happened. Without a leader they wait:
// send_again().
Result<void> Member::hand_in(std::vector<Asked> commands) {
  if (raft_->role() == raft::Role::kLeader) return log_commands(std::move(commands));
  if (raft_->leader() != raft::kNobody) forward(commands);
  return {};
}

Result<void> Member::log_commands(std::vector<Asked> commands) {
  if (!sole_voter()) {
    if (std::exchange(logged_term_, raft_->term()) != raft_->term()) logged_.clear();
    std::erase_if(commands, [this](const Asked& asked) {
      return logged_.count({asked.origin.member, asked.origin.incarnation, asked.origin.sequence}) > 0;
    });
  }
  if (commands.empty()) return {};
  std::size_t bytes = 0;
  std::vector<raft::Payload> payloads;
  for (const Asked& asked : commands) {
    bytes += asked.bytes->size();
    payloads.push_back(asked.bytes);
  }
  refused_bytes_ = RaftLog::bytes_for(commands.size(), bytes);
  COX_RETURN_IF_ERROR(log_outcome(log_->reserve(refused_bytes_)));
  if (raft_->propose(std::move(payloads)) != raft::Outcome::kAccepted)
    return make_error(ErrorCode::kResourceExhausted, "too many writes are waiting; retry later");
  if (sole_voter()) return {};
  for (const Asked& asked : commands)
    logged_.emplace(asked.origin.member, asked.origin.incarnation, asked.origin.sequence);
  return {};
}

void Member::forward(const std::vector<Asked>& commands) {
  raft::Message message;
  std::size_t bytes = 0;
  const auto send = [&] {
    message.kind = raft::MessageKind::kForward;
    message.from = options_.raft.id;
    message.to = raft_->leader();
    message.term = raft_->term();
    if (!message.entries.empty()) host_.send(std::exchange(message, {}));
    bytes = 0;
  };
  for (const Asked& asked : commands) {
    const raft::Index index = message.entries.size() + 1;
    message.entries.push_back({raft_->term(), index, raft::EntryKind::kData, asked.bytes});
    if ((bytes += asked.bytes->size()) >= options_.raft.max_message_bytes) send();
  }
  send();
}

// From another member. If it cannot be taken it is lost: that member sends it again, to whoever leads then.
void Member::forwarded(const raft::Message& message) {
  if (raft_->role() != raft::Role::kLeader || health_ != Health::kServing) return;
  std::vector<Asked> commands;
  for (const raft::Entry& entry : message.entries) {
    if (entry.data == nullptr || entry.kind != raft::EntryKind::kData) return;
    const Result<Command> command = decode_command(*entry.data);
    if (!command.ok() || !command->origin.has_value() || command->origin->member != message.from) return;
    commands.push_back({*command->origin, entry.data});
  }
  (void)hand_in(std::move(commands));
}

// What has waited for long, or everything.
void Member::send_again(bool everything) {
  if (raft_->leader() == raft::kNobody || health_ != Health::kServing) return;
  std::vector<Asked> commands;
  for (auto& [number, pending] : proposals_) {
    if (!everything && ticks_ - pending.sent_tick < static_cast<std::uint64_t>(options_.raft.election_ticks))
      continue;
    pending.sent_tick = ticks_;
    commands.push_back(pending.asked);
  }
  if (!commands.empty()) (void)hand_in(std::move(commands));
}

void Member::read_barrier(ReadDone done) {
  if (damaged() && !raft::planted(raft::Mutant::kDamagedServes))
    return done(make_error(ErrorCode::kUnavailable, damage_));
  if (health_ == Health::kStopped) return done(make_error(ErrorCode::kUnavailable, reason_));
  const std::uint64_t context = next_read_++;
  reads_[context] = {std::move(done), std::nullopt, ticks_, ticks_};
  (void)raft_->read_index(context);  // whoever gets no answer asks again, in tick()
  turn();
}

void Member::step(std::vector<raft::Message> messages) {
  if (health_ == Health::kStopped) return;
  for (raft::Message& message : messages) {
    if (message.kind == raft::MessageKind::kForward)
      forwarded(message);
    else if (message.kind == raft::MessageKind::kTransfer)
      transfer(message.context);
    else
      raft_->step(std::move(message));
  }
  turn();
  follow_leader();
}

void Member::hand_over(raft::MemberId to) {
  if (health_ == Health::kStopped) return;
  if (raft_->role() == raft::Role::kLeader) {
    transfer(to);
  } else if (raft_->leader() != raft::kNobody) {
    raft::Message message;
    message.kind = raft::MessageKind::kTransfer;
    message.from = options_.raft.id;
    message.to = raft_->leader();
    message.term = raft_->term();
    message.context = to;
    host_.send(std::move(message));
  }
  turn();
}

void Member::transfer(raft::MemberId to) {
  if (raft_->role() != raft::Role::kLeader) return;
  if (to == raft::kNobody) {
    std::pair<bool, raft::Index> best{false, 0};  // who has been heard of, then who has most
    for (const auto& [id, progress] : raft_->progress()) {
      const std::pair found{progress.recently_active(), progress.match()};
      if (!raft_->configuration().is_voter(id) || found < best) continue;
      to = id;
      best = found;
    }
  }
  if (to != raft::kNobody) (void)raft_->transfer_leadership(to);
}

raft::Outcome Member::change_members(const raft::Configuration& target) {
  if (health_ != Health::kServing) return raft::Outcome::kBusy;
  const raft::Outcome outcome = raft_->propose_configuration(target);
  turn();
  return outcome;
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

void Member::install(raft::Message message, std::unique_ptr<CopiedState> copy) {
  if (!message.snapshot.has_value()) return;
  const Result<void> whole = copy->check(message.snapshot->index, message.snapshot->term);
  if (!whole.ok() && !raft::planted(raft::Mutant::kCopyNotChecked))
    return host_.noticed("a state from member " + std::to_string(message.from) +
                         " is refused: " + whole.error().message);
  incoming_ = copy->take();
  std::vector<raft::Message> messages;
  messages.push_back(std::move(message));
  step(std::move(messages));
  incoming_.reset();
}

void Member::tick() {
  if (health_ == Health::kStopped) return;
  ++ticks_;
  leave_when_marked();
  if (health_ == Health::kStopped) return;
  raft_->tick();
  give_up();
  ask_again(false);
  send_again(false);
  step_aside();
  turn();
  follow_leader();
}

// What the leader of before was asked may be lost: another one is asked everything, at once.
void Member::follow_leader() {
  const std::pair heard{raft_->term(), raft_->leader()};
  const bool same = std::exchange(heard_, heard) == heard;
  if (same || health_ == Health::kStopped || raft_->leader() == raft::kNobody) return;
  ask_again(true);
  send_again(true);
  turn();
}

// A leader that cannot store keeps everybody from writing.
void Member::step_aside() {
  if (health_ != Health::kReadOnly || raft_->role() != raft::Role::kLeader || sole_voter()) return;
  if (ticks_ < aside_tick_) return;
  aside_tick_ = ticks_ + static_cast<std::uint64_t>(options_.raft.election_ticks);
  transfer(raft::kNobody);
}

// Without a quorum nobody can say what becomes of a write, and a read is not to be served.
void Member::give_up() {
  const auto patience = static_cast<std::uint64_t>(options_.patience_ticks);
  while (!proposals_.empty() && ticks_ - proposals_.begin()->second.since_tick > patience) {
    const Store::TxnDone done = std::move(proposals_.begin()->second.done);
    proposals_.erase(proposals_.begin());
    done(
        make_error(ErrorCode::kDeadlineExceeded, "no quorum has answered; the write may still come to pass"));
  }
  // What a read waits for does not get here while there is no room for it: another member may have it.
  const bool full = health_ == Health::kReadOnly;
  const auto read_patience = full ? static_cast<std::uint64_t>(options_.raft.election_ticks) : patience;
  for (auto it = reads_.begin(); it != reads_.end();) {
    if (ticks_ - it->second.since_tick <= read_patience) {
      ++it;
      continue;
    }
    const ReadDone done = std::move(it->second.done);
    it = reads_.erase(it);
    done(make_error(ErrorCode::kUnavailable,
                    full ? "this member is behind: " + reason_ : "no quorum has answered; try again"));
  }
}

// A read that was lost on its way gets a fresh context: an answer to an old one may speak of an old quorum.
void Member::ask_again(bool everything) {
  if (raft_->leader() == raft::kNobody) return;
  std::vector<std::uint64_t> lost;
  for (const auto& [context, read] : reads_) {
    if (read.index.has_value()) continue;
    if (everything || ticks_ - read.asked_tick >= static_cast<std::uint64_t>(options_.raft.election_ticks))
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
  const Result<void> driven = drive();
  if (driven.ok()) return;
  if (health_ == Health::kStopped)
    refuse_proposals(make_error(ErrorCode::kDeadlineExceeded, driven.error().message));
  else if (sole_voter())
    refuse_proposals(driven.error());  // it is in no log
  // Else others may have it: it is sent again.
}

void Member::refuse_proposals(const Error& error) {
  std::map<std::uint64_t, Pending> refused;
  refused.swap(proposals_);
  for (auto& [number, pending] : refused) pending.done(error);
}

void Member::refuse_reads(const Error& error) {
  std::map<std::uint64_t, Read> refused;
  refused.swap(reads_);
  for (auto& [context, read] : refused) read.done(error);
}

// Nobody waits for a member that has stopped.
void Member::refuse_all() {
  refuse_proposals(make_error(ErrorCode::kDeadlineExceeded, reason_));
  refuse_reads(make_error(ErrorCode::kUnavailable, reason_));
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
  if (raft_->forgot()) {
    return make_error(
        ErrorCode::kDeadlineExceeded,
        stop_member(make_error(ErrorCode::kCorruption,
                               "this data directory lacks entries that it once had (an old copy?); "
                               "replace this member (coxctl store member replace)")));
  }
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
  own_checks_.clear();
  scrub_.reset();
  copied_ = true;
  behind_ = false;
  history_->set_whole(true);
  stored_index_ = applied_.index;
  unstored_.clear();
  state_.replace(std::move(state));
  hub_->restart(applied_.revision, applied_.compacted);
  host_.installed(applied_);
  answer_what_came_with_it();
  const Result<void> begun = log_->restart(snapshot.index, snapshot.term);
  if (begun.ok()) return {};
  // The state is here and the log does not fit it: only a restart can go on from there.
  return make_error(ErrorCode::kIo, stop_member(begun.error()));
}

// What the state has already is never applied here: its results are not known.
void Member::answer_what_came_with_it() {
  for (auto it = proposals_.begin(); it != proposals_.end();) {
    if (!applied_.sessions.applied(options_.raft.id, incarnation_, it->first)) {
      ++it;
      continue;
    }
    const Store::TxnDone done = std::move(it->second.done);
    it = proposals_.erase(it);
    done(
        make_error(ErrorCode::kDeadlineExceeded, "it is done, with an outcome that this member did not see"));
  }
}

std::optional<raft::Snapshot> Member::snapshot() const {
  if (damaged() || stored_index_ != applied_.index || behind_) return std::nullopt;
  return raft::Snapshot{applied_.index, applied_.term, applied_.configuration};
}

void Member::apply(const raft::Ready& ready) {
  Hub::Wakes wakes;
  Answers answers;
  for (const raft::Entry& entry : ready.committed) {
    Result<Planned> planned = plan_entry(entry, state_, &applied_);
    COX_CHECK(planned.ok());  // one of us encoded it
    State::Plan& plan = planned->plan;
    if (entry.kind == raft::EntryKind::kData && entry.data != nullptr && !planned->repeated) {
      hub_->publish(plan, &state_, &wakes);
      History::record(plan.events, &unstored_);
    }
    note_entry(*planned);
    host_.applied(entry, plan);
    if (unstored_.size() >= kReplayRows) store_applied();
    if (!planned->origin.has_value()) continue;
    const Origin& origin = *planned->origin;
    logged_.erase({origin.member, origin.incarnation, origin.sequence});
    if (!planned->repeated) answer(origin, &plan, &answers);
  }
  if (!ready.committed.empty()) store_applied();
  compare_states();
  for (const raft::ReadState& read : ready.reads)
    if (const auto it = reads_.find(read.context); it != reads_.end()) it->second.index = read.index;
  for (auto& [done, result] : answers) {
    if (damaged()) result = make_error(ErrorCode::kDeadlineExceeded, damage_);
    done(std::move(result));
  }
  for (const auto& wake : wakes) wake();
  answer_reads();
}

void Member::answer(const Origin& origin, State::Plan* plan, Answers* answers) {
  if (origin.member != options_.raft.id) return;
  if (origin.incarnation > incarnation_) {
    // The clock of a process of before went ahead. From here on nothing of this one's is admitted.
    incarnation_ = origin.incarnation + 1;
    std::map<std::uint64_t, Pending> lost;
    lost.swap(proposals_);
    for (auto& [number, pending] : lost)
      answers->emplace_back(std::move(pending.done), make_error(ErrorCode::kUnavailable, "try again"));
  }
  if (origin.incarnation != incarnation_) return;
  const auto it = proposals_.find(origin.sequence);
  if (it == proposals_.end()) return;
  answers->emplace_back(std::move(it->second.done), std::move(plan->result));
  proposals_.erase(it);
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
Result<Member::Planned> Member::plan_entry(const raft::Entry& entry, const State& state, Applied* applied) {
  COX_CHECK(entry.index == applied->index + 1);
  Planned out;
  if (entry.kind == raft::EntryKind::kConfiguration) {
    COX_ASSIGN_OR_RETURN(applied->configuration, raft::decode_configuration(*entry.data));
    applied->checks.members_changed(applied->configuration);
  } else if (entry.data != nullptr) {  // else a new leader's first entry
    COX_ASSIGN_OR_RETURN(Command command, decode_command(*entry.data));
    out.origin = command.origin;
    out.repeated = command.origin.has_value() && !applied->sessions.admit(*command.origin) &&
                   !raft::planted(raft::Mutant::kCommandTwice);
    if (!out.repeated) {
      out.type = command.type;
      if (out.type == Command::Type::kCheck)
        applied->checks.begin(entry.index, applied->revision, applied->compacted);
      if (out.type == Command::Type::kReport)
        applied->checks.report(command.check, command.origin->member, command.hash, applied->configuration);
      out.plan = state.plan(std::move(command));
      for (const StateHash& change : out.plan.changes)
        if (applied->content.has_value()) *applied->content += change;
    }
    if (!out.plan.events.empty()) applied->revision = out.plan.result.revision;
    applied->compacted = std::max(applied->compacted, out.plan.compact_to);
  }
  applied->index = entry.index;
  applied->term = entry.term;
  return out;
}

std::string Member::stop_member(const Error& cause) {
  std::string reason =
      cause.code == ErrorCode::kCorruption
          ? "this member has stopped: " + cause.message
          : "the log failed and this member has stopped; check the disk, then restart it: " + cause.message;
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
