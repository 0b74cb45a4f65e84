#include "libs/store/mvcc/scrub.h"

#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"

namespace coxswain::store {
namespace {

struct Fixture {
  State state;
  Scrub scrub;
  StateHash content;

  void write(const std::string& key, bool put) {
    Command command;
    command.txn.ops.push_back({put ? Op::Type::kPut : Op::Type::kDelete, key, "value of " + key, kNoSplice});
    const State::Plan plan = state.plan(std::move(command));
    state.commit(plan);
    for (const StateHash& change : plan.changes) content += change;
    scrub.changed(plan);
  }
  std::optional<StateHash> step() { return scrub.step(state.snapshot().index, 3, 1 << 20); }
};

TEST_CASE("a walk finds what the writes add up to, whatever is written meanwhile") {
  Fixture fixture;
  const auto random = seeded_random(5);
  const auto any_key = [&] { return "k" + std::to_string(random->below(40)); };
  CHECK(fixture.step() == StateHash{});  // nothing is there
  int walks = 0;
  for (int i = 0; i < 5000; ++i) {
    fixture.write(any_key(), random->below(3) != 0);
    if (random->below(3) != 0) continue;
    const auto found = fixture.step();
    if (!found.has_value()) continue;
    REQUIRE(*found == fixture.content);
    ++walks;
  }
  CHECK(walks > 50);
}

TEST_CASE("a value that is no longer what was written") {
  Fixture fixture;
  for (int i = 0; i < 20; ++i) fixture.write("k" + std::to_string(10 + i), true);
  const int steps_before = GENERATE(0, 2, 5);
  const bool written_again = GENERATE(false, true);
  CAPTURE(steps_before, written_again);
  for (int i = 0; i < steps_before; ++i) REQUIRE_FALSE(fixture.step().has_value());
  Revision revision = 0, compacted = 0;
  const EntryPtr entry = fixture.state.find("k17", &revision, &compacted);
  const_cast<char&>(entry->value[3]) ^= 1;
  if (written_again) fixture.write("k17", true);
  std::optional<StateHash> found;
  for (int walk = 0; walk < 2 && found.value_or(fixture.content) == fixture.content; ++walk) {
    do {
      found = fixture.step();
    } while (!found.has_value());
  }
  CHECK(*found != fixture.content);
}

}  // namespace
}  // namespace coxswain::store
