#include "tests/simulation/checker.h"

#include <algorithm>

namespace coxswain::simulation {
namespace {

std::string number(std::uint64_t n) { return std::to_string(n); }

std::uint64_t payload_hash(const raft::Entry& entry) {
  const std::string_view data = entry.data == nullptr ? std::string_view() : std::string_view(*entry.data);
  return hash_bytes(data, static_cast<std::uint64_t>(entry.kind) + 1);
}

}  // namespace

std::string describe(const raft::Configuration& configuration) {
  const auto list = [](const std::vector<raft::MemberId>& ids) {
    std::string text;
    for (const raft::MemberId id : ids) text += (text.empty() ? "" : ",") + number(id);
    return text;
  };
  return "[" + list(configuration.voters) + "|" + list(configuration.outgoing) + "|" +
         list(configuration.learners) + "]";
}

void fail(const std::string& invariant, const std::string& what) { throw Violation(invariant + ": " + what); }

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
  for (const char c : bytes) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return seed;
}

void Checker::on_leader(const raft::Raft& leader) {
  const auto [it, first] = leaders_.emplace(leader.term(), leader.id());
  if (!first && it->second != leader.id()) {
    fail("election safety", "members " + number(it->second) + " and " + number(leader.id()) +
                                " both lead term " + number(leader.term()));
  }
  for (auto at = applied_.rbegin(); at != applied_.rend(); ++at) {
    if (at->second.committed_in >= leader.term()) continue;  // by the leader of that or a later term
    const std::optional<raft::Term> term = leader.log().term(at->first);
    if (at->first < leader.log().first()) break;
    if (term != at->second.term) {
      fail("leader completeness", "member " + number(leader.id()) + " leads term " + number(leader.term()) +
                                      " without the committed entry " + number(at->first));
    }
  }
}

void Checker::on_stored(const raft::Entry& entry, raft::Term term_before) {
  const std::pair<std::uint64_t, raft::Term> seen{payload_hash(entry), term_before};
  const auto [it, first] = stored_.emplace(std::pair(entry.term, entry.index), seen);
  if (!first && it->second != seen)
    fail("log matching", "two different entries " + number(entry.index) + " of term " + number(entry.term));
}

void Checker::on_commit(const raft::Raft& leader, const raft::Configuration& before, raft::Index index,
                        const std::vector<raft::MemberId>& holders) {
  const auto holds = [&](raft::MemberId id) -> std::optional<bool> {
    return std::find(holders.begin(), holders.end(), id) != holders.end();
  };
  for (const raft::Configuration* configuration : {&leader.configuration(), &before})
    if (raft::count_votes(*configuration, holds) == raft::Vote::kWon) return;
  fail("durability", "member " + number(leader.id()) + " calls entry " + number(index) +
                         " committed, and only " + number(holders.size()) + " members have it on disk");
}

void Checker::on_applied(const raft::Raft& member, const raft::Entry& entry, std::uint64_t state_hash) {
  const Applied seen{entry.term, member.term(), payload_hash(entry), state_hash};
  const auto [it, first] = applied_.emplace(entry.index, seen);
  it->second.committed_in = std::min(it->second.committed_in, seen.committed_in);
  if (first) return;
  if (it->second.term != seen.term || it->second.payload_hash != seen.payload_hash)
    fail("state-machine safety",
         "member " + number(member.id()) + " applied another entry " + number(entry.index));
  if (it->second.state_hash != seen.state_hash)
    fail("equal states", "member " + number(member.id()) + " differs after entry " + number(entry.index));
}

void Checker::on_state(raft::MemberId member, raft::Index applied, std::uint64_t state_hash) const {
  const auto it = applied_.find(applied);
  if (it != applied_.end() && it->second.state_hash != state_hash)
    fail("stored states",
         "member " + number(member) + " goes on from another state of entry " + number(applied));
}

std::string value_of_other(const Operation& op, std::size_t i) {
  return op.value + "." + std::to_string(i + 1);
}

Checker::Write Checker::write_of(const store::Event& event) {
  return {std::string(event.entry->key), std::string(event.entry->value),
          event.type == store::Event::Type::kDelete};
}

void Checker::on_write(const std::vector<std::shared_ptr<const store::Event>>& events) {
  if (events.empty()) return;
  std::vector<Write> writes;
  for (const auto& event : events) writes.push_back(write_of(*event));
  const store::Revision revision = events.front()->revision;
  const auto [it, first] = writes_.emplace(revision, writes);
  if (!first && it->second != writes)
    fail("one history", "revision " + number(static_cast<std::uint64_t>(revision)) + " is two writes");
  if (!first) return;
  for (const Write& write : writes)
    if (!values_.insert(write.value).second) fail("exactly once", write.value + " was written twice");
}

void Checker::on_distrust(raft::MemberId member, const std::string& why) const {
  if (damaged_.count(member) == 0)
    fail("no false alarm", "nothing is wrong with member " + number(member) + ", which says: " + why);
}

