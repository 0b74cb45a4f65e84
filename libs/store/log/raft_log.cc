#include "libs/store/log/raft_log.h"

#include <algorithm>

#include "libs/common/base/check.h"
#include "libs/common/base/wire.h"
#include "libs/store/log/record.h"

namespace coxswain::store {
namespace {

enum class Kind : std::uint8_t { kMark = 1, kHardState = 2, kEntry = 3, kBegin = 4 };
constexpr std::size_t kMostHeadBytes = 64;  // six numbers and the kind, of any size

void put_hard_state(std::string* out, const raft::HardState& state) {
  put_varint(out, state.term);
  put_varint(out, state.vote);
  put_varint(out, state.commit);
}

raft::HardState read_hard_state(WireReader& reader) {
  raft::HardState state;
  state.term = reader.varint();
  state.vote = reader.varint();
  state.commit = reader.varint();
  return state;
}

std::string mark_record(Kind kind, const raft::HardState& state, raft::Index index, raft::Term term) {
  std::string out(1, static_cast<char>(kind));
  put_hard_state(&out, state);
  put_varint(&out, index);
  put_varint(&out, term);
  return out;
}

std::string hard_state_record(const raft::HardState& state) {
  std::string out(1, static_cast<char>(Kind::kHardState));
  put_hard_state(&out, state);
  return out;
}

std::string entry_head(const raft::Entry& entry) {
  std::string out(1, static_cast<char>(Kind::kEntry));
  put_varint(&out, entry.index);
  put_varint(&out, entry.term);
  put_varint(&out, static_cast<std::uint64_t>(entry.kind));
  return out;
}

// What follows the kind.
std::optional<raft::Entry> read_entry(WireReader& reader) {
  raft::Entry entry;
  entry.index = reader.varint();
  entry.term = reader.varint();
  const std::uint64_t kind = reader.varint();
  if (!reader.ok() || entry.index == 0 || kind > static_cast<std::uint64_t>(raft::EntryKind::kConfiguration))
    return std::nullopt;
  entry.kind = static_cast<raft::EntryKind>(kind);
  if (!reader.rest().empty()) entry.data = std::make_shared<const std::string>(reader.rest());
  return entry;
}

}  // namespace

Error RaftLog::damaged(const std::string& what) const {
  return make_error(ErrorCode::kCorruption,
                    options_.dir + ": " + what +
                        "; nothing was changed. To rebuild an api-server that is alone: move " +
                        options_.dir + " and the state beside it away, then restore a backup");
}

// ---- opening ----

Result<std::unique_ptr<RaftLog>> RaftLog::open(Options options, const Origin& origin) {
  std::unique_ptr<RaftLog> log(new RaftLog(std::move(options)));
  if (log->options_.env == nullptr) {
    log->hard_state_ = origin.hard_state;
    log->base_ = log->last_ = origin.index;
    log->base_term_ = origin.term;
    return log;
  }
  COX_RETURN_IF_ERROR(log->recover(origin));
  return log;
}

Result<void> RaftLog::recover(const Origin& origin) {
  // A log that is there has a mark in front; one that is not begins where the state is.
  const bool may_be_new = origin.index == 0 || origin.hard_state.term > 0;
  auto opened =
      Wal::open(*options_.env, {options_.dir, options_.segment_bytes, may_be_new},
                [this](std::uint64_t number, std::string_view payload) { return replay(number, payload); });
  if (!opened.ok()) return std::move(opened).error();
  wal_ = std::move(opened).value();
  if (!has_mark_) {
    if (!may_be_new) return damaged("the log is empty");
    hard_state_ = origin.hard_state;
    base_ = last_ = origin.index;
    base_term_ = origin.term;
    COX_RETURN_IF_ERROR(reserve(0));
    COX_RETURN_IF_ERROR(append(std::nullopt, {}));
    return sync();
  }
  if (origin.copied && (last_ < origin.index || term(origin.index) != origin.term)) {
    COX_RETURN_IF_ERROR(reserve(bytes_for(1, 0)));
    return restart(origin.index, origin.term);
  }
  if (base_ > origin.index) return damaged("entries before " + std::to_string(base_ + 1) + " are missing");
  if (last_ < origin.index) {
    return damaged("ends at entry " + std::to_string(last_) + " but entry " + std::to_string(origin.index) +
                   " was committed");
  }
  if (base_ == origin.index) base_term_ = origin.term;
  if (term(origin.index) != origin.term)
    return damaged("entry " + std::to_string(origin.index) + " is not the one that was committed");
  needed_ = last_;
  trim_cache();
  return {};
}

Result<void> RaftLog::replay(std::uint64_t number, std::string_view payload) {
  const auto kind = payload.empty() ? Kind{} : static_cast<Kind>(payload.front());
  WireReader reader(payload.empty() ? payload : payload.substr(1));
  const auto broken = [&] { return damaged("record " + std::to_string(number) + " makes no sense"); };
  if (kind == Kind::kEntry) {
    std::optional<raft::Entry> entry = read_entry(reader);
    if (!entry.has_value() || !has_mark_) return broken();
    return replay_entry(number, std::move(*entry));
  }
  if (kind != Kind::kMark && kind != Kind::kHardState && kind != Kind::kBegin) return broken();
  const raft::HardState state = read_hard_state(reader);
  if (kind == Kind::kHardState) {
    if (!reader.ok() || !reader.done() || !has_mark_) return broken();
    hard_state_ = state;
    return {};
  }
  const raft::Index index = reader.varint();
  const raft::Term term = reader.varint();
  if (!reader.ok() || !reader.done()) return broken();
  if (kind == Kind::kBegin) {
    if (!has_mark_) return broken();
    begin(index, term);
  } else if (!has_mark_) {
    base_ = last_ = index;
    base_term_ = term;
  } else if (index != last_ || term != this->term(last_) || state != hard_state_) {
    return broken();
  }
  hard_state_ = state;
  has_mark_ = true;
  return {};
}

Result<void> RaftLog::replay_entry(std::uint64_t number, raft::Entry entry) {
  if (entry.index > last_ + 1) {
    return damaged("entries " + std::to_string(last_ + 1) + " to " + std::to_string(entry.index - 1) +
                   " are missing");
  }
  if (entry.index <= base_) {
    // The front segment begins in the middle of what was replaced; what is before it is gone.
    begin(entry.index - 1, std::nullopt);
  } else if (entry.index <= last_) {
    cut(entry.index);
  }
  add(entry, number);
  needed_ = last_;
  trim_cache();
  return {};
}

// ---- writing ----

std::size_t RaftLog::bytes_for(std::size_t entries, std::size_t payload_bytes) {
  // A mark and a hard state may come with every group.
  return (entries + 2) * record_bytes(kMostHeadBytes) + payload_bytes;
}

Result<void> RaftLog::reserve(std::size_t bytes) {
  return wal_ == nullptr ? Result<void>() : wal_->reserve(bytes + record_bytes(kMostHeadBytes));
}

// In front of every segment: where the log is by then.
std::string RaftLog::mark() const {
  return mark_record(Kind::kMark, hard_state_, last_, term(last_).value_or(0));
}

Result<void> RaftLog::append(const std::optional<raft::HardState>& hard_state,
                             const std::vector<raft::Entry>& entries) {
  if (wal_ != nullptr) {
    std::vector<std::string> heads;
    std::vector<Wal::Piece> group;
    heads.reserve(entries.size() + 2);
    group.reserve(entries.size() + 2);
    if (wal_->segment_is_empty()) {
      heads.push_back(mark());
      group.push_back({heads.back(), {}});
    }
    if (hard_state.has_value()) {
      heads.push_back(hard_state_record(*hard_state));
      group.push_back({heads.back(), {}});
    }
    for (const raft::Entry& entry : entries) {
      heads.push_back(entry_head(entry));
      group.push_back({heads.back(), entry.data == nullptr ? std::string_view() : *entry.data});
    }
    if (group.empty()) return {};
    COX_RETURN_IF_ERROR(wal_->append(group));
    has_mark_ = true;
  }
  if (hard_state.has_value()) hard_state_ = *hard_state;
  if (entries.empty()) return {};
  COX_CHECK(entries.front().index > base_ && entries.front().index <= last_ + 1);
  if (entries.front().index <= last_) cut(entries.front().index);
  std::uint64_t number = wal_ == nullptr ? 0 : wal_->last_number() - entries.size();
  for (const raft::Entry& entry : entries) add(entry, ++number);
  trim_cache();
  return {};
}

Result<void> RaftLog::sync() { return wal_ == nullptr ? Result<void>() : wal_->sync(); }

void RaftLog::add(const raft::Entry& entry, std::uint64_t number) {
  COX_CHECK(entry.index == last_ + 1);
  const bool goes_on = !runs_.empty() && runs_.back().term == entry.term &&
                       runs_.back().number + (entry.index - runs_.back().first) == number;
  if (!goes_on) runs_.push_back({entry.index, entry.term, number});
  if (entry.kind == raft::EntryKind::kConfiguration) changes_.push_back(entry.index);
  cache_.push_back(entry);
  cache_bytes_ += raft::payload_bytes(entry);
  last_ = entry.index;
}

Result<void> RaftLog::restart(raft::Index index, raft::Term term) {
  raft::HardState state = hard_state_;
  state.commit = index;
  if (wal_ != nullptr) {
    std::vector<std::string> records;
    if (wal_->segment_is_empty()) records.push_back(mark());
    records.push_back(mark_record(Kind::kBegin, state, index, term));
    std::vector<Wal::Piece> group;
    for (const std::string& record : records) group.push_back({record, {}});
    COX_RETURN_IF_ERROR(wal_->append(group));
    has_mark_ = true;
    COX_RETURN_IF_ERROR(sync());
  }
  hard_state_ = state;
  begin(index, term);
  return {};
}

void RaftLog::begin(raft::Index index, std::optional<raft::Term> term) {
  base_ = last_ = index;
  base_term_ = term;
  needed_ = index;
  runs_.clear();
  cache_.clear();
  cache_bytes_ = 0;
  changes_.clear();
}

void RaftLog::cut(raft::Index from) {
  while (!runs_.empty() && runs_.back().first >= from) runs_.pop_back();
  while (!changes_.empty() && changes_.back() >= from) changes_.pop_back();
  while (!cache_.empty() && cache_.back().index >= from) {
    cache_bytes_ -= raft::payload_bytes(cache_.back());
    cache_.pop_back();
  }
  last_ = from - 1;
}

void RaftLog::trim_cache() {
  while (!cache_.empty() && cache_.front().index <= needed_ && cache_bytes_ > options_.cache_bytes) {
    cache_bytes_ -= raft::payload_bytes(cache_.front());
    if (wal_ == nullptr && options_.env == nullptr) {  // there is no disk to read it from
      base_ = cache_.front().index;
      base_term_ = cache_.front().term;
    }
    cache_.pop_front();
  }
}

void RaftLog::forget(raft::Index index) {
  needed_ = std::max(needed_, index);
  trim_cache();
}

Result<void> RaftLog::truncate_prefix(raft::Index index) {
  // A segment without its mark cannot be the first one.
  if (wal_ == nullptr || index <= base_ || wal_->segment_is_empty()) return {};
  COX_RETURN_IF_ERROR(wal_->truncate_prefix(number_of(std::min(index, last_))));
  // The first entry whose record is still there.
  const std::uint64_t kept = wal_->first_number();
  raft::Index first = last_ + 1;
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    const raft::Index end = run == runs_.rbegin() ? last_ + 1 : std::prev(run)->first;
    const raft::Index at = run->first + (kept > run->number ? kept - run->number : 0);
    if (at >= end) break;
    first = at;
  }
  if (first - 1 <= base_) return {};
  base_term_ = term(first - 1);
  base_ = first - 1;
  while (runs_.size() > 1 && runs_[1].first <= base_ + 1) runs_.pop_front();
  std::erase_if(changes_, [this](raft::Index at) { return at <= base_; });
  while (!cache_.empty() && cache_.front().index <= base_) {
    cache_bytes_ -= raft::payload_bytes(cache_.front());
    cache_.pop_front();
  }
  return {};
}

