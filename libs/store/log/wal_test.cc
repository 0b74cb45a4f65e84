#include <catch2/catch.hpp>

#include "libs/store/env/fault_env.h"
#include "libs/store/log/record.h"
#include "libs/store/log/wal.h"

namespace coxswain::store {
namespace {

struct Opened {
  std::vector<std::string> entries;
  Result<std::unique_ptr<Wal>> wal;
  explicit Opened(FaultEnv& env, std::size_t segment = 4096, bool may_be_new = true)
      : wal(Wal::open(env, {"/log", segment, may_be_new},
                      [this](std::uint64_t, std::string_view payload) -> Result<void> {
                        entries.emplace_back(payload);
                        return {};
                      })) {}
  Wal* operator->() { return wal.value().get(); }
};

// Each in two parts, as the callers do.
Result<void> append(Wal& wal, const std::vector<std::string>& texts) {
  std::vector<Wal::Piece> group;
  std::size_t bytes = 0;
  for (const std::string_view text : texts) {
    group.push_back({text.substr(0, text.size() / 3), text.substr(text.size() / 3)});
    bytes += record_bytes(text.size());
  }
  COX_RETURN_IF_ERROR(wal.reserve(bytes));
  return wal.append(group);
}

std::string body(std::uint64_t n) { return "entry " + std::to_string(n) + std::string(300, '.'); }

void write_one(Wal* wal, std::uint64_t n) {
  REQUIRE(append(*wal, {body(n)}).ok());
  REQUIRE(wal->sync().ok());
}

TEST_CASE("the log returns what was appended, across segments") {
  FaultEnv env(1);
  {
    Opened log(env);
    for (std::uint64_t n = 1; n <= 50; ++n) write_one(log.operator->(), n);
  }
  CHECK(env.list("/log").value().size() > 3);
  Opened again(env);
  REQUIRE(again.entries.size() == 50);
  for (std::uint64_t n = 1; n <= 50; ++n) CHECK(again.entries[n - 1] == body(n));
  CHECK(again->last_number() == 50);
  CHECK(again->first_number() == 1);
  REQUIRE(again->truncate_prefix(30).ok());
  const std::uint64_t first = again->first_number();
  CHECK(first > 20);
  CHECK(first <= 31);
  Opened cut(env);
  CHECK(cut->first_number() == first);
  CHECK(cut.entries.size() == 50 - first + 1);
  CHECK(cut.entries.front() == body(first));
}

TEST_CASE("records are read again from anywhere, until the reader has enough") {
  FaultEnv env(1);
  Opened log(env);
  for (std::uint64_t n = 1; n <= 49; ++n) write_one(log.operator->(), n);
  REQUIRE(append(*log.wal.value(), {"not synced"}).ok());
  for (const std::uint64_t from : {1, 2, 13, 14, 30, 49}) {
    for (const std::size_t enough : {1, 5, 100}) {
      CAPTURE(from, enough);
      std::vector<std::string> got;
      const Result<void> read = log->read(from, [&](std::uint64_t number, std::string_view payload) {
        CHECK(number == from + got.size());
        got.emplace_back(payload);
        return got.size() < enough;
      });
      REQUIRE(read.ok());
      REQUIRE(got.size() == std::min<std::size_t>(enough, 49 - from + 1));
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == body(from + i));
    }
  }
  const auto names = env.list("/log").value();
  REQUIRE(env.flip_bit("/log/" + names[1], 100));
  CHECK(log->read(1, [](std::uint64_t, std::string_view) { return true; }).error().code ==
        ErrorCode::kCorruption);
}

TEST_CASE("a crash while the front is removed leaves no gap") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    FaultEnv env(seed);
    {
      Opened log(env);
      for (std::uint64_t n = 1; n <= 100; ++n) write_one(log.operator->(), n);
      env.crash_after(static_cast<std::int64_t>(seed % 15));
      (void)log->truncate_prefix(90);
    }
    env.power_on();
    CAPTURE(seed);
    Opened log(env);
    REQUIRE(log.wal.ok());
    CHECK(log->last_number() == 100);
    CHECK(log->first_number() <= 91);
  }
}

TEST_CASE("a log that must be there is not made") {
  FaultEnv env(1);
  CHECK(Opened(env, 4096, false).wal.error().code == ErrorCode::kCorruption);
  CHECK(env.list("/log").value().empty());
}

TEST_CASE("an entry larger than a segment gets a segment of its own") {
  FaultEnv env(1);
  const std::string large(10000, 'x');
  {
    Opened log(env);
    write_one(log.operator->(), 1);
    REQUIRE(append(*log.wal.value(), {large, large}).ok());
    REQUIRE(log->sync().ok());
    write_one(log.operator->(), 4);
  }
  Opened again(env);
  REQUIRE(again.entries.size() == 4);
  CHECK(again.entries[2] == large);
}

TEST_CASE("a flipped bit anywhere in a committed entry is reported, never dropped") {
  for (std::uint64_t offset = 0; offset < 2000; offset += 13) {
    FaultEnv env(1);
    {
      Opened log(env, 64 << 10);
      for (std::uint64_t n = 1; n <= 20; ++n) write_one(log.operator->(), n);
    }
    REQUIRE(env.flip_bit("/log/00000000000000000001.wal", offset));
    Opened again(env, 64 << 10);
    CAPTURE(offset);
    if (again.wal.ok()) {
      // Padding and reserved bytes carry nothing.
      REQUIRE(again.entries.size() == 20);
      for (std::uint64_t n = 1; n <= 20; ++n) REQUIRE(again.entries[n - 1] == body(n));
    } else {
      REQUIRE(again.wal.error().code == ErrorCode::kCorruption);
      REQUIRE(again.wal.error().message.find("rebuild") != std::string::npos);
    }
  }
}

