// Crashes, broken disks and full disks under the whole node. One seed is one story; a failure prints it.
#include <atomic>
#include <map>
#include <thread>

#include <catch2/catch.hpp>

#include "libs/store/conformance/stores.h"
#include "libs/store/env/fault_env.h"
#include "libs/store/node/node.h"

namespace coxswain::store::testing {
namespace {

class TestClock : public Clock {
 public:
  std::int64_t now_ms() const override { return now_.load(); }
  std::int64_t unix_ms() const override { return now_.load(); }
  void advance_ms(std::int64_t ms) { now_ += ms; }

 private:
  std::atomic<std::int64_t> now_{0};
};

struct Machine {
  explicit Machine(std::uint64_t seed) : env(seed) {}
  FaultEnv env;
  std::shared_ptr<MemoryDisk> disk = make_memory_disk();
  TestClock clock;
  std::size_t log_segment_bytes = 8 << 10;
  std::size_t checkpoint_log_bytes = 6 << 10;

  Result<std::unique_ptr<Store>> boot() {
    NodeOptions node;
    MemberOptions& options = node.member;
    options.raft.id = 1;
    options.initial.voters = {1};
    options.clock = &clock;
    options.engine = open_memory_engine(disk);
    options.env = &env;
    options.log_dir = "/log";
    options.log_segment_bytes = log_segment_bytes;
    options.checkpoint_log_bytes = checkpoint_log_bytes;
    options.limits.history_events = 20;
    options.limits.retention_ms = 1000;
    return open_node(std::move(node));
  }
};

// What the client knows: each key's value by revision, acknowledged or of unknown outcome.
struct Ledger {
  std::map<std::string, std::pair<Revision, std::string>> acknowledged;
  std::map<std::string, std::string> unknown;  // may or may not have happened
  Revision highest = 0;
};

void write_until_crash(Store& store, Machine& machine, Random& random, Ledger* ledger) {
  std::mutex mutex;
  for (int i = 0; i < 200; ++i) {
    if (random.below(10) == 0) machine.clock.advance_ms(400);
    const int in_flight = 1 + static_cast<int>(random.below(6));
    std::atomic<int> left{in_flight};
    bool failed = false;
    for (int j = 0; j < in_flight; ++j) {
      const std::string key = "k" + std::to_string(random.below(300)) + "/" + std::to_string(j);
      const std::string value = std::to_string(random.next()) + std::string(random.below(500), 'v');
      store.txn({{}, {put(key, value)}}, [&, key, value](Result<TxnResult> result) {
        {
          const std::lock_guard lock(mutex);
          if (result.ok()) {
            if (result->revision <= ledger->highest) std::abort();  // a revision was used twice
            ledger->highest = result->revision;
            ledger->acknowledged[key] = {result->revision, value};
            ledger->unknown.erase(key);
          } else {
            failed = true;
            if (result.error().code == ErrorCode::kDeadlineExceeded) ledger->unknown[key] = value;
          }
        }
        --left;
      });
    }
    while (left.load() != 0) std::this_thread::yield();
    if (failed) return;
  }
}

void verify(const Store& store, Ledger* ledger) {
  REQUIRE(store.revision() >= ledger->highest);
  for (const auto& [key, expected] : ledger->acknowledged) {
    CAPTURE(key);
    const auto found = store.get(key);
    REQUIRE(found.ok());
    const auto maybe = ledger->unknown.find(key);
    if ((*found)->mod_revision != expected.first) {
      REQUIRE(maybe != ledger->unknown.end());
      REQUIRE((*found)->value == maybe->second);
    } else {
      REQUIRE((*found)->value == expected.second);
    }
  }
  ledger->acknowledged.clear();
  const RangeResult all = store.range({}).value();
  for (const EntryPtr& entry : all.entries) {
    ledger->acknowledged[std::string(entry->key)] = {entry->mod_revision, std::string(entry->value)};
  }
  ledger->unknown.clear();
  ledger->highest = store.revision();
}

// History in the engine, the ring and the index must tell one story after a replay.
void verify_history(Store& store) {
  const Stats stats = store.stats();
  const Revision from = std::max<Revision>(stats.compacted, 1);
  if (from > stats.revision) return;
  std::map<std::string, EntryPtr> state;
  const RangeResult then = store.range({"", "", from, 0}).value();
  for (const EntryPtr& entry : then.entries) state[std::string(entry->key)] = entry;
  const auto watcher = store.watch("", from).value();
  Revision progress = 0;
  Revision last = from;
  const auto events = drain(watcher.get(), 50, &progress).value();
  for (const auto& event : events) {
    REQUIRE(event->revision > from);
    REQUIRE(event->revision == last + 1);  // these histories have one op per transaction
    last = event->revision;
    REQUIRE(show(event->previous) == show(state.count(std::string(event->entry->key)) != 0
                                              ? state[std::string(event->entry->key)]
                                              : nullptr));
    state[std::string(event->entry->key)] = event->entry;
  }
  REQUIRE(last == stats.revision);
  std::vector<EntryPtr> expected;
  for (const auto& [key, entry] : state) expected.push_back(entry);
  REQUIRE(show(store.range({}).value().entries) == show(expected));
}

TEST_CASE("no acknowledged write is lost and no revision reused, wherever the power goes") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    Machine machine(seed);
    const auto random = seeded_random(seed * 7919);
    Ledger ledger;
    for (int life = 0; life < 3; ++life) {
      CAPTURE(life);
      machine.env.crash_after(static_cast<std::int64_t>(random->below(160)));
      {
        auto store = machine.boot();
        if (store.ok()) {
          verify(**store, &ledger);
          write_until_crash(**store, machine, *random, &ledger);
        }
      }
      machine.env.power_on();
      auto store = machine.boot();
      REQUIRE(store.ok());
      verify(**store, &ledger);
      verify_history(**store);
    }
  }
}

