#include "tests/simulation/member.h"

#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::simulation {
namespace {

constexpr std::size_t kInbox = 4096;

SavedPtr empty_state(const raft::Configuration& configuration) {
  auto saved = std::make_shared<Saved>();
  saved->configuration = configuration;
  return saved;
}

}  // namespace

Member::Member(raft::MemberId id, const raft::Configuration& initial, Outside& outside, Checker& checker,
               Random& random)
    : id_(id), outside_(outside), checker_(checker), random_(random), initial_(initial) {
  disk_.state = empty_state(initial);
  start();
}

void Member::load(const Saved& saved) {
  live_.state = std::make_unique<store::State>();
  for (const store::EntryPtr& value : saved.values) live_.state->load(value);
  live_.state->load_revisions(saved.revision, 0);
  live_.applied = saved.applied;
  live_.term = saved.term;
  live_.configuration = saved.configuration;
  live_.hash = saved.hash;
}

SavedPtr Member::save() const {
  auto saved = std::make_shared<Saved>();
  saved->applied = live_.applied;
  saved->term = live_.term;
  saved->configuration = live_.configuration;
  saved->hash = live_.hash;
  const store::State::Snapshot now = live_.state->snapshot();
  saved->revision = now.revision;
  store::RangeResult all;
  store::read_range(now.index, {}, {}, &all);
  saved->values = std::move(all.entries);
  return saved;
}

void Member::start() {
  COX_CHECK(!up());
  load(*disk_.state);
  raft::Options options;
  options.id = id_;
  options.seed = random_.next();
  options.flow = {1 + random_.below(8), 4096};
  // One entry a message now and then: a quorum may then have one of them and not the next (figure 8).
  options.max_message_bytes = random_.below(2) == 0 ? 1 : 300;
  options.max_apply_bytes = 500;
  options.max_uncommitted_bytes = 20'000;
  raft::Start start{disk_.hard_state, live_.applied, live_.configuration};
  if (raft::planted(raft::Mutant::kConfigurationLostOnRestart) && life_ > 0) start.configuration = initial_;
  start.hard_state.commit = std::min(std::max(start.hard_state.commit, live_.applied), last_index());
  raft_ = std::make_unique<raft::Raft>(options, *this, start);
  ++life_;
  busy_ = paused_ = false;
  led_ = 0;
  reported_commit_ = 0;
  pump();
}

void Member::crash() {
  if (!up()) return;
  if (busy_) {
    const std::size_t records = (ready_.snapshot.has_value() ? 1 : 0) +
                                (ready_.hard_state.has_value() ? 1 : 0) + ready_.entries.size();
    store(ready_, random_.below(records + 1));
  }
  raft_.reset();
  inbox_.clear();
  proposals_.clear();
  reads_.clear();
  incoming_.reset();
  missed_ticks_ = 0;
}

void Member::pause(bool on) {
  paused_ = on;
  if (!on && up()) pump();
}

// The first `records` of: snapshot, hard state, entries in order. A crash may leave any prefix.
void Member::store(const raft::Ready& ready, std::size_t records) {
  if (ready.snapshot.has_value()) {
    if (records-- == 0) return;
    COX_CHECK(incoming_ != nullptr && incoming_->applied == ready.snapshot->index);
    disk_.state = incoming_;
    disk_.base = ready.snapshot->index;
    disk_.base_term = ready.snapshot->term;
    disk_.log.clear();
  }
  if (ready.hard_state.has_value()) {
    if (records-- == 0) return;
    disk_.hard_state = *ready.hard_state;
    if (raft::planted(raft::Mutant::kVoteNotPersisted)) disk_.hard_state.vote = raft::kNobody;
  }
  for (const raft::Entry& entry : ready.entries) {
    if (records-- == 0) return;
    append_to_disk(entry);
  }
}

void Member::append_to_disk(const raft::Entry& entry) {
  COX_CHECK(entry.index > disk_.base && entry.index <= last_index() + 1);
  disk_.log.resize(entry.index - disk_.base - 1);
  const raft::Term before = disk_.log.empty() ? disk_.base_term : disk_.log.back().term;
  disk_.log.push_back(entry);
  checker_.on_stored(entry, before);
}