TEST_CASE("a missing segment is reported") {
  FaultEnv env(1);
  {
    Opened log(env);
    for (std::uint64_t n = 1; n <= 50; ++n) write_one(log.operator->(), n);
  }
  const auto names = env.list("/log").value();
  REQUIRE(env.remove("/log/" + names[1]).ok());
  CHECK(Opened(env).wal.error().code == ErrorCode::kCorruption);
}

TEST_CASE("a full disk refuses the group, keeps the log, and lets go on when there is room") {
  const bool reserve = GENERATE(true, false);
  FaultEnv env(1);
  env.set_no_reservations(!reserve);
  std::uint64_t written = 0;
  {
    Opened log(env);
    env.set_space(10000);
    Result<void> last;
    for (std::uint64_t n = 1; n <= 100 && last.ok(); ++n) {
      const std::string text = body(n);
      last = append(*log.wal.value(), {text, text});
      if (!last.ok()) break;
      REQUIRE(log->sync().ok());
      written += 2;
    }
    REQUIRE(last.error().code == ErrorCode::kResourceExhausted);
    CHECK(log->reserve(800).ok() != reserve);  // without reservations only a write can tell
    CHECK(log->last_number() == written);
  }
  CHECK(Opened(env).entries.size() == written);
  env.set_space(std::nullopt);
  {
    Opened log(env);
    write_one(log.operator->(), 0);
  }
  CHECK(Opened(env).entries.size() == written + 1);
}

TEST_CASE("an empty segment that cannot grow for a large group is as good as before") {
  for (std::int64_t steps = -1; steps < 8; ++steps) {  // and the power may go on the way
    CAPTURE(steps);
    FaultEnv env(static_cast<std::uint64_t>(steps) + 30);
    {
      Opened log(env);
      for (std::uint64_t n = 1; n <= 10; ++n) write_one(log.operator->(), n);
      REQUIRE(log->reserve(4000).ok());  // a new segment
      REQUIRE(log->segment_is_empty());
      REQUIRE(log->truncate_prefix(10).ok());
      env.set_space(5000);
      if (steps >= 0) {
        env.set_space(std::nullopt);
        env.crash_after(steps);
      }
      const Result<void> grown = log->reserve(10'000);
      if (steps < 0) {
        REQUIRE_FALSE(grown.ok());
        CHECK(grown.error().code == ErrorCode::kResourceExhausted);
        write_one(log.operator->(), 11);
      }
    }
    env.power_on();
    env.set_space(std::nullopt);
    Opened again(env);
    REQUIRE(again.wal.ok());
    CHECK(again.entries.size() == (steps < 0 ? 1 : 0));
    REQUIRE(again->reserve(10'000).ok());
    write_one(again.operator->(), steps < 0 ? 12 : 11);
  }
}

TEST_CASE("a refused group stays refused when the power goes right after") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    FaultEnv env(seed);
    env.set_no_reservations(true);
    std::uint64_t written = 0;
    {
      Opened log(env, 64 << 10);
      env.set_space(5000 + seed * 7);
      for (;;) {
        const std::string text = body(written);
        if (!append(*log.wal.value(), {text, text}).ok()) break;
        REQUIRE(log->sync().ok());
        written += 2;
      }
    }
    env.power_on();
    env.set_space(std::nullopt);
    CAPTURE(seed);
    REQUIRE(Opened(env, 64 << 10).entries.size() == written);
  }
}

TEST_CASE("errors of the disk are kIo") {
  FaultEnv env(1);
  Opened log(env);
  write_one(log.operator->(), 1);
  env.fail_next_write();
  CHECK(append(*log.wal.value(), {"x"}).error().code == ErrorCode::kIo);
  Opened other(env);
  CHECK(other.entries.size() == 1);
  REQUIRE(append(*other.wal.value(), {"x"}).ok());
  env.fail_next_sync();
  CHECK(other->sync().error().code == ErrorCode::kIo);
}

// The core promise, over every step at which the power can go: what was synced is there, in order, once.
TEST_CASE("synced entries survive a crash at any step, with any sectors lost") {
  int torn = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    FaultEnv env(seed);
    const auto random = seeded_random(seed);
    std::uint64_t acknowledged = 0;
    std::uint64_t attempted = 0;
    for (int life = 0; life < 3; ++life) {
      env.crash_after(static_cast<std::int64_t>(random->below(40)));
      {
        Opened log(env);
        if (log.wal.ok()) {
          REQUIRE(log.entries.size() >= acknowledged);
          attempted = acknowledged = log.entries.size();
        }
        while (log.wal.ok()) {
          std::vector<std::string> group(1 + random->below(4));
          for (auto& text : group) text = body(++attempted) + std::string(random->below(900), 'x');
          if (!append(*log.wal.value(), group).ok() || !log->sync().ok()) break;
          acknowledged = attempted;
        }
      }
      env.power_on();
      CAPTURE(seed, life);
      Opened after(env);
      REQUIRE(after.wal.ok());
      REQUIRE(after.entries.size() >= acknowledged);
      REQUIRE(after.entries.size() <= attempted);
      torn += after.entries.size() > acknowledged ? 1 : 0;
      acknowledged = after.entries.size();
      for (std::uint64_t n = 1; n <= acknowledged; ++n) {
        REQUIRE(after.entries[n - 1].substr(0, body(n).size()) == body(n));
      }
    }
  }
  CHECK(torn > 0);  // the accidents do happen
}

}  // namespace
}  // namespace coxswain::store
