// The copy and who waits for it, fed by hand.
#include <catch2/catch.hpp>

#include "libs/store/conformance/stores.h"
#include "libs/store/etcd/copy.h"
#include "libs/store/etcd/freshness.h"

namespace coxswain::store::etcd {
namespace {

using testing::show;

constexpr Revision kBase = 100;

struct Fixture {
  Layout layout{"/c"};
  Copy copy{layout, StoreLimits{}};
  std::vector<Change> changes;

  Fixture() { copy.load(std::make_unique<State>(), {}, kBase, kBase, 0); }

  WatchEvent put(const std::string& key, const std::string& value, Revision revision, std::uint64_t id = 1) {
    return {false,
            {layout.data(key), encode_envelope({make_txn_id(1, id), 0, value}), revision, revision, 1}};
  }
  WatchEvent remove(const std::string& key, Revision revision) {
    return {true, {layout.data(key), "", 0, revision, 0}};
  }
  WatchEvent meta(const std::string& key, const std::string& value, Revision revision) {
    return {false, {key, value, revision, revision, 1}};
  }
  Result<void> feed(std::vector<WatchEvent> events, bool fragment = false) {
    WatchResponse response;
    response.events = std::move(events);
    response.fragment = fragment;
    Hub::Wakes wakes;
    return copy.feed(std::move(response), &wakes,
                     [this](const Change& change) { changes.push_back(change); });
  }
};

TEST_CASE("etcd copy: a revision is shown when all of it is there, however it is cut") {
  Fixture f;
  const auto watcher = f.copy.hub().watch("", 0).value();
  REQUIRE(f.feed({f.put("a", "1", 105)}, true).ok());
  CHECK(f.changes.empty());
  CHECK(f.copy.state().snapshot().revision == 0);
  REQUIRE(f.feed({f.put("b", "1", 105), f.put("a", "2", 107)}, true).ok());
  CHECK(f.changes.size() == 1);
  REQUIRE(f.feed({}).ok());  // the last fragment
  CHECK(f.changes.size() == 2);
  const WatchBatch batch = watcher->poll(100).value();
  CHECK(show(batch.events) == "put 5:a=51@5/5#1<null put 5:b=51@5/5#1<null put 7:a=72@7/7#1<a=51@5/5#1");
  CHECK(batch.progress == 7);
  CHECK(f.copy.applied() == 107);
  // What was cut off half-way comes again.
  REQUIRE(f.feed({f.put("c", "", 109)}, true).ok());
  f.copy.interrupted();
  REQUIRE(f.feed({f.put("c", "", 109)}).ok());
  CHECK(f.changes.size() == 3);
}

TEST_CASE("etcd copy: deletions say their last words, others' revisions only move it on") {
  Fixture f;
  REQUIRE(f.feed({f.put("a", "1", 101)}).ok());
  Op last = testing::remove("a", "bye []");
  last.splice_at = 5;
  const std::string words = encode_last_words({make_txn_id(1, 9), {last, testing::remove("gone", "x")}});
  REQUIRE(f.feed({f.remove("a", 104), f.meta(f.layout.last_words(0), words, 104)}).ok());
  const State::Plan& plan = f.changes.back().plan;
  CHECK(show(plan.events) == "delete 4:-a=bye [4]@4<a=11@1/1#1");
  CHECK(f.changes.back().ids == std::vector<TxnId>{make_txn_id(1, 9)});
  REQUIRE(f.feed({f.meta(f.layout.tick(), "", 120)}).ok());
  CHECK(f.copy.state().snapshot().revision == 20);
  REQUIRE(f.feed({f.meta(f.layout.fence(), "", 121)}).ok());
  CHECK(f.changes.back().fence == 121);
  REQUIRE(f.feed({f.meta(f.layout.compact(), "110", 122)}).ok());
  CHECK(f.copy.state().snapshot().compacted == 10);
}

TEST_CASE("etcd copy: what cannot be is refused") {
  Fixture f;
  REQUIRE(f.feed({f.put("a", "1", 103)}).ok());
  CHECK(f.feed({f.put("a", "1", 103)}).error().code == ErrorCode::kCorruption);
}

TEST_CASE("etcd copy: what somebody else wrote there is absent, and named as long as it is there") {
  Fixture f;
  REQUIRE(f.feed({f.put("a", "1", 101)}).ok());
  REQUIRE(f.feed({f.meta("/c/data/b", "by hand", 102), f.put("c", "1", 102)}).ok());
  CHECK(f.copy.foreign() == std::set<std::string>{"/c/data/b"});
  CHECK(show(f.changes.back().plan.events) == "put 2:c=21@2/2#1<null");
  REQUIRE(f.feed({f.meta("/c/data/a", "over it", 103)}).ok());
  CHECK(show(f.changes.back().plan.events) == "delete 3:-a=@3<a=11@1/1#1");
  REQUIRE(f.feed({f.remove("b", 104)}).ok());
  CHECK(f.changes.back().plan.events.empty());
  REQUIRE(f.feed({f.put("a", "2", 105)}).ok());
  CHECK(f.copy.foreign().empty());
  CHECK(show(f.copy.state().snapshot().index.find("a")) == "a=52@5/5#1");
}

TEST_CASE("etcd: a transaction that does not hold says which compare, and whether it was the fence") {
  const Layout layout("/c");
  const Txn txn = testing::txn({{"a", 5}, {"b", 0}}, {testing::put("a", "x")});
  const auto there = [&](const std::string& key, Revision revision) {
    RangeResponse out;
    out.kvs.push_back({key, encode_envelope({make_txn_id(1, 1), kNoSplice, "v"}), revision, revision, 1});
    return out;
  };
  TxnResponse answer;
  answer.header.revision = 130;
  answer.ranges = {there(layout.data("a"), 105), {}, there(layout.fence(), 120)};
  CHECK(decode_refusal(layout, txn, answer, kBase).value().by_fence);
  CHECK(decode_refusal(layout, txn, answer, kBase).value().fence == 120);
  answer.ranges[1] = there(layout.data("b"), 106);
  const Refusal refusal = decode_refusal(layout, txn, answer, kBase).value();
  CHECK_FALSE(refusal.by_fence);
  CHECK(refusal.result.failed_compare == 1);
  CHECK(show(refusal.result.current) == "b=v@6/6#1");
  CHECK(refusal.result.revision == 30);
  answer.ranges.pop_back();
  CHECK_FALSE(decode_refusal(layout, txn, answer, kBase).ok());
}

TEST_CASE("etcd freshness: a tick only when it may be somebody else's revision, and never two") {
  Freshness fresh;
  int ready = 0;
  const auto then = [&ready](const Result<void>& there) { ready += there.ok() ? 1 : 100; };
  fresh.wait(10, Freshness::Ours::kCertain, 0, 1000, then);
  CHECK_FALSE(fresh.tick_at_ms().has_value());
  fresh.wait(12, Freshness::Ours::kSoon, 50, 1000, then);
  REQUIRE(fresh.tick_at_ms().has_value());
  CHECK(*fresh.tick_at_ms() > 50);
  fresh.reached(11);
  CHECK(ready == 1);
  CHECK(fresh.tick_at_ms().has_value());
  fresh.tick_began();
  CHECK_FALSE(fresh.tick_at_ms().has_value());
  fresh.tick_ended(0, 60);  // it failed
  CHECK(*fresh.tick_at_ms() > 60);
  fresh.tick_began();
  fresh.tick_ended(15, 70);
  CHECK_FALSE(fresh.tick_at_ms().has_value());
  fresh.reached(15);
  CHECK(ready == 2);
  fresh.wait(20, Freshness::Ours::kAfterReplay, 80, 90, then);
  fresh.expire(89);
  CHECK(ready == 2);
  fresh.expire(90);
  CHECK(ready == 102);
}

}  // namespace
}  // namespace coxswain::store::etcd
