#include "tests/simulation/member.h"

#include <algorithm>

#include "libs/common/base/check.h"

namespace coxswain::simulation {
namespace {

constexpr std::size_t kInbox = 4096;

std::uint64_t hash_of(const store::Entry& entry) {
  return hash_bytes(std::string(entry.key) + "=" + std::string(entry.value) + "@" +
                    std::to_string(entry.create_revision) + "," + std::to_string(entry.mod_revision) + "," +
                    std::to_string(entry.version));
}

// What is not of one key.
std::uint64_t hash_of(store::Revision revision, store::Revision compacted, const store::Sessions& sessions) {
  return hash_bytes(sessions.encode() + std::to_string(revision) + "/" + std::to_string(compacted));
}

std::uint64_t hash_of(const store::State& state, const store::Sessions& sessions) {
  const store::State::Snapshot now = state.snapshot();
  store::RangeResult all;
  store::read_range(now.index, {}, {}, &all);
  std::uint64_t hash = hash_of(now.revision, now.compacted, sessions);
  for (const store::EntryPtr& entry : all.entries) hash ^= hash_of(*entry);
  return hash;
}

}  // namespace

Member::Member(raft::MemberId id, const raft::Configuration& initial, Outside& outside, Checker& checker,
               Random& random)
    : id_(id),
      outside_(outside),
      checker_(checker),
      random_(random),
      initial_(initial),
      clock_(outside),
      env_(random.next(), random.below(2) == 0 ? 64 : 512),
      disk_(store::make_memory_disk()) {}

Member::~Member() = default;

void Member::start() {
  COX_CHECK(!up() && !lost_);
  engine_ = std::make_shared<FaultyEngine>(disk_);
  store::MemberOptions options;
  options.raft.id = id_;
  options.raft.seed = random_.next();
  options.raft.flow = {1 + random_.below(8), 4096};
  // One entry a message now and then: a quorum may then have one of them and not the next (figure 8).
  options.raft.max_message_bytes = random_.below(2) == 0 ? 1 : 300;
  options.raft.max_apply_bytes = 500;
  options.raft.max_uncommitted_bytes = 20'000;
  options.initial = initial_;
  // Now and then the clock of an earlier process was ahead.
  options.incarnation = (1 + life_ * 10 + random_.below(15)) * 1000 + life_ % 1000;
  options.limits.history_events = 4 + random_.below(30);
  options.limits.retention_ms = 200;
  options.clock = &clock_;
  options.engine = engine_;
  options.env = &env_;
  options.log_dir = "/log";
  options.log_segment_bytes = 2048;
  options.log_cache_bytes = random_.below(2) == 0 ? 0 : 4096;
  options.checkpoint_log_bytes = 500 + random_.below(4000);
  options.keep_entries = random_.below(30);
  options.keep_bytes_for_copy = id_ % 2 == 0 ? 0 : 16'384;  // else few would need a state
  options.check_ms = 100 + static_cast<std::int64_t>(random_.below(300));
  options.scrub_ms = 100 + static_cast<std::int64_t>(random_.below(200));
  options.scrub_step_ms = 5;
  options.scrub_entries = 1 + random_.below(4);
  member_ = std::make_unique<store::Member>(std::move(options), static_cast<store::MemberHost&>(*this));
  ++life_;
  busy_ = paused_ = false;
  led_ = 0;
  reported_commit_ = 0;
  working_ = true;  // for send()
  written_us_ = 0;
  hash_ = 0;
  const Result<void> started = member_->start();
  if (env_.crashed() || (!started.ok() && started.error().code != ErrorCode::kCorruption)) return fall();
  working_ = false;
  if (!started.ok()) return refuse(started.error().message);
  planted_ = Damage::kNone;  // it reads everything it has when it starts: no bit of it is wrong
  if (outside_.verbose()) note("starts at entry " + std::to_string(member_->applied().index));
}

void Member::refuse(const std::string& why) {
  checker_.on_distrust(id_, why);
  if (outside_.verbose()) outside_.note("member " + std::to_string(id_) + " refuses to start: " + why);
  lost_ = true;
  planted_ = Damage::kNone;
  member_.reset();
  engine_.reset();
}

// The state is there and the log is open: the first time that the core moves.
void Member::check_disk() {
  take_state();
  if (clean_) {
    for (const auto& [index, term] : durable_) {
      if (index < member_->log().first_index() || member_->log().term(index) == term) continue;
      fail("durable log", "member " + std::to_string(id_) + " lost entry " + std::to_string(index));
    }
  }
  clean_ = true;
  recount();
}

void Member::recount() {
  const store::RaftLog& log = member_->log();
  held_ = std::max(held_, log.first_index() - 1);
  durable_.clear();
  for (raft::Index i = log.first_index(); i <= log.last_index(); ++i) durable_[i] = *log.term(i);
}

bool Member::holds(raft::Index index, raft::Term term) const {
  if (index <= held_) return true;  // in the state; what is in it is checked elsewhere
  const auto it = durable_.find(index);
  return it != durable_.end() && it->second == term;
}

bool Member::would_replace(const raft::Message& message) const {
  if (!up() || message.kind != raft::MessageKind::kAppend) return false;
  return std::any_of(message.entries.begin(), message.entries.end(), [this](const raft::Entry& entry) {
    const auto it = durable_.find(entry.index);
    return it != durable_.end() && it->second != entry.term;
  });
}

void Member::crash() {
  if (!up()) return;
  env_.crash_after(0);
  fall();
}

void Member::crash_after(std::int64_t steps) {
  if (up()) env_.crash_after(steps);
}

void Member::fall() {
  clean_ = clean_ && !std::exchange(working_, false);
  member_.reset();
  engine_.reset();
  inbox_.clear();
  missed_ticks_ = 0;
  if (outside_.verbose()) outside_.note("member " + std::to_string(id_) + " falls");
  env_.crash_after(0);
  env_.power_on();
  outside_.fell(id_);
}

void Member::pause(bool on) {
  paused_ = on;
  if (!on && up()) catch_up();
}

// Whatever a member does goes through here: it takes as long as the disk does, and may be its end.
void Member::work(const std::function<void()>& what) {
  if (!up()) return;
  const std::int64_t before = env_.steps();
  working_ = true;
  written_us_ = 0;
  what();
  if (bad_image_->exchange(false)) member_->distrust("what is stored is not what was applied");
  if (!member_->damage().empty()) checker_.on_distrust(id_, member_->damage());
  if (env_.crashed() || member_->health() == store::Health::kStopped) {
    return fall();  // in the middle of something
  }
  working_ = false;
  if (env_.steps() == before) return;
  busy_ = true;
  outside_.wake_at(id_, life_, std::max<std::int64_t>(written_us_, outside_.disk_us(id_)));
}

void Member::wake(std::uint64_t life) {
  if (!up() || life != life_) return;
  busy_ = false;
  catch_up();
}

void Member::catch_up() {
  while (up() && !busy()) {
    if (missed_ticks_ > 0) {
      --missed_ticks_;
      work([this] { member_->tick(); });
    } else if (!inbox_.empty()) {
      Envelope envelope = std::move(inbox_.front());
      inbox_.pop_front();
      handle(std::move(envelope));
    } else {
      return;
    }
  }
}

void Member::tick() {
  if (!up() || paused_) return;
  if (busy_) {
    missed_ticks_ = std::min(missed_ticks_ + 1, 3);
    return;
  }
  work([this] {
    member_->tick();
    if (member_->health() != store::Health::kStopped) member_->upkeep();
  });
}

void Member::deliver(Envelope envelope) {
  if (!up()) return;
  if (busy()) {
    if (inbox_.size() < kInbox) inbox_.push_back(std::move(envelope));
    return;
  }
  handle(std::move(envelope));
}

void Member::handle(Envelope envelope) {
  work([&] {
    if (envelope.state == nullptr) {
      std::vector<raft::Message> messages;
      messages.push_back(std::move(envelope.message));
      // What came meanwhile goes into the same write, up to the next state.
      while (!inbox_.empty() && inbox_.front().state == nullptr) {
        messages.push_back(std::move(inbox_.front().message));
        inbox_.pop_front();
      }
      return member_->step(std::move(messages));
    }
    auto copy = engine_->start_copy();
    COX_CHECK(copy.ok());
    auto state = std::make_unique<store::CopiedState>(*std::move(copy));
    for (const store::EngineBatch& batch : *envelope.state) COX_CHECK(state->write(batch).ok());
    member_->install(std::move(envelope.message), std::move(state));
  });
}

void Member::send(raft::Message message) {
  Envelope envelope{std::move(message), nullptr};
  if (envelope.message.snapshot.has_value()) {
    auto rows = std::make_shared<std::vector<store::EngineBatch>>();
    auto image = engine_->image();
    COX_CHECK(image.ok());
    store::CheckedImage checked(*std::move(image), envelope.message.snapshot->index,
                                envelope.message.snapshot->term, bad_image_);
    for (;;) {
      Result<store::EngineBatch> batch = checked.next(200);
      if (!batch.ok()) return;  // this member stops, after this
      if (batch->empty()) break;
      rows->push_back(*std::move(batch));
    }
    outside_.damage_rows(id_, rows.get());
    envelope.state = std::move(rows);
  }
  outside_.send(std::move(envelope), written_us_);
}

void Member::flush_engine() { outside_.flush_at(id_, life_, outside_.disk_us(id_)); }

void Member::flush(std::uint64_t life) {
  if (!up() || life != life_) return;
  if (busy()) return outside_.flush_at(id_, life_, 1000);
  const Result<void> flushed = engine_->flush();
  work([&] { member_->flushed(flushed); });
}

void Member::health_changed(store::Health health, const std::string& reason) {
  if (outside_.verbose()) note("health " + std::to_string(static_cast<int>(health)) + ": " + reason);
}

void Member::noticed(const std::string& what) {
  if (outside_.verbose()) note("notices: " + what);
  checker_.on_alarm(what);
}

void Member::stored(const std::vector<raft::Entry>& entries) {
  written_us_ += outside_.disk_us(id_);  // what is sent from here on is sent later
  for (const raft::Entry& entry : entries) {
    durable_.erase(durable_.lower_bound(entry.index), durable_.end());
    durable_[entry.index] = entry.term;
    const std::optional<raft::Term> before = member_->log().term(entry.index - 1);
    if (before.has_value()) checker_.on_stored(entry, *before);
  }
}

void Member::applied(const raft::Entry& entry, const store::State::Plan& plan) {
  if (entry.kind == raft::EntryKind::kConfiguration && outside_.verbose())
    note("takes on " + describe(member_->applied().configuration));
  const store::State::Snapshot now = member_->state().snapshot();
  hash_ ^= revisions_hash_;
  revisions_hash_ = hash_of(now.revision, now.compacted, member_->applied().sessions);
  hash_ ^= revisions_hash_;
  for (const store::EventPtr& event : plan.events) {
    if (event->previous != nullptr) hash_ ^= hash_of(*event->previous);
    if (event->type == store::Event::Type::kPut) hash_ ^= hash_of(*event->entry);
  }
  checker_.on_write(plan.events);
  for (const auto& [marked, check] : member_->applied().checks.marked())
    checker_.on_distrust(marked, "member " + std::to_string(id_) + " marks it");
  if (outside_.verbose())
    note("applies " + std::to_string(entry.index) + " of term " + std::to_string(entry.term));
  // What a damaged value was before is not known here.
  if (planted_ != Damage::kValueInMemory) checker_.on_applied(member_->raft(), entry, hash_);
}

void Member::installed(const store::Applied& applied) {
  if (outside_.verbose()) note("takes the state of entry " + std::to_string(applied.index));
  durable_.clear();
  held_ = std::max(held_, applied.index);
  if (planted_ != Damage::kLog) planted_ = Damage::kNone;
  take_state();
}

// As it was stored here or somewhere else.
void Member::take_state() {
  const store::Applied& applied = member_->applied();
  hash_ = hash_of(member_->state(), applied.sessions);
  revisions_hash_ = hash_of(applied.revision, applied.compacted, applied.sessions);
  checker_.on_state(id_, applied.index, hash_);
}

bool Member::write(std::size_t operation, const store::Txn& txn, std::string value) {
  if (!up() || busy()) return false;
  work([&] {
    std::vector<store::Member::Proposal> batch;
    batch.push_back({store::encode_txn(txn),
                     [this, operation, value, ops = txn.ops.size()](Result<store::TxnResult> result) {
                       if (!result.ok()) {
                         // Of what is not known the client hears nothing.
                         if (result.error().code != ErrorCode::kDeadlineExceeded)
                           outside_.finished(operation, false, 0, false, value);
                         return;
                       }
                       if (!member_->damage().empty())
                         fail("damage is not served",
                              "member " + std::to_string(id_) + " answers for a write");
                       if (result->succeeded && result->entries.size() != ops)
                         fail("exactly once", "member " + std::to_string(id_) +
                                                  " answers a write with the outcome of another one");
                       const bool wrote = result->succeeded && result->entries.front() != nullptr;
                       outside_.finished(operation, true, result->revision, wrote, value);
                     }});
    member_->propose(std::move(batch));
  });
  return true;
}

bool Member::read(std::size_t operation, const std::string& key) {
  if (!up() || busy() || member_->raft().leader() == raft::kNobody) return false;
  work([&] {
    member_->read_barrier([this, operation, key](const Result<void>& ready) {
      if (!ready.ok()) return outside_.finished(operation, false, 0, false, "");
      if (!member_->damage().empty())
        fail("damage is not served", "member " + std::to_string(id_) + " answers a read of " + key);
      store::Revision revision = 0;
      store::Revision compacted = 0;
      const store::EntryPtr found = member_->state().find(key, &revision, &compacted);
      outside_.finished(operation, true, revision, false,
                        found == nullptr ? std::string() : std::string(found->value));
    });
  });
  return true;
}

void Member::note(const std::string& what) const {
  outside_.note("member " + std::to_string(id_) + " (term " + std::to_string(member_->raft().term()) + ") " +
                what);
}

void Member::moved() {
  if (checked_life_ != life_) {
    checked_life_ = life_;
    check_disk();
  }
  if (member_->raft().role() == raft::Role::kLeader) watch_leader();
  configuration_before_ = member_->raft().configuration();
}

void Member::watch_leader() {
  const raft::Raft& raft = member_->raft();
  if (member_->log().hard_state().term != raft.term()) return;  // nobody knows yet, and a crash undoes it
  if (led_ != raft.term()) {
    led_ = raft.term();
    if (outside_.verbose()) note("leads, last entry " + std::to_string(raft.last_index()));
    reported_commit_ = raft.committed();
    checker_.on_leader(raft);
    outside_.leads(id_);
  }
  if (raft.committed() > reported_commit_) {
    reported_commit_ = raft.committed();
    outside_.committed(id_, reported_commit_);
  }
}

}  // namespace coxswain::simulation
