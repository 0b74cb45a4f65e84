// Over a real etcd that is killed, cut off, compacted and replaced under the store.
#include <catch2/catch.hpp>

#include <future>
#include <thread>

#include "libs/common/base/clock.h"
#include "libs/store/conformance/etcd_server.h"
#include "libs/store/etcd/raw_etcd.h"

namespace coxswain::store::testing {
namespace {

using std::chrono::milliseconds;

bool soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 3'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

std::future<Result<TxnResult>> begin(Store& store, Txn txn) {
  auto promise = std::make_shared<std::promise<Result<TxnResult>>>();
  auto future = promise->get_future();
  store.txn(std::move(txn), [promise](Result<TxnResult> result) { promise->set_value(std::move(result)); });
  return future;
}

std::string value_in(Store& store, const std::string& key) {
  const auto got = store.get(key);
  return got.ok() ? std::string((*got)->value) : "";
}

// Writers whose every write would show if it were executed twice or not at all: plain puts are counted by the
// key's version, creations fail the second time, deletions find nothing.
class Writers {
 public:
  Writers(Store& store, int n) : store_(store) {
    for (int i = 0; i < n; ++i) threads_.emplace_back([this, i] { run("w" + std::to_string(i)); });
  }
  ~Writers() { stop(); }
  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  int acknowledged() const { return acknowledged_; }
  int unknown() const { return unknown_; }
  int wrong() const { return wrong_; }

 private:
  void run(const std::string& key) {
    for (std::int64_t n = 1; !stopping_; ++n) {
      const std::string extra = key + "-" + std::to_string(n);
      const EntryPtr counted = write({{}, {put(key, std::to_string(n))}});
      const EntryPtr created = write({{{extra, 0}}, {put(extra, "1")}});
      const EntryPtr deleted = write({{}, {remove(extra, "bye")}});
      if (counted == nullptr || created == nullptr || deleted == nullptr) return;
      if (counted->version != n || created->version != 1 || deleted->value != "bye") ++wrong_;
    }
  }
  // Again as long as nothing happened for certain; null: unknown, or it is over.
  EntryPtr write(const Txn& txn) {
    while (!stopping_) {
      const Result<TxnResult> result = store_.txn_wait(txn);
      if (!result.ok() && result.error().code == ErrorCode::kUnavailable) continue;
      if (!result.ok()) {
        ++unknown_;
        return nullptr;
      }
      ++acknowledged_;
      if (result->succeeded && result->entries[0] != nullptr) return result->entries[0];
      ++wrong_;
      return nullptr;
    }
    return nullptr;
  }

  Store& store_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> acknowledged_{0};
  std::atomic<int> unknown_{0};
  std::atomic<int> wrong_{0};
  std::vector<std::thread> threads_;
};

// Until writes go through again.
bool moves_on(const Writers& writers) {
  const int before = writers.acknowledged();
  return soon([&] { return writers.acknowledged() > before + 20; });
}

// Follows everything from the beginning, as one client would: every event once, in order, nothing skipped.
class Follower {
 public:
  explicit Follower(Store& store) : watcher_(store.watch("", 0).value()) {}
  void catch_up() {
    for (;;) {
      const Result<WatchBatch> batch = watcher_->poll(100);
      REQUIRE(batch.ok());
      if (batch->events.empty()) return;
      for (const auto& event : batch->events) {
        REQUIRE(event->revision >= last_);
        last_ = event->revision;
        EntryPtr& now = state_[std::string(event->entry->key)];
        REQUIRE(show(event->previous) == show(now));
        now = event->type == Event::Type::kPut ? event->entry : nullptr;
      }
    }
  }
  void check_against(const Store& store) {
    catch_up();
    std::vector<EntryPtr> mine;
    for (const auto& [key, entry] : state_)
      if (entry != nullptr) mine.push_back(entry);
    CHECK(show(mine) == show(store.range({}).value().entries));
  }