// ---- reading ----

const RaftLog::Run* RaftLog::run_of(raft::Index index) const {
  const auto it = std::upper_bound(runs_.begin(), runs_.end(), index,
                                   [](raft::Index at, const Run& run) { return at < run.first; });
  return it == runs_.begin() ? nullptr : &*std::prev(it);
}

std::uint64_t RaftLog::number_of(raft::Index index) const {
  const Run* run = run_of(index);
  return run == nullptr ? 0 : run->number + (index - run->first);
}

std::optional<raft::Term> RaftLog::term(raft::Index index) const {
  if (index == base_) return base_term_;
  if (index < base_ || index > last_) return std::nullopt;
  return run_of(index)->term;
}

std::vector<raft::Entry> RaftLog::entries(raft::Index from, raft::Index to, std::size_t max_bytes) const {
  std::vector<raft::Entry> out;
  if (from <= base_ || from >= to || from > last_) return out;
  to = std::min(to, last_ + 1);
  std::size_t bytes = 0;
  const auto take = [&](const raft::Entry& entry) {
    bytes += raft::payload_bytes(entry);
    if (bytes > max_bytes && !out.empty()) return false;
    out.push_back(entry);
    return true;
  };
  const raft::Index cached_from = cache_.empty() ? last_ + 1 : cache_.front().index;
  if (from < cached_from) {
    const raft::Index stop = std::min(to, cached_from);
    // Cut entries and marks are passed over: only the newest record of an index counts.
    const auto read = wal_->read(number_of(from), [&](std::uint64_t number, std::string_view payload) {
      if (static_cast<Kind>(payload.front()) != Kind::kEntry || number != number_of(from)) return true;
      WireReader reader(payload.substr(1));
      const std::optional<raft::Entry> entry = read_entry(reader);
      return entry.has_value() && take(*entry) && ++from < stop;
    });
    if (!read.ok() || from < stop) return out;
  }
  for (; from < to; ++from)
    if (!take(cache_[from - cached_from])) break;
  return out;
}

}  // namespace coxswain::store