TEST_CASE("a failed fsync stops the member for good; a restart has everything acknowledged") {
  Machine machine(5);
  {
    const auto store = machine.boot().value();
    REQUIRE(store->txn_wait({{}, {put("a", "1")}}).ok());
    machine.env.fail_next_sync();
    CHECK(store->txn_wait({{}, {put("a", "2")}}).error().code == ErrorCode::kDeadlineExceeded);
    const auto next = store->txn_wait({{}, {put("a", "3")}});
    CHECK(next.error().code == ErrorCode::kUnavailable);
    CHECK(next.error().message.find("restart") != std::string::npos);
    CHECK(store->stats().read_only);
    CHECK(store->get("a").value()->value == "1");
  }
  machine.env.power_on();
  const auto store = machine.boot().value();
  CHECK(store->get("a").value()->value == "1");
  CHECK(store->txn_wait({{}, {put("a", "4")}}).value().revision == 2);
}

TEST_CASE("a failed write stops the member as well") {
  Machine machine(5);
  const auto store = machine.boot().value();
  machine.env.fail_next_write();
  CHECK(store->txn_wait({{}, {put("a", "1")}}).error().code == ErrorCode::kDeadlineExceeded);
  CHECK(store->txn_wait({{}, {put("a", "1")}}).error().code == ErrorCode::kUnavailable);
}

// With room again it writes on, from where it was.
void give_room(Machine& machine, Store& store, Revision last) {
  machine.env.set_space(std::nullopt);
  machine.clock.advance_ms(2000);
  CHECK(store.txn_wait({{}, {put("room", "x")}}).value().revision == last + 1);
  CHECK_FALSE(store.stats().read_only);
}

TEST_CASE("a full disk makes the store read-only, with a reason, until there is room") {
  Machine machine(6);
  machine.env.set_no_reservations(GENERATE(false, true));
  const auto store = machine.boot().value();
  machine.env.set_space(9000);
  Revision last = 0;
  Result<TxnResult> result = store->txn_wait({{}, {put("a", "0")}});
  for (int i = 0; i < 100 && result.ok(); ++i) {
    last = result->revision;
    result = store->txn_wait({{}, {put("a", std::string(1000, 'x'))}});
  }
  REQUIRE(result.error().code == ErrorCode::kResourceExhausted);
  CHECK(result.error().message.find("space") != std::string::npos);
  CHECK(store->stats().read_only);
  CHECK(store->stats().read_only_reason.find("space") != std::string::npos);
  CHECK(store->revision() == last);
  CHECK(store->get("a").value()->mod_revision == last);
  give_room(machine, *store, last);
}

TEST_CASE("a start on a full disk serves what there is, and writes as soon as there is room") {
  Machine machine(7);
  machine.checkpoint_log_bytes = 1 << 20;  // the state has nothing: all comes from the log
  const std::string fills_a_segment(7700, 'x');
  Revision last = 0;
  {
    const auto store = machine.boot().value();
    for (int i = 0; i < 30; ++i)
      last = store->txn_wait({{}, {put("a" + std::to_string(i), fills_a_segment)}}).value().revision;
    machine.env.crash_after(0);
  }
  machine.env.power_on();
  machine.env.set_space(100);  // less than is used
  const auto store = machine.boot().value();
  CHECK(store->revision() == last);
  CHECK(store->get("a29").value()->mod_revision == last);
  CHECK(store->stats().read_only);
  CHECK(store->txn_wait({{}, {put("b", "x")}}).error().code == ErrorCode::kResourceExhausted);
  give_room(machine, *store, last);
}