bool Member::holds(raft::Index index, raft::Term term) const {
  if (index <= disk_.state->applied) return true;  // in the stored state; what is in it is checked elsewhere
  return index > disk_.base && index <= last_index() && disk_.log[index - disk_.base - 1].term == term;
}

void Member::tick() {
  if (!up() || paused_) return;
  if (busy_) {
    missed_ticks_ = std::min(missed_ticks_ + 1, 3);
    return;
  }
  raft_->tick();
  pump();
}

void Member::deliver(Envelope envelope) {
  if (!up()) return;
  if (busy_ || paused_) {
    if (inbox_.size() < kInbox) inbox_.push_back(std::move(envelope));
    return;
  }
  if (envelope.state != nullptr) incoming_ = envelope.state;
  raft_->step(std::move(envelope.message));
  pump();
}

void Member::pump() {
  while (up() && !busy_ && !paused_) {
    watch_role();
    if (raft_->has_ready()) {
      ready_ = raft_->ready();
      send(ready_.messages);
      if (ready_.must_sync) {
        busy_ = true;
        outside_.after_disk(id_, life_);
        return;
      }
      finish();
      continue;
    }
    if (missed_ticks_ > 0) {
      --missed_ticks_;
      raft_->tick();
    } else if (!inbox_.empty()) {
      Envelope envelope = std::move(inbox_.front());
      inbox_.pop_front();
      if (envelope.state != nullptr) incoming_ = envelope.state;
      raft_->step(std::move(envelope.message));
    } else {
      return;
    }
  }
}

void Member::disk_done(std::uint64_t life) {
  if (!up() || life != life_ || !busy_) return;
  busy_ = false;
  finish();
  pump();
}

void Member::finish() {
  const raft::Ready ready = std::move(ready_);
  if (ready.must_sync || random_.below(2) == 0) store(ready, static_cast<std::size_t>(-1));
  if (ready.snapshot.has_value()) {
    load(*disk_.state);
    incoming_.reset();
  }
  send(ready.after_persist);
  for (const raft::Entry& entry : ready.committed) apply(entry);
  for (const raft::ReadState& state : ready.reads) {
    const auto it = reads_.find(state.context);
    if (it != reads_.end()) it->second.index = state.index;
  }
  answer_reads();
  raft_->advance(ready);
  watch_role();
}

void Member::apply(const raft::Entry& entry) {
  if (entry.index != live_.applied + 1)
    fail("state-machine safety", "member " + std::to_string(id_) + " applies entry " +
                                     std::to_string(entry.index) + " after entry " +
                                     std::to_string(live_.applied));
  live_.applied = entry.index;
  live_.term = entry.term;
  store::TxnResult result;
  if (entry.kind == raft::EntryKind::kConfiguration) {
    live_.configuration = *raft::decode_configuration(*entry.data);
    live_.hash = hash_bytes(*entry.data, live_.hash);
    if (outside_.verbose()) note("takes on " + describe(live_.configuration));
  } else if (entry.data != nullptr) {
    store::State::Plan plan = live_.state->plan(*store::decode_command(*entry.data));
    live_.state->commit(plan);
    for (const store::EventPtr& event : plan.events) {
      live_.hash = hash_bytes(
          event->entry->key + "=" + event->entry->value + "@" + std::to_string(event->revision), live_.hash);
      checker_.on_write(event->revision, event->entry->key, event->entry->value);
    }
    result = std::move(plan.result);
  }
  if (outside_.verbose())
    note("applies " + std::to_string(entry.index) + " of term " + std::to_string(entry.term));
  checker_.on_applied(*raft_, entry, live_.hash);
  const auto it = proposals_.find(entry.index);
  if (it == proposals_.end()) return;
  const bool ours = it->second.term == entry.term;
  outside_.finished(it->second.operation, ours, result.revision, result.succeeded, it->second.value);
  proposals_.erase(it);
}