 private:
  const std::unique_ptr<Watcher> watcher_;
  std::map<std::string, EntryPtr> state_;
  Revision last_ = 0;
};

// A process that begins now reads the same from etcd as this one has.
void check_same(const Store& store, const EtcdStoreOptions& options) {
  const auto fresh = open_etcd_store(options).value();
  CHECK(show(fresh->range({}).value().entries) == show(store.range({}).value().entries));
}

TEST_CASE("etcd is killed again and again: no acknowledged write is lost, none is made twice") {
  EtcdServer etcd;
  EtcdStoreOptions options = etcd.options();
  const auto store = open_etcd_store(options).value();
  Follower follower(*store);
  Writers writers(*store, 8);
  for (int i = 0; i < 6; ++i) {
    REQUIRE(moves_on(writers));
    etcd.kill(0);
    std::this_thread::sleep_for(milliseconds(50 * i));
    etcd.start(0);
  }
  REQUIRE(moves_on(writers));
  writers.stop();
  CHECK(writers.wrong() == 0);
  CHECK(writers.unknown() == 0);
  follower.check_against(*store);
  check_same(*store, options);
}

TEST_CASE("three members, each of them lost in turn: the store goes on through the others") {
  EtcdOptions three;
  three.members = 3;
  EtcdServer etcd(three);
  EtcdStoreOptions options = etcd.options();
  options.request_timeout_ms = 2'000;
  const auto store = open_etcd_store(options).value();
  const auto other = open_etcd_store(options).value();
  Follower follower(*other);
  Writers writers(*store, 6);
  for (int member = 0; member < 3; ++member) {
    REQUIRE(moves_on(writers));
    etcd.kill(member);
    REQUIRE(moves_on(writers));
    etcd.start(member);
    REQUIRE(moves_on(writers));
    // One that hangs without closing its connections is left, too.
    etcd.pause(member, true);
    REQUIRE(moves_on(writers));
    etcd.pause(member, false);
  }
  writers.stop();
  CHECK(writers.wrong() == 0);
  CHECK(writers.unknown() == 0);
  REQUIRE(soon([&] { return other->revision() >= store->revision(); }));
  follower.check_against(*store);
  check_same(*store, options);
}

TEST_CASE("connections are cut at random: every write is made once") {
  EtcdServer etcd;
  Proxy proxy(etcd.port());
  EtcdStoreOptions direct = etcd.options();
  EtcdStoreOptions options = direct;
  options.endpoints = {{"127.0.0.1", proxy.port()}};
  const auto store = open_etcd_store(options).value();
  Follower follower(*store);
  Writers writers(*store, 8);
  const auto random = seeded_random(1);
  for (int i = 0; i < 40; ++i) {
    std::this_thread::sleep_for(milliseconds(random->below(60)));
    const bool answers = random->below(2) == 0;
    answers ? proxy.swallow_answers(true) : proxy.swallow_requests(true);
    std::this_thread::sleep_for(milliseconds(random->below(20)));
    proxy.cut();
    proxy.swallow_answers(false);
    proxy.swallow_requests(false);
  }
  REQUIRE(moves_on(writers));
  writers.stop();
  CHECK(writers.wrong() == 0);
  CHECK(writers.unknown() == 0);
  follower.check_against(*store);
  check_same(*store, direct);
}

struct Cut {
  EtcdServer etcd;
  Proxy proxy{etcd.port()};
  EtcdStoreOptions direct = etcd.options();
  EtcdStoreOptions options = direct;
  Cut() {
    options.endpoints = {{"127.0.0.1", proxy.port()}};
    options.write_timeout_ms = 3'000;
  }
};

TEST_CASE("a lost answer: the write is found to have been made") {
  Cut cut;
  const auto store = open_etcd_store(cut.options).value();
  const auto witness = open_etcd_store(cut.direct).value();
  REQUIRE(store->txn_wait({{}, {put("a", "1")}}).ok());
  cut.proxy.swallow_answers(true);
  auto creation = begin(*store, {{{"b", 0}}, {put("b", "1")}});
  auto plain = begin(*store, {{}, {put("a", "2")}});
  auto deletion = begin(*store, {{{"c", 0}}, {put("c", "1"), remove("nothing")}});
  REQUIRE(soon([&] { return value_in(*witness, "b") == "1" && value_in(*witness, "a") == "2"; }));
  REQUIRE(soon([&] { return value_in(*witness, "c") == "1"; }));
  CHECK(creation.wait_for(milliseconds(0)) == std::future_status::timeout);
  cut.proxy.swallow_answers(false);
  cut.proxy.cut();
  CHECK(show(creation.get().value().entries) == show(witness->get("b").value()));
  CHECK(show(plain.get().value().entries) == show(witness->get("a").value()));
  CHECK(witness->get("a").value()->version == 2);
  CHECK(show(deletion.get().value().entries) == show(witness->get("c").value()) + " null");
  CHECK(value_in(*store, "b") == "1");
}

TEST_CASE("a lost request: the write is made after all, once") {
  Cut cut;
  const auto store = open_etcd_store(cut.options).value();
  const auto witness = open_etcd_store(cut.direct).value();
  cut.proxy.swallow_requests(true);
  auto creation = begin(*store, {{{"b", 0}}, {put("b", "1")}});
  std::this_thread::sleep_for(milliseconds(100));
  CHECK(witness->get("b").error().code == ErrorCode::kNotFound);
  cut.proxy.swallow_requests(false);
  cut.proxy.cut();
  CHECK(creation.get().value().entries[0]->version == 1);
  REQUIRE(soon([&] { return value_in(*witness, "b") == "1"; }));
}

TEST_CASE("a request that arrives late, after it was made again: the fence keeps it out") {
  Cut cut;
  const auto store = open_etcd_store(cut.options).value();
  REQUIRE(store->txn_wait({{}, {put("a", "1")}}).ok());
  cut.proxy.hold_requests(true);
  auto plain = begin(*store, {{}, {put("a", "2")}});
  auto creation = begin(*store, {{{"b", 0}}, {put("b", "1")}});
  std::this_thread::sleep_for(milliseconds(100));
  cut.proxy.hold_requests(false);
  cut.proxy.cut();
  CHECK(plain.get().value().entries[0]->version == 2);
  CHECK(creation.get().value().succeeded);
  REQUIRE(store->txn_wait({{}, {remove("b")}}).ok());
  cut.proxy.release();
  std::this_thread::sleep_for(milliseconds(300));
  const auto witness = open_etcd_store(cut.direct).value();
  CHECK(witness->get("a").value()->version == 2);
  CHECK_FALSE(witness->get("b").ok());  // it does not rise again
}

TEST_CASE("nobody answers any more: what was sent is unknown, what was not did not happen") {
  Cut cut;
  const auto store = open_etcd_store(cut.options).value();
  REQUIRE(store->txn_wait({{}, {put("a", "1")}}).ok());
  const auto witness = open_etcd_store(cut.direct).value();
  cut.proxy.swallow_answers(true);
  auto sent = begin(*store, {{}, {put("a", "2")}});
  REQUIRE(soon([&] { return value_in(*witness, "a") == "2"; }));
  cut.proxy.refuse(true);
  cut.proxy.cut();
  REQUIRE(soon([&] { return !store->stats().serving; }));
  auto queued = begin(*store, {{}, {put("a", "3")}});
  std::promise<Result<void>> waits;
  store->barrier([&waits](Result<void> result) { waits.set_value(std::move(result)); });
  CHECK(value_in(*store, "a") == "1");  // the copy still answers
  CHECK_FALSE(store->stats().not_serving_reason.empty());
  CHECK(sent.get().error().code == ErrorCode::kDeadlineExceeded);
  CHECK(queued.get().error().code == ErrorCode::kUnavailable);
  CHECK(waits.get_future().get().error().code == ErrorCode::kUnavailable);
  cut.proxy.swallow_answers(false);
  cut.proxy.refuse(false);
  REQUIRE(soon([&] { return store->stats().serving && value_in(*store, "a") == "2"; }));
  CHECK(store->txn_wait({{}, {put("a", "4")}}).value().entries[0]->version == 3);
}

TEST_CASE("what another process fenced off is sent again") {
  EtcdServer etcd;
  const EtcdStoreOptions options = etcd.options();
  const auto store = open_etcd_store(options).value();
  RawEtcd raw(options);
  for (int i = 1; i <= 20; ++i) {
    raw.put(options.prefix + "/meta/fence", "");
    CHECK(store->txn_wait({{}, {put("a", "x")}}).value().entries[0]->version == i);
  }
}

TEST_CASE("somebody else compacts while we watch: who keeps up does not notice") {
  EtcdServer etcd;
  const EtcdStoreOptions options = etcd.options();
  const auto store = open_etcd_store(options).value();
  RawEtcd raw(options);
  Follower follower(*store);
  for (int i = 1; i <= 50; ++i) {
    const Revision revision = store->txn_wait({{}, {put("a", std::to_string(i))}}).value().revision;
    const Revision base = raw.range({options.prefix + "/meta/format"}).kvs.front().create_revision;
    if (i % 10 == 0) REQUIRE(raw.compact(base + revision));
  }
  follower.check_against(*store);
}

TEST_CASE("etcd compacts what a store that was cut off has not seen: its watchers are told, and it goes on") {
  Cut cut;
  const auto store = open_etcd_store(cut.options).value();
  const auto witness = open_etcd_store(cut.direct).value();
  REQUIRE(store->txn_wait({{}, {put("a", "1"), put("gone", "1")}}).ok());
  const auto watcher = store->watch("", 0).value();
  auto woken = std::make_shared<std::atomic<bool>>(false);
  watcher->arm([woken] { *woken = true; });
  cut.proxy.refuse(true);
  cut.proxy.cut();
  REQUIRE(soon([&] { return !store->stats().serving; }));
  for (int i = 2; i <= 9; ++i) REQUIRE(witness->txn_wait({{}, {put("a", std::to_string(i))}}).ok());
  REQUIRE(witness->txn_wait({{}, {remove("gone"), put("b", "1")}}).ok());
  REQUIRE(witness->compact(witness->revision()).ok());
  cut.proxy.refuse(false);
  REQUIRE(soon([&] { return store->stats().serving; }));
  CHECK(show(store->range({}).value().entries) == show(witness->range({}).value().entries));
  CHECK(soon([&] { return store->revision() == witness->revision(); }));
  CHECK(*woken);
  CHECK(watcher->poll(10).error().code == ErrorCode::kCompacted);
  CHECK(store->watch("", 3).error().code == ErrorCode::kCompacted);
  CHECK(store->get("a", 3).error().code == ErrorCode::kCompacted);
  const auto fresh = store->watch("", 0).value();
  REQUIRE(store->txn_wait({{}, {put("a", "new")}}).ok());
  CHECK(fresh->poll(10).value().events.size() == 1);
}

TEST_CASE("a start after a compaction finds what is left of the past") {
  EtcdServer etcd;
  const EtcdStoreOptions options = etcd.options();
  {
    const auto store = open_etcd_store(options).value();
    for (int i = 1; i <= 9; ++i) REQUIRE(store->txn_wait({{}, {put("a", std::to_string(i))}}).ok());
    REQUIRE(store->compact(6).ok());
  }
  const auto store = open_etcd_store(options).value();
  CHECK(store->stats().compacted == 6);
  CHECK(store->get("a", 5).error().code == ErrorCode::kCompacted);
  CHECK(store->watch("", 5).error().code == ErrorCode::kCompacted);
  Revision progress = 0;
  CHECK(drain(store->watch("", 6).value().get(), 10, &progress).value().size() == 3);
  CHECK(show(store->get("a", 7).value()) == "a=7@1/7#7");
}

TEST_CASE("another etcd, or an older one, at the same place is not served") {
  EtcdServer etcd;
  const EtcdStoreOptions options = etcd.options();
  const auto store = open_etcd_store(options).value();
  REQUIRE(store->txn_wait({{}, {put("a", "1")}}).ok());
  etcd.kill(0);
  etcd.wipe(0);
  etcd.start(0);
  REQUIRE(soon([&] { return store->stats().not_serving_reason.find("is gone") != std::string::npos; }));
  CHECK(value_in(*store, "a") == "1");
  // Nor when somebody else begins anew in it.
  const auto other = open_etcd_store(options).value();
  REQUIRE(soon([&] { return store->stats().not_serving_reason.find("made anew") != std::string::npos; }));
}

TEST_CASE("an etcd that went back is not served: revisions would be used twice") {
  EtcdServer etcd;
  const EtcdStoreOptions options = etcd.options();
  const auto store = open_etcd_store(options).value();
  REQUIRE(store->txn_wait({{}, {put("a", "1")}}).ok());
  etcd.kill(0);
  etcd.save(0);
  etcd.start(0);
  REQUIRE(store->txn_wait({{}, {put("a", "2")}}).ok());
  etcd.kill(0);
  etcd.restore(0);
  etcd.start(0);
  REQUIRE(soon([&] { return store->stats().not_serving_reason.find("went back") != std::string::npos; }));
  CHECK(value_in(*store, "a") == "2");
  CHECK(value_in(*open_etcd_store(options).value(), "a") == "1");  // who begins now takes it as it is
}

}  // namespace
}  // namespace coxswain::store::testing
