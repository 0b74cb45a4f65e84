#include "libs/store/log/raft_log.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "libs/common/base/check.h"
#include "libs/store/env/fault_env.h"

namespace coxswain::store {
namespace {

using raft::Entry;
using raft::EntryKind;
using raft::HardState;
using raft::Index;

// What a log holds, as plain as can be.
struct Model {
  HardState hard_state;
  std::vector<Entry> entries;  // from 1 on

  void put(const Entry& entry) {
    entries.resize(entry.index - 1);
    entries.push_back(entry);
  }
  Index last() const { return entries.size(); }
  raft::Term last_term() const { return entries.empty() ? 0 : entries.back().term; }
};

bool same(const Entry& a, const Entry& b) {
  const bool data = (a.data == nullptr) == (b.data == nullptr) && (a.data == nullptr || *a.data == *b.data);
  return a.term == b.term && a.index == b.index && a.kind == b.kind && data;
}

// Everything that the log says, against the model; from its first entry on.
bool holds(const RaftLog& log, const Model& model) {
  if (log.hard_state() != model.hard_state || log.last_index() != model.last()) return false;
  const std::vector<Entry> all = log.entries(log.first_index(), log.last_index() + 1, raft::kNoLimit);
  if (all.size() != log.last_index() + 1 - log.first_index()) return false;
  std::vector<Index> changes;
  for (const Entry& entry : all) {
    if (!same(entry, model.entries[entry.index - 1]) || log.term(entry.index) != entry.term) return false;
    if (entry.kind == EntryKind::kConfiguration) changes.push_back(entry.index);
  }
  return changes == log.changes();
}

Entry entry(raft::Term term, Index index, std::size_t size, EntryKind kind = EntryKind::kData) {
  Entry out{term, index, kind, nullptr};
  if (size > 0)
    out.data = std::make_shared<const std::string>(std::to_string(index) + std::string(size, '.'));
  return out;
}

std::vector<Entry> entries(raft::Term term, Index from, Index to, std::size_t size = 100) {
  std::vector<Entry> out;
  for (; from <= to; ++from) out.push_back(entry(term, from, size));
  return out;
}

std::size_t bytes_of(const std::vector<Entry>& group) {
  std::size_t bytes = 0;
  for (const Entry& one : group) bytes += raft::payload_bytes(one);
  return RaftLog::bytes_for(group.size(), bytes);
}

Result<void> write(RaftLog& log, const std::optional<HardState>& state, const std::vector<Entry>& group) {
  COX_RETURN_IF_ERROR(log.reserve(bytes_of(group)));
  COX_RETURN_IF_ERROR(log.append(state, group));
  return log.sync();
}

// In many groups: a group is never divided between segments.
void write_all(RaftLog& log, const std::vector<Entry>& all) {
  for (const Entry& one : all) REQUIRE(write(log, std::nullopt, {one}).ok());
}

RaftLog::Options small(Env& env, std::size_t cache = 500) { return {&env, "/log", 4096, cache}; }

std::unique_ptr<RaftLog> open(Env& env, Index applied = 0, raft::Term term = 0) {
  auto log = RaftLog::open(small(env), {applied, term, {}});
  REQUIRE(log.ok());
  return std::move(log).value();
}

TEST_CASE("votes and entries are there after a restart, across segments and from the middle") {
  FaultEnv env(1);
  Model model;
  {
    auto log = open(env);
    for (raft::Term term = 1; term <= 20; ++term) {
      model.hard_state = {term, term % 3 + 1, model.last()};
      std::vector<Entry> group = entries(term, model.last() + 1, model.last() + 5);
      if (term % 4 == 0) group[2].kind = EntryKind::kConfiguration;
      REQUIRE(write(*log, model.hard_state, group).ok());
      for (const Entry& one : group) model.put(one);
      REQUIRE(holds(*log, model));
    }
  }
  CHECK(env.list("/log").value().size() > 3);
  auto log = open(env);
  CHECK(holds(*log, model));
  CHECK(log->first_index() == 1);
  CHECK(log->term(0) == 0);
  CHECK_FALSE(log->term(101).has_value());
  CHECK(log->entries(40, 50, 0).size() == 1);  // one at least
  CHECK(log->entries(40, 50, 250).size() == 2);
  CHECK(log->entries(40, 50, raft::kNoLimit).size() == 10);

  REQUIRE(log->truncate_prefix(60).ok());
  CHECK(log->first_index() > 30);
  CHECK(log->first_index() <= 61);
  CHECK(holds(*log, model));
  CHECK(log->term(log->first_index() - 1) == model.entries[log->first_index() - 2].term);
  CHECK(log->entries(log->first_index() - 1, 100, raft::kNoLimit).empty());
  CHECK(holds(*open(env, 70, model.entries[69].term), model));
}

TEST_CASE("a leader's entries replace what conflicts, even across segments") {
  FaultEnv env(1);
  Model model;
  const auto put = [&](RaftLog& log, const std::vector<Entry>& group) {
    write_all(log, group);
    for (const Entry& one : group) model.put(one);
    REQUIRE(holds(log, model));
  };
  auto log = open(env);
  put(*log, entries(1, 1, 60));
  put(*log, entries(2, 61, 90));
  put(*log, entries(3, 41, 45));  // 41..90 are gone, two segments back
  put(*log, entries(3, 46, 80));
  put(*log, entries(4, 44, 44));
  CHECK(holds(*open(env), model));
  // The front segment may begin in the middle of what was replaced.
  put(*log, entries(4, 45, 200));
  for (const Index upto : {30, 44, 60, 100, 150, 199}) {
    REQUIRE(log->truncate_prefix(upto).ok());
    CAPTURE(upto);
    CHECK(log->first_index() <= upto + 1);
    CHECK(holds(*log, model));
    CHECK(holds(*open(env, upto, model.entries[upto - 1].term), model));
  }
  CHECK(log->first_index() > 100);
}

TEST_CASE("a log that does not fit the state is refused, and left as it is") {
  FaultEnv env(1);
  const auto opened = [&](Index applied, raft::Term term) {
    return RaftLog::open(small(env), {applied, term, {}});
  };
  CHECK(opened(5, 1).error().code == ErrorCode::kCorruption);  // the log is missing
  CHECK(env.list("/log").value().empty());
  write_all(*open(env), entries(3, 1, 100));
  CHECK(opened(100, 3).ok());
  CHECK(opened(101, 3).error().code == ErrorCode::kCorruption);  // 101 was applied and is not there
  CHECK(opened(50, 2).error().code == ErrorCode::kCorruption);   // another entry 50 was applied
  REQUIRE(open(env)->truncate_prefix(90).ok());
  CHECK(opened(3, 3).error().code == ErrorCode::kCorruption);  // 4.. are gone
}

TEST_CASE("a new log begins where the state is") {
  FaultEnv env(1);
  auto log = RaftLog::open(small(env), {77, 1, {1, 1, 77}});
  REQUIRE(log.ok());
  CHECK((*log)->first_index() == 78);
  CHECK((*log)->term(77) == 1);
  REQUIRE(write(**log, std::nullopt, entries(2, 78, 80)).ok());
  auto again = open(env, 78, 2);
  CHECK(again->hard_state() == HardState{1, 1, 77});
  CHECK(again->last_index() == 80);
}

TEST_CASE("in memory there is what is cached") {
  auto opened = RaftLog::open({nullptr, "", 0, 500}, {});
  REQUIRE(opened.ok());
  RaftLog& log = **opened;
  REQUIRE(write(log, HardState{1, 1, 0}, entries(1, 1, 50)).ok());
  CHECK(log.first_index() == 1);  // nobody has them yet
  log.forget(40);
  CHECK(log.first_index() == 41);
  CHECK(log.term(40) == 1);
  CHECK(log.entries(41, 51, raft::kNoLimit).size() == 10);
  CHECK(log.entries(40, 51, raft::kNoLimit).empty());
}

// One life: groups until the power goes. `possible`: what may be there afterwards.
void live(FaultEnv& env, Random& random, std::vector<Model>* possible) {
  Model now = possible->back();
  auto opened = RaftLog::open(small(env, random.below(2000)), {});
  if (!opened.ok()) return;
  RaftLog& log = **opened;
  while (true) {
    *possible = {now};
    std::optional<HardState> state;
    if (random.below(3) == 0)
      state = HardState{now.last_term() + 1 + random.below(3), random.below(4), now.last()};
    const Index keep = now.last() - std::min<Index>(now.last(), random.below(4) == 0 ? random.below(12) : 0);
    const raft::Term term = now.last_term() + random.below(2);
    std::vector<Entry> group;
    for (std::uint64_t n = random.below(5); n > 0; --n)
      group.push_back(entry(std::max<raft::Term>(term, 1), keep + 1 + group.size(), random.below(700)));
    if (state.has_value()) {
      now.hard_state = *state;
      possible->push_back(now);
    }
    for (const Entry& one : group) {
      now.put(one);
      possible->push_back(now);
    }
    if (!write(log, state, group).ok()) return;
    REQUIRE(holds(log, now));
  }
}

TEST_CASE("a crash leaves any prefix of the last group and all of those before, at any step") {
  int torn = 0;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    FaultEnv env(seed);
    const auto random = seeded_random(seed);
    std::vector<Model> possible = {{}};
    for (int life = 0; life < 4; ++life) {
      env.crash_after(static_cast<std::int64_t>(random->below(60)));
      live(env, *random, &possible);
      env.power_on();
      CAPTURE(seed, life);
      auto log = RaftLog::open(small(env), {});
      REQUIRE(log.ok());
      const auto it =
          std::find_if(possible.begin(), possible.end(), [&](const Model& m) { return holds(**log, m); });
      REQUIRE(it != possible.end());
      torn += it != possible.begin() && it + 1 != possible.end() ? 1 : 0;
      possible = {Model(*it)};
    }
  }
  CHECK(torn > 0);
}

TEST_CASE("a log begins anew behind a state that came from elsewhere") {
  FaultEnv env(8);
  {
    auto log = open(env);
    REQUIRE(write(*log, HardState{2, 7, 3}, {}).ok());
    write_all(*log, entries(2, 1, 60));
    REQUIRE(log->reserve(RaftLog::bytes_for(1, 0)).ok());
    REQUIRE(log->restart(100, 5).ok());
    CHECK(log->first_index() == 101);
    CHECK(log->last_index() == 100);
    CHECK(log->term(100) == 5);
    CHECK_FALSE(log->term(99).has_value());
    CHECK(log->hard_state() == HardState{2, 7, 100});  // what was promised stays promised
    write_all(*log, entries(6, 101, 160));
  }
  auto log = open(env, 100, 5);
  CHECK(log->first_index() == 101);
  CHECK(log->last_index() == 160);
  CHECK(log->term(100) == 5);
  CHECK(log->entries(101, 161, raft::kNoLimit).size() == 60);
  CHECK(log->hard_state() == HardState{2, 7, 100});
  const auto before = env.list("/log").value().size();
  REQUIRE(log->truncate_prefix(140).ok());
  CHECK(env.list("/log").value().size() < before);
  log.reset();
  log = open(env, 150, 6);
  CHECK(log->last_index() == 160);
  CHECK(same(log->entries(151, 161, raft::kNoLimit).back(), entry(6, 160, 100)));
}

TEST_CASE("the power goes while a log begins anew: the old one, or the new one, never between") {
  for (std::int64_t steps = 0; steps < 12; ++steps) {
    CAPTURE(steps);
    FaultEnv env(static_cast<std::uint64_t>(steps) + 20);
    {
      auto log = open(env);
      write_all(*log, entries(2, 1, 36));  // the next record needs a new segment, or not
      env.crash_after(steps);
      const bool done = log->reserve(RaftLog::bytes_for(1, 0)).ok() && log->restart(100, 5).ok();
      if (done && !env.crashed()) env.crash_after(0);
    }
    env.power_on();
    // The state of entry 100 is there already: it was stored first.
    CHECK(RaftLog::open(small(env), {100, 5, {}, true}).ok());
    const auto log = open(env, 100, 5);
    CHECK(log->first_index() == 101);
    CHECK(log->last_index() == 100);
  }
}

TEST_CASE("a copied state: the log begins anew only where it does not fit, and only when it says so") {
  struct Row {
    Index state;
    raft::Term term;
    bool copied;
    Index first, last;  // 0: refused
  };
  for (const Row& row : {Row{100, 5, false, 0, 0}, Row{100, 5, true, 101, 100}, Row{30, 5, false, 0, 0},
                         Row{30, 5, true, 31, 30}, Row{30, 2, true, 1, 60}, Row{30, 2, false, 1, 60}}) {
    CAPTURE(row.state, row.term, row.copied);
    FaultEnv env(9);
    write_all(*open(env), entries(2, 1, 60));
    const auto log = RaftLog::open(small(env), {row.state, row.term, {}, row.copied});
    REQUIRE(log.ok() == (row.last != 0));
    if (!log.ok()) {
      CHECK(log.error().code == ErrorCode::kCorruption);
      continue;
    }
    CHECK((*log)->first_index() == row.first);
    CHECK((*log)->last_index() == row.last);
  }
}

}  // namespace
}  // namespace coxswain::store
