#include "libs/store/mvcc/state.h"

#include <algorithm>

#include "libs/common/base/check.h"

namespace coxswain::store {

void State::load_revisions(Revision revision, Revision compacted) {
  const std::lock_guard lock(mutex_);
  revision_ = revision;
  compacted_ = compacted;
}

void State::replace(State&& other) {
  Index old;  // freed without the lock
  const std::lock_guard lock(mutex_);
  old = std::move(index_);
  index_ = std::move(other.index_);
  revision_ = other.revision_;
  compacted_ = other.compacted_;
}

State::Plan State::plan(Command command) const {
  Plan plan;
  plan.result.revision = revision_;
  if (command.type != Command::Type::kTxn) {
    plan.result.succeeded = true;
    if (command.type == Command::Type::kCompact)
      plan.compact_to = std::clamp(command.compact_to, compacted_, revision_);
    return plan;
  }
  for (std::size_t i = 0; i < command.txn.compares.size(); ++i) {
    const Compare& compare = command.txn.compares[i];
    EntryPtr current = index_.find(compare.key);
    if ((current == nullptr ? 0 : current->mod_revision) == compare.mod_revision) continue;
    plan.result.failed_compare = i;
    plan.result.current = std::move(current);
    return plan;
  }
  plan.result.succeeded = true;
  const Revision next = revision_ + 1;
  for (Op& op : command.txn.ops) {
    EntryPtr previous = index_.find(op.key);
    const bool put = op.type == Op::Type::kPut;
    if (!put && previous == nullptr) {
      plan.result.entries.push_back(nullptr);
      continue;
    }
    const Revision created = !put ? 0 : previous != nullptr ? previous->create_revision : next;
    const std::int64_t version = !put ? 0 : previous != nullptr ? previous->version + 1 : 1;
    plan.result.revision = next;
    plan.result.entries.push_back(make_entry(op.key, op.value, created, next, version, op.splice_at));
    StateHash change = put ? hash_entry(*plan.result.entries.back()) : StateHash{};
    if (previous != nullptr) change -= hash_entry(*previous);
    plan.changes.push_back(change);
    plan.events.push_back(
        std::make_shared<const Event>(Event{put ? Event::Type::kPut : Event::Type::kDelete,
                                            plan.result.entries.back(), std::move(previous), next}));
  }
  return plan;
}

void State::commit(const Plan& plan) {
  const std::lock_guard lock(mutex_);
  if (plan.compact_to != 0) compacted_ = std::max(compacted_, plan.compact_to);
  if (plan.events.empty()) {
    revision_ = std::max(revision_, plan.result.revision);
    return;
  }
  COX_CHECK(plan.result.revision > revision_);
  for (const EventPtr& event : plan.events) {
    if (event->type == Event::Type::kPut) {
      index_.put(event->entry);
    } else {
      index_.erase(event->entry->key);
    }
  }
  revision_ = plan.result.revision;
}

State::Snapshot State::snapshot() const {
  const std::lock_guard lock(mutex_);
  return {index_, revision_, compacted_};
}

EntryPtr State::find(std::string_view key, Revision* revision, Revision* compacted) const {
  const std::lock_guard lock(mutex_);
  *revision = revision_;
  *compacted = compacted_;
  return index_.find(key);
}

std::string range_start(const RangeRequest& request) {
  return request.after >= request.prefix && !request.after.empty() ? request.after + '\0' : request.prefix;
}

void read_range(const Index& index, const Overlay& overlay, const RangeRequest& request,
                RangeResult* result) {
  const std::string from = range_start(request);
  const std::string end = prefix_end(request.prefix);
  const auto in_range = [&](std::string_view key) { return key >= from && has_prefix(key, request.prefix); };
  std::int64_t total =
      std::max<std::int64_t>(0, (end.empty() ? index.size() : index.rank(end)) - index.rank(from));
  for (const auto& [key, entry] : overlay) {
    if (!in_range(key)) continue;
    const bool is_there = index.find(key) != nullptr;
    total += (entry != nullptr ? 1 : 0) - (is_there ? 1 : 0);
  }
  const std::size_t limit = request.limit == 0 ? static_cast<std::size_t>(-1) : request.limit;
  result->entries.reserve(std::min(limit, static_cast<std::size_t>(std::max<std::int64_t>(total, 0))));

  const auto full = [&] { return result->entries.size() >= limit; };
  auto next = overlay.begin();
  while (next != overlay.end() && next->first < from) ++next;
  const auto emit_overlay = [&] {
    if (next->second != nullptr && in_range(next->first)) result->entries.push_back(next->second);
    ++next;
  };
  index.scan(from, [&](const EntryPtr& entry) {
    if (!has_prefix(entry->key, request.prefix)) return false;
    while (next != overlay.end() && next->first < entry->key && !full()) emit_overlay();
    if (full()) return false;
    if (next != overlay.end() && next->first == entry->key) {
      emit_overlay();
    } else {
      result->entries.push_back(entry);
    }
    return !full();
  });
  while (next != overlay.end() && !full()) emit_overlay();
  result->remaining = total - static_cast<std::int64_t>(result->entries.size());
  result->more = result->remaining > 0;
}

}  // namespace coxswain::store
