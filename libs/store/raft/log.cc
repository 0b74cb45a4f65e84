#include "libs/store/raft/log.h"

#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store::raft {

std::size_t payload_bytes(const Entry& entry) { return entry.data == nullptr ? 0 : entry.data->size(); }

Log::Log(const LogReader& stored, Index applied, Index committed)
    : stored_(stored),
      applied_(applied),
      committed_(std::max(applied, committed)),
      durable_(stored.last_index()) {
  COX_CHECK(applied_ + 1 >= stored.first_index() && committed_ <= durable_);
  for (const Index index : stored.changes()) note_change(index);
}

// Whoever proposed this change had applied the one before (at most one is in flight), and its log up to here
// is ours. So that one is committed, even if a crash made everybody forget it: without this, members that
// lost what they had applied could elect a leader by a configuration two steps old, beside one of the newest.
void Log::note_change(Index index) {
  if (index <= applied_) return;
  if (!changes_.empty() && !planted(Mutant::kChangeForgottenWithCommit)) commit_to(changes_.back());
  changes_.push_back(index);
}

Index Log::first() const { return snapshot_.has_value() ? snapshot_->index + 1 : stored_.first_index(); }

Index Log::last() const {
  if (!unstable_.empty()) return unstable_.back().index;
  return snapshot_.has_value() ? snapshot_->index : stored_.last_index();
}

std::optional<Term> Log::term(Index index) const {
  if (!unstable_.empty() && index >= unstable_.front().index) {
    if (index > unstable_.back().index) return std::nullopt;
    return unstable_[index - unstable_.front().index].term;
  }
  if (snapshot_.has_value()) {
    if (index == snapshot_->index) return snapshot_->term;
    return std::nullopt;
  }
  if (index + 1 < stored_.first_index() || index > stored_.last_index()) return std::nullopt;
  return stored_.term(index);
}

Term Log::last_term() const {
  const std::optional<Term> term = this->term(last());
  COX_CHECK(term.has_value());
  return *term;
}

bool Log::up_to_date(Index index, Term term) const {
  return term > last_term() || (term == last_term() && index >= last());
}

std::vector<Entry> Log::entries(Index from, Index to, std::size_t max_bytes) const {
  std::vector<Entry> out;
  const Index unstable_from = unstable_.empty() ? to : unstable_.front().index;
  if (from < std::min(to, unstable_from)) {
    if (snapshot_.has_value()) return out;
    const Index stop = std::min(to, unstable_from);
    out = stored_.entries(from, stop, max_bytes);
    if (out.size() < stop - from) return out;  // full, or not to be read
    from = stop;
  }
  std::size_t bytes = 0;
  for (const Entry& entry : out) bytes += payload_bytes(entry);
  for (; from < to; ++from) {
    const Entry& entry = unstable_[from - unstable_from];
    bytes += payload_bytes(entry);
    if (bytes > max_bytes && !out.empty()) break;
    out.push_back(entry);
  }
  return out;
}

void Log::append(std::vector<Entry> entries) {
  COX_CHECK(entries.front().index == last() + 1);
  for (Entry& entry : entries) {
    unstable_.push_back(std::move(entry));
    if (unstable_.back().kind == EntryKind::kConfiguration) note_change(unstable_.back().index);
  }
}

Index Log::merge(Index after, const std::vector<Entry>& entries) {
  Index index = after + 1;
  std::size_t i = 0;
  while (!planted(Mutant::kAppendCutsMatching) && i < entries.size() && matches(index, entries[i].term)) {
    ++i;
    ++index;
  }
  if (i == entries.size()) return index - 1;
  COX_CHECK(index > committed_ || planted(Mutant::kAppendCutsMatching));  // what is committed never changes
  durable_ = std::min(durable_, index - 1);
  if (!unstable_.empty()) {
    const Index base = unstable_.front().index;
    unstable_.resize(index > base ? std::min<std::size_t>(unstable_.size(), index - base) : 0);
  }
  while (!changes_.empty() && changes_.back() >= index) changes_.pop_back();
  for (; i < entries.size(); ++i) {
    unstable_.push_back(entries[i]);
    if (entries[i].kind == EntryKind::kConfiguration) note_change(entries[i].index);
  }
  return unstable_.back().index;
}

Index Log::last_not_after(Index index, Term term) const {
  for (index = std::min(index, last()); index > 0; --index) {
    const std::optional<Term> here = this->term(index);
    if (!here.has_value() || *here <= term) break;
  }
  return index;
}

// A state that is not stored yet is not sent on.
std::optional<Snapshot> Log::newest_snapshot() const {
  return snapshot_.has_value() ? std::nullopt : stored_.snapshot();
}

void Log::commit_to(Index index) {
  if (index <= committed_) return;
  COX_CHECK(index <= last());
  committed_ = index;
}

void Log::restore(const Snapshot& snapshot) {
  COX_CHECK(snapshot.index > committed_ || planted(Mutant::kSnapshotOverNewerState));
  snapshot_ = snapshot;
  unstable_.clear();
  changes_.clear();
  committed_ = snapshot.index;
  durable_ = 0;
}

std::vector<Entry> Log::next_committed(std::size_t max_bytes) const {
  if (snapshot_.has_value()) return {};  // first the state, then what comes after it
  return applied_ < committed_ ? entries(applied_ + 1, committed_ + 1, max_bytes) : std::vector<Entry>();
}

void Log::persisted(Index index, Term term) {
  if (unstable_.empty() || index < unstable_.front().index || this->term(index) != term) return;
  const auto count = static_cast<std::ptrdiff_t>(index - unstable_.front().index + 1);
  unstable_.erase(unstable_.begin(), unstable_.begin() + count);
  durable_ = index;
}

void Log::snapshot_persisted(Index index) {
  if (!snapshot_.has_value() || snapshot_->index != index) return;
  applied_ = planted(Mutant::kSnapshotOverNewerState) ? index : std::max(applied_, index);
  durable_ = std::max(durable_, index);
  snapshot_.reset();
}

void Log::applied_to(Index index) {
  COX_CHECK(index <= committed_);
  applied_ = std::max(applied_, index);
  while (!changes_.empty() && changes_.front() <= applied_) changes_.pop_front();
}

}  // namespace coxswain::store::raft