void Checker::on_alarm(const std::string& what) const {
  if (damaged_.empty()) fail("no false alarm", what);
}

void Checker::on_leader_cut_off(raft::MemberId member, std::int64_t for_ms) {
  fail("check quorum", "member " + number(member) + " still leads after " +
                           number(static_cast<std::uint64_t>(for_ms)) + " ms without a quorum");
}

std::optional<std::string> Checker::value_at(const std::string& key, store::Revision revision) const {
  for (auto it = writes_.upper_bound(revision); it != writes_.begin();) {
    --it;
    for (const Write& write : it->second) {
      if (write.key != key) continue;
      return write.deleted ? std::nullopt : std::optional(write.value);
    }
  }
  return std::nullopt;
}

// Exactly what happened behind `position` up to what it was told that it has, of its prefix, and in that
// order.
void Checker::check_watch(const std::string& prefix, store::Revision position,
                          const store::WatchBatch& batch) const {
  const auto wrong = [&](const std::string& what, store::Revision revision) {
    fail("watch", "after revision " + std::to_string(position) + " a watcher of \"" + prefix + "\" " + what +
                      " " + std::to_string(revision));
  };
  if (batch.progress < position) wrong("was sent back to", batch.progress);
  auto got = batch.events.begin();
  for (auto it = writes_.upper_bound(position); it != writes_.end() && it->first <= batch.progress; ++it) {
    for (const Write& write : it->second) {
      if (write.key.rfind(prefix, 0) != 0) continue;
      if (got == batch.events.end()) wrong("was told that it has everything, and missed", it->first);
      const store::Event& event = **got++;
      if (event.revision != it->first) wrong("missed, or got twice, what happened at", it->first);
      if (!(write_of(event) == write)) wrong("got another", it->first);
      const std::string before =
          event.previous == nullptr ? std::string() : std::string(event.previous->value);
      if (value_at(write.key, it->first - 1).value_or("") != before)
        wrong("was told of a wrong value before", it->first);
    }
  }
  if (got != batch.events.end()) wrong("got what did not happen, or not yet:", (*got)->revision);
}

void Checker::check_history_read(const std::string& key, store::Revision revision,
                                 const store::EntryPtr& found) const {
  if (value_at(key, revision).value_or("") == (found == nullptr ? "" : found->value)) return;
  fail("history", key + " at revision " + std::to_string(revision) + " is " +
                      std::string(found == nullptr ? "nothing" : found->value));
}

// All of it, and at the revision that was answered.
void Checker::check_written(const Operation& op) const {
  const auto it = writes_.find(op.revision);
  const auto has = [&](const std::string& key, const std::string& value) {
    const Write wanted{key, value, op.kind == Operation::Kind::kDelete};
    return it != writes_.end() && std::find(it->second.begin(), it->second.end(), wanted) != it->second.end();
  };
  bool whole = has(op.key, op.value);
  for (std::size_t i = 0; i < op.others.size(); ++i)
    whole = whole && has(op.others[i], value_of_other(op, i));
  if (!whole)
    fail("no lost write", "revision " + number(static_cast<std::uint64_t>(op.revision)) +
                              " was acknowledged for " + op.value + " and is something else");
}

void Checker::check_history(const std::vector<Operation>& operations) const {
  std::vector<const Operation*> by_end;
  std::vector<const Operation*> by_start;
  for (const Operation& op : operations) {
    if (op.state == Operation::State::kFailed && op.kind != Operation::Kind::kRead &&
        values_.count(op.value) > 0)
      fail("honest failures", "a write that was reported as failed is there: " + op.value);
    if (op.state != Operation::State::kDone) continue;
    by_end.push_back(&op);
    by_start.push_back(&op);
    if (op.kind != Operation::Kind::kRead && op.wrote) {
      check_written(op);
    } else if (op.kind == Operation::Kind::kRead) {
      if (value_at(op.key, op.revision).value_or("") != op.value)
        fail("consistent reads",
             "a read at revision " + number(static_cast<std::uint64_t>(op.revision)) + " saw " + op.value);
    }
  }
  std::sort(by_end.begin(), by_end.end(), [](auto* a, auto* b) { return a->ended < b->ended; });
  std::sort(by_start.begin(), by_start.end(), [](auto* a, auto* b) { return a->began < b->began; });
  store::Revision newest = 0;
  std::size_t ended = 0;
  for (const Operation* op : by_start) {
    while (ended < by_end.size() && by_end[ended]->ended < op->began)
      newest = std::max(newest, by_end[ended++]->revision);
    const bool must_be_later = op->wrote;
    if (op->revision < newest || (must_be_later && op->revision == newest)) {
      fail("linearizability", (op->wrote ? "a write" : "a read") + std::string(" of ") + op->key +
                                  " got revision " + number(static_cast<std::uint64_t>(op->revision)) +
                                  " after revision " + number(static_cast<std::uint64_t>(newest)) +
                                  " had been answered");
    }
  }
}

}  // namespace coxswain::simulation
