// Three real nodes (threads, RocksDB, fsyncs) on a network in memory. What may go wrong in every order is the
// simulation's; here it is that threads, disks and clocks do the same.
#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include <catch2/catch.hpp>

#include "libs/store/conformance/group_store.h"
#include "libs/store/conformance/stores.h"
#include "libs/store/env/fault_env.h"

namespace coxswain::store::testing {
namespace {

Result<void> barrier(Store& store) {
  std::promise<Result<void>> promise;
  store.barrier([&](Result<void> outcome) { promise.set_value(std::move(outcome)); });
  return promise.get_future().get();
}

std::string content(Store& store) {
  while (!barrier(store).ok()) {
  }
  return show(store.range({}).value().entries);
}

void must_put(Store& store, const std::string& key, const std::string& value) {
  for (;;) {  // a write that is lost with its leader is tried again
    const auto done = store.txn_wait({{}, {put(key, value)}});
    if (done.ok()) return;
    REQUIRE(
        (done.error().code == ErrorCode::kDeadlineExceeded || done.error().code == ErrorCode::kUnavailable));
  }
}

// Through one of the others.
void must_put_without(GroupStore& group, int gone, const std::string& key, const std::string& value) {
  for (int at = 0;; at = (at + 1) % 3) {
    if (at == gone) continue;
    if (group.member(at).txn_wait({{}, {put(key, value)}}).ok()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST_CASE("any two of three go on, and the third catches up") {
  const TempDir dir;
  GroupOptions options;
  options.tls = GENERATE(false, true);
  const auto group = open_group(dir.path(), options);
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    const int gone = round == 1 ? (group->leader() + 1) % 3 : group->leader();
    group->stop(gone);
    for (int i = 0; i < 20; ++i) must_put(*group, "k" + std::to_string(i), std::to_string(round));
    group->restart(gone);
    CHECK(group->get("k7").value()->value == std::to_string(round));
  }
  const std::string all = content(group->member(0));
  CHECK(content(group->member(1)) == all);
  CHECK(content(group->member(2)) == all);
}

TEST_CASE("mail that is lost is sent again") {
  const TempDir dir;
  const auto group = open_group(dir.path(), {});
  group->set_loss(0.2);
  for (int i = 0; i < 30; ++i) must_put(*group, "k" + std::to_string(i % 7), std::to_string(i));
  CHECK(group->get("k1").value()->value == "29");
  group->set_loss(0);
  const std::string all = content(group->member(0));
  CHECK(content(group->member(1)) == all);
  CHECK(content(group->member(2)) == all);
}

TEST_CASE("a leader without a quorum acknowledges nothing and serves no read that must be fresh") {
  const TempDir dir;
  const auto group = open_group(dir.path(), {});
  must_put(*group, "k", "before");
  const int old = group->leader();
  group->cut_off(old, true);
  const auto outcome = group->member(old).txn_wait({{}, {put("k", "alone")}});
  REQUIRE_FALSE(outcome.ok());
  const Result<void> fresh = barrier(group->member(old));
  REQUIRE_FALSE(fresh.ok());
  CHECK(fresh.error().code == ErrorCode::kUnavailable);
  CHECK(group->member(old).get("k").value()->value == "before");  // who does not mind may read
  must_put_without(*group, old, "k", "after");
  group->cut_off(old, false);
  while (!barrier(group->member(old)).ok()) {
  }
  CHECK(group->member(old).get("k").value()->value == "after");
}

TEST_CASE("a member whose entries are gone gets the state, and its watchers go on") {
  const TempDir dir;
  GroupOptions options;
  options.log_segment_bytes = 16 << 10;
  options.checkpoint_log_bytes = 8 << 10;
  options.limits.retention_ms = 0;
  const auto group = open_group(dir.path(), options);
  must_put(*group, "first", "1");
  const int behind = (group->leader() + 1) % 3;
  while (!barrier(group->member(behind)).ok()) {
  }
  const Revision seen = group->member(behind).revision();
  const auto watcher = group->member(behind).watch("", seen).value();
  auto woken = std::make_shared<std::atomic<bool>>(false);
  watcher->arm([woken] { *woken = true; });
  group->cut_off(behind, true);
  for (int i = 0; i < 200; ++i)
    must_put_without(*group, behind, "k" + std::to_string(i % 50), std::string(1000, 'x'));
  must_put_without(*group, behind, "last", "2");
  REQUIRE(group->log_first(group->leader()) > group->applied(behind) + 1);
  group->cut_off(behind, false);
  while (!barrier(group->member(behind)).ok()) {
  }
  const auto last = group->member(behind).get("last");
  REQUIRE(last.ok());
  Revision progress = 0;
  const auto events = drain(watcher.get(), 20, &progress).value();
  REQUIRE_FALSE(events.empty());
  Revision expected = seen;
  for (const auto& event : events) REQUIRE(event->revision == ++expected);  // each once, nothing skipped
  CHECK(progress >= (*last)->mod_revision);
  CHECK(*woken);
  CHECK(content(group->member(behind)) == content(group->member(group->leader())));
  group->stop(behind);
  group->restart(behind);
  CHECK(content(group->member(behind)) == content(group->member(group->leader())));
}

TEST_CASE("a state over a real connection") {
  const TempDir dir;
  GroupOptions options;
  options.tls = true;
  options.log_segment_bytes = 16 << 10;
  options.checkpoint_log_bytes = 8 << 10;
  const auto group = open_group(dir.path(), options);
  must_put(*group, "first", "1");
  const int behind = (group->leader() + 1) % 3;
  while (!barrier(group->member(behind)).ok()) {
  }
  const std::uint64_t had = group->applied(behind);
  group->stop(behind);
  for (int i = 0; i < 200; ++i)
    must_put_without(*group, behind, "k" + std::to_string(i % 50), std::string(1000, 'x'));
  REQUIRE(group->log_first(group->leader()) > had + 1);
  group->restart(behind);
  CHECK(content(group->member(behind)) == content(group->member(group->leader())));
}

// How long a read that came without a leader waited on, once there was one.
std::int64_t waited_on_ms(GroupStore& group) {
  Clock& clock = system_clock();
  const int old = group.leader();
  Store& other = group.member((old + 1) % 3);
  const StoreAdmin* const admin = admin_of(other);
  const std::uint64_t before = admin->status().leader;
  group.cut_off(old, true);
  std::promise<std::int64_t> answered;
  other.barrier([&](const Result<void>& outcome) {
    REQUIRE(outcome.ok());
    answered.set_value(clock.now_ms());
  });
  std::uint64_t leader = before;
  while (leader == before || leader == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    leader = admin->status().leader;
  }
  const std::int64_t known_ms = clock.now_ms();
  const std::int64_t waited_ms = answered.get_future().get() - known_ms;
  group.cut_off(old, false);
  while (!barrier(group.member(old)).ok()) {
  }
  return waited_ms;
}

TEST_CASE("a read that waits for a leader goes on as soon as there is one") {
  const TempDir dir;
  GroupOptions options;
  options.tick_ms = 20;  // a read is asked again every 200 ms
  const auto group = open_group(dir.path(), options);
  must_put(*group, "k", "v");
  std::vector<std::int64_t> waited_ms;
  for (int round = 0; round < 9; ++round) waited_ms.push_back(waited_on_ms(*group));
  std::sort(waited_ms.begin(), waited_ms.end());
  CAPTURE(waited_ms);
  CHECK(waited_ms[6] <= 60);  // two thirds within three ticks
}

TEST_CASE("a leader whose disk is full leaves the lead to somebody who can write") {
  const TempDir dir;
  std::vector<std::unique_ptr<FaultEnv>> disks;
  GroupOptions options;
  for (std::uint64_t i = 0; i < 3; ++i) {
    disks.push_back(std::make_unique<FaultEnv>(i));
    options.logs.push_back(disks.back().get());
  }
  const auto group = open_group(dir.path(), options);
  must_put(*group, "k", "before");
  const int full = group->leader();
  disks[static_cast<std::size_t>(full)]->set_space(0);
  Store& other = group->member((full + 1) % 3);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int written = 0;
  while (written < 200 && std::chrono::steady_clock::now() < deadline)
    written += other.txn_wait({{}, {put("k", std::string(1000, 'x'))}}).ok() ? 1 : 0;
  CHECK(written == 200);  // beyond what was left of the log's last file
  CHECK(group->leader() != full);
  disks[static_cast<std::size_t>(full)]->set_space(std::nullopt);
  CHECK(content(group->member(full)) == content(other));
}

TEST_CASE("a follower whose disk is full says so to whoever reads, soon") {
  const TempDir dir;
  std::vector<std::unique_ptr<FaultEnv>> disks;
  GroupOptions options;
  options.checkpoint_log_bytes = 1 << 20;  // it gets entries, not states
  for (std::uint64_t i = 0; i < 3; ++i) {
    disks.push_back(std::make_unique<FaultEnv>(i));
    options.logs.push_back(disks.back().get());
  }
  const auto group = open_group(dir.path(), options);
  const int full = (group->leader() + 1) % 3;
  disks[static_cast<std::size_t>(full)]->set_space(0);
  for (int i = 0; i < 150; ++i) must_put_without(*group, full, "k", std::string(1000, 'x'));
  const auto began = std::chrono::steady_clock::now();
  const Result<void> fresh = barrier(group->member(full));
  REQUIRE_FALSE(fresh.ok());
  CHECK(fresh.error().code == ErrorCode::kUnavailable);
  CHECK(fresh.error().message.find("space") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds(1000));  // not in 2 s
  disks[static_cast<std::size_t>(full)]->set_space(std::nullopt);
  CHECK(content(group->member(full)) == content(group->member(group->leader())));
}

TEST_CASE("the lead goes to somebody who is there") {
  const TempDir dir;
  const auto group = open_group(dir.path(), {});
  must_put(*group, "k", "v");
  const int leader = group->leader();
  for (int i = 0; i < 3; ++i)
    while (!barrier(group->member(i)).ok()) {
    }
  group->stop(leader == 2 ? 1 : 2);                              // it has everything, and the highest id
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));  // so that it is missed
  REQUIRE(group->leader() == leader);
  std::promise<Result<std::uint64_t>> promise;
  admin_of(group->member(leader))->transfer_leader(0, [&](Result<std::uint64_t> outcome) {
    promise.set_value(std::move(outcome));
  });
  const Result<std::uint64_t> moved = promise.get_future().get();
  INFO((moved.ok() ? "" : moved.error().message));
  CHECK(moved.ok());
  CHECK(group->leader() == (leader == 0 ? 1 : 0));
}

TEST_CASE("readers anywhere see what was acknowledged before they asked, while leaders come and go") {
  const TempDir dir;
  const auto group = open_group(dir.path(), {});
  must_put(*group, "n", "0");
  std::atomic<int> acknowledged{0};
  std::atomic<bool> stop{false};
  std::atomic<int> stale{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&, r] {
      while (!stop) {
        const int at_least = acknowledged;
        if (!barrier(group->member(r)).ok()) continue;
        if (std::stoi(std::string(group->member(r).get("n").value()->value)) < at_least) ++stale;
      }
    });
  }
  for (int i = 1; i <= 60; ++i) {
    if (i % 20 == 0) {
      const int old = group->leader();
      group->cut_off(old, true);
      must_put_without(*group, old, "other", "x");
      group->cut_off(old, false);
    }
    must_put(*group, "n", std::to_string(i));
    acknowledged = i;
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  CHECK(stale == 0);
}

}  // namespace
}  // namespace coxswain::store::testing