TEST_CASE("a start over a damaged log is refused") {
  Machine machine(9);
  machine.checkpoint_log_bytes = 1 << 20;
  {
    const auto store = machine.boot().value();
    for (int i = 0; i < 60; ++i) REQUIRE(store->txn_wait({{}, {put("a", std::string(300, 'x'))}}).ok());
    machine.env.crash_after(0);
  }
  machine.env.power_on();
  const auto names = machine.env.list("/log").value();
  REQUIRE(names.size() > 1);
  REQUIRE(machine.env.flip_bit("/log/" + names.front(), 700));
  const auto store = machine.boot();
  REQUIRE_FALSE(store.ok());
  CHECK(store.error().code == ErrorCode::kCorruption);
}

TEST_CASE("history is compacted by age, on its own") {
  Machine machine(8);
  const auto store = machine.boot().value();
  for (int i = 0; i < 50; ++i) REQUIRE(store->txn_wait({{}, {put("a", std::to_string(i))}}).ok());
  REQUIRE(store->txn_wait({{}, {put("b", "1")}}).ok());
  machine.clock.advance_ms(1001);  // the retention
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  CHECK(store->stats().compacted == 0);  // kept at least that long
  for (int i = 0; i < 1000 && store->stats().compacted == 0; ++i) {
    machine.clock.advance_ms(1001);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(store->stats().compacted == 51);
  CHECK(store->get("a", 50).error().code == ErrorCode::kCompacted);
  CHECK(store->get("a").value()->value == "49");
}

TEST_CASE("group commit: a thousand transactions in flight share one write and one fsync of the log") {
  Machine machine(9);
  machine.log_segment_bytes = 1 << 20;  // no new segment and no checkpoint in between
  machine.checkpoint_log_bytes = 1 << 20;
  auto store = machine.boot().value();
  constexpr int kInFlight = 1000;
  std::atomic<bool> held{false};
  std::atomic<bool> release{false};
  std::atomic<int> committed{0};
  // Hold the store's thread in a callback, so that all of them arrive while it is busy.
  store->txn({{}, {put("first", "1")}}, [&](const Result<TxnResult>&) {
    held = true;
    while (!release) std::this_thread::yield();
  });
  while (!held) std::this_thread::yield();
  const std::int64_t before = machine.env.steps();
  for (int i = 0; i < kInFlight; ++i) {
    store->txn({{}, {put("k" + std::to_string(i), "v")}},
               [&](const Result<TxnResult>& result) { committed += result.ok() ? 1 : 0; });
  }
  release = true;
  for (int i = 0; i < 10'000 && committed < kInFlight; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  REQUIRE(committed == kInFlight);
  CHECK(machine.env.steps() - before == 2);
  // One by one the same would take two each.
  for (int i = 0; i < 10; ++i) REQUIRE(store->txn_wait({{}, {put("one", std::to_string(i))}}).ok());
  CHECK(machine.env.steps() - before == 22);

  // What was answered is durable, every one with a revision of its own.
  machine.env.crash_after(0);
  store.reset();
  machine.env.power_on();
  machine.disk = make_memory_disk();  // the log alone tells it all
  store = machine.boot().value();
  CHECK(store->count("k") == kInFlight);
  CHECK(store->revision() == 1 + kInFlight + 10);
}

TEST_CASE("bounds: the queue and the size of a transaction") {
  MemoryStoreOptions options;
  options.limits.max_queued_txns = 4;
  options.limits.max_txn_bytes = 100;
  options.limits.max_value_bytes = 60;
  const auto store = open_memory_store(options).value();
  const auto refusal = [&](std::vector<Op> ops) {
    const Error error = store->txn_wait({{}, std::move(ops)}).error();
    CHECK(error.code == ErrorCode::kInvalidArgument);
    return error.message;
  };
  CHECK(refusal({put("a", std::string(61, 'x'))}) ==
        "the object has 61 bytes; the store takes at most 60 of one");
  CHECK(refusal({put("a", std::string(60, 'x')), put("b", std::string(60, 'x'))}).find("at most 100") !=
        std::string::npos);
  CHECK(store->txn_wait({{}, {put("b", std::string(60, 'x'))}}).ok());
  // Hold the store's thread in a callback, then fill the mailbox.
  std::atomic<bool> held{false};
  std::atomic<bool> release{false};
  store->txn({{}, {put("a", "1")}}, [&](const Result<TxnResult>&) {
    held = true;
    while (!release) std::this_thread::yield();
  });
  while (!held) std::this_thread::yield();
  std::atomic<int> refused{0};
  std::atomic<int> done{0};
  for (int i = 0; i < 10; ++i) {
    store->txn({{}, {put("a", "2")}}, [&](const Result<TxnResult>& r) {
      ++(r.ok() ? done : refused);
      if (!r.ok() && r.error().code != ErrorCode::kResourceExhausted) std::abort();
    });
  }
  CHECK(refused == 6);
  release = true;
  while (done + refused < 10) std::this_thread::yield();
  CHECK(done == 4);
}

}  // namespace
}  // namespace coxswain::store::testing