void Member::answer_reads() {
  for (auto it = reads_.begin(); it != reads_.end();) {
    const Read& read = it->second;
    if (!read.index.has_value() || *read.index > live_.applied) {
      ++it;
      continue;
    }
    store::Revision revision = 0;
    store::Revision compacted = 0;
    const store::EntryPtr found = live_.state->find(read.key, &revision, &compacted);
    outside_.finished(read.operation, true, revision, false, found == nullptr ? "" : found->value);
    it = reads_.erase(it);
  }
}

bool Member::write(std::size_t operation, const store::Txn& txn, std::string value) {
  if (!up() || paused_ || busy_) return false;
  auto payload = std::make_shared<const std::string>(store::encode_txn(txn));
  if (raft_->propose({std::move(payload)}) != raft::Outcome::kAccepted) return false;
  proposals_[raft_->last_index()] = {raft_->term(), operation, std::move(value)};
  pump();
  return true;
}

bool Member::read(std::size_t operation, const std::string& key) {
  if (!up() || paused_ || busy_) return false;
  const std::uint64_t context = random_.next();  // never one of an earlier life
  reads_[context] = {operation, key, std::nullopt};
  if (raft_->read_index(context) != raft::Outcome::kAccepted) {
    reads_.erase(context);
    return false;
  }
  pump();
  return true;
}

void Member::flush() {
  if (!up() || busy_) return;
  disk_.state = save();
  const raft::Index keep = random_.below(30);
  const raft::Index upto = disk_.state->applied > keep ? disk_.state->applied - keep : 0;
  while (disk_.base < upto) {
    disk_.base_term = disk_.log.front().term;
    disk_.log.pop_front();
    ++disk_.base;
  }
}

void Member::send(const std::vector<raft::Message>& messages) {
  for (const raft::Message& message : messages) {
    Envelope envelope{message, nullptr};
    if (message.snapshot.has_value()) {
      // The node moves the newest stored state, which may be newer than when the message was made.
      envelope.state = disk_.state;
      envelope.message.snapshot =
          raft::Snapshot{disk_.state->applied, disk_.state->term, disk_.state->configuration};
    }
    outside_.send(std::move(envelope));
  }
}

void Member::note(const std::string& what) const {
  outside_.note("member " + std::to_string(id_) + " (term " + std::to_string(raft_->term()) + ") " + what);
}

void Member::watch_role() {
  if (raft_->role() == raft::Role::kLeader) watch_leader();
  configuration_before_ = raft_->configuration();
}

void Member::watch_leader() {
  if (led_ != raft_->term()) {
    led_ = raft_->term();
    if (outside_.verbose()) note("leads, last entry " + std::to_string(raft_->last_index()));
    reported_commit_ = raft_->committed();
    checker_.on_leader(*raft_);
    outside_.leads(id_);
  }
  if (raft_->committed() > reported_commit_) {
    reported_commit_ = raft_->committed();
    outside_.committed(id_, reported_commit_);
  }
}

std::optional<raft::Term> Member::term(raft::Index index) const {
  if (index == disk_.base) return disk_.base_term;
  if (index < disk_.base || index > last_index()) return std::nullopt;
  return disk_.log[index - disk_.base - 1].term;
}

std::vector<raft::Entry> Member::entries(raft::Index from, raft::Index to, std::size_t max_bytes) const {
  std::vector<raft::Entry> out;
  std::size_t bytes = 0;
  if (from <= disk_.base) return out;
  for (; from < to && from <= last_index(); ++from) {
    const raft::Entry& entry = disk_.log[from - disk_.base - 1];
    bytes += raft::payload_bytes(entry);
    if (bytes > max_bytes && !out.empty()) break;
    out.push_back(entry);
  }
  return out;
}

std::vector<raft::Index> Member::changes() const {
  std::vector<raft::Index> out;
  for (const raft::Entry& entry : disk_.log)
    if (entry.kind == raft::EntryKind::kConfiguration) out.push_back(entry.index);
  return out;
}

std::optional<raft::Snapshot> Member::snapshot() const {
  return raft::Snapshot{disk_.state->applied, disk_.state->term, disk_.state->configuration};
}

}  // namespace coxswain::simulation
