// The contract of store.h, clause by clause, over every implementation.
#include <atomic>
#include <future>
#include <set>
#include <thread>

#include <catch2/catch.hpp>

#include "libs/store/conformance/stores.h"

namespace coxswain::store::testing {
namespace {

using Events = std::vector<std::shared_ptr<const Event>>;

TxnResult must(const TestStore& store, Txn txn) { return store->txn_wait(std::move(txn)).value(); }
Revision must_put(const TestStore& store, const std::string& key, const std::string& value) {
  return must(store, {{}, {put(key, value)}}).revision;
}

TEST_CASE("an empty store") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  CHECK(store->revision() == 0);
  CHECK(store->get("a").error().code == ErrorCode::kNotFound);
  CHECK(store->get("a", 1).error().code == ErrorCode::kOutOfRange);
  CHECK(store->get("a", -1).error().code == ErrorCode::kInvalidArgument);
  CHECK(store->range({}).value().entries.empty());
  CHECK(store->count("") == 0);
  CHECK(store->watch("", 1).error().code == ErrorCode::kOutOfRange);
}

TEST_CASE("revisions, versions and creation survive updates and restart with deletion") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  CHECK(must_put(store, "a", "1") == 1);
  CHECK(must_put(store, "a", "2") == 2);
  CHECK(must_put(store, "b", "3") == 3);
  CHECK(show(store->get("a").value()) == "a=2@1/2#2");
  const TxnResult deleted = must(store, {{}, {remove("a", "bye")}});
  CHECK(deleted.revision == 4);
  CHECK(show(deleted.entries) == "-a=bye@4");
  CHECK(store->get("a").error().code == ErrorCode::kNotFound);
  CHECK(must_put(store, "a", "5") == 5);
  CHECK(show(store->get("a").value()) == "a=5@5/5#1");
  CHECK(show(store->get("a", 1).value()) == "a=1@1/1#1");
  CHECK(show(store->get("a", 3).value()) == "a=2@1/2#2");
  CHECK(store->get("a", 4).error().code == ErrorCode::kNotFound);
  CHECK(show(store->range({"", "", 3, 0}).value().entries) == "a=2@1/2#2 b=3@3/3#1");
  CHECK(show(store->range({"", "", 4, 0}).value().entries) == "b=3@3/3#1");
  CHECK(show(store->range({"", "", 5, 0}).value().entries) == "a=5@5/5#1 b=3@3/3#1");
}

TEST_CASE("a transaction is one revision, all or nothing") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  const TxnResult first = must(store, {{{"a", 0}, {"b", 0}}, {put("a", "1"), put("b", "1")}});
  CHECK(first.succeeded);
  CHECK(show(first.entries) == "a=1@1/1#1 b=1@1/1#1");
  const TxnResult failed = must(store, {{{"a", 1}, {"b", 7}}, {put("a", "2"), put("c", "2")}});
  CHECK_FALSE(failed.succeeded);
  CHECK(failed.revision == 1);
  CHECK(failed.failed_compare == 1);
  CHECK(show(failed.current) == "b=1@1/1#1");
  CHECK(store->count("") == 2);
  const TxnResult absent = must(store, {{{"z", 3}}, {put("a", "2")}});
  CHECK_FALSE(absent.succeeded);
  CHECK(absent.current == nullptr);
  const TxnResult no_effect = must(store, {{}, {remove("nothing")}});
  CHECK(no_effect.succeeded);
  CHECK(no_effect.revision == 1);
  CHECK(show(no_effect.entries) == "null");
  CHECK(store->revision() == 1);
  const TxnResult mixed =
      must(store, {{{"a", 1}}, {put("c", "3"), remove("nothing"), remove("a"), put("b", "3")}});
  CHECK(show(mixed.entries) == "c=3@2/2#1 null -a=@2 b=3@1/2#2");
}

TEST_CASE("the revision is spliced into values and last words") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  for (int i = 0; i < 9; ++i) must_put(store, "filler", "x");
  const TxnResult result =
      must(store, {{}, {put_spliced("a", "<>", 1), put_spliced("b", "", 0), put_spliced("c", "<>", 2)}});
  CHECK(show(result.entries) == "a=<10>@10/10#1 b=10@10/10#1 c=<>10@10/10#1");
  Op last = remove("a", "bye []");
  last.splice_at = 5;
  CHECK(show(must(store, {{}, {last}}).entries) == "-a=bye [11]@11");
}

TEST_CASE("bad transactions are refused and change nothing") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  const std::vector<Txn> bad = {
      {{}, {put("", "x")}}, {{}, {put("a", "1"), remove("a")}}, {{}, {put_spliced("a", "12", 3)}}};
  for (const Txn& one : bad) CHECK(store->txn_wait(one).error().code == ErrorCode::kInvalidArgument);
  CHECK(store->revision() == 0);
}

TEST_CASE("ranges page at a revision while writes go on") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  for (int i = 10; i < 30; ++i) must_put(store, "p/" + std::to_string(i), "old");
  must_put(store, "p", "outside");
  must_put(store, "q/1", "outside");
  const Revision at = store->revision();
  RangeRequest request{"p/", "", 0, 7};
  std::vector<std::string> keys;
  for (int page = 0;; ++page) {
    const RangeResult result = store->range(request).value();
    CHECK(result.revision == at);
    for (const EntryPtr& entry : result.entries) {
      CHECK(entry->value == "old");
      keys.emplace_back(entry->key);
    }
    CHECK(result.remaining == 20 - static_cast<std::int64_t>(keys.size()));
    CHECK(result.more == (result.remaining > 0));
    if (!result.more) break;
    request.revision = at;
    request.after = result.entries.back()->key;
    must(store, {{},
                 {put("p/" + std::to_string(15 + page), "new"), remove("p/" + std::to_string(25 - page)),
                  put("p/2" + std::to_string(page) + "x", "new")}});
  }
  REQUIRE(keys.size() == 20);
  for (int i = 0; i < 20; ++i) CHECK(keys[static_cast<std::size_t>(i)] == "p/" + std::to_string(i + 10));
  CHECK(store->count("p/") == 20);
  CHECK(store->count("p") == 21);
}

TEST_CASE("watches are ordered, complete, whole transactions, and resume anywhere") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  must_put(store, "a/1", "1");
  const auto live = store->watch("a/", 0).value();
  Revision progress = 0;
  CHECK(drain(live.get(), 10, &progress).value().empty());
  CHECK(progress == 1);
  must(store, {{}, {put("a/1", "2"), put("b/1", "2"), put("a/2", "2")}});
  must_put(store, "b/1", "3");
  must(store, {{}, {remove("a/1", "bye")}});
  must_put(store, "b/1", "5");
  const std::string all =
      "put 2:a/1=2@1/2#2<a/1=1@1/1#1 put 2:a/2=2@2/2#1<null delete 4:-a/1=bye@4<a/1=2@1/2#2";
  const WatchBatch first = live->poll(1).value();  // a transaction is never split
  CHECK(first.events.size() == 2);
  CHECK(first.progress >= 2);
  CHECK(first.progress < 4);
  Events events = first.events;
  const Events rest = drain(live.get(), 1, &progress).value();
  events.insert(events.end(), rest.begin(), rest.end());
  CHECK(show(events) == all);
  CHECK(progress == 5);
  CHECK(show(drain(store->watch("a/", 1).value().get(), 100, &progress).value()) == all);
  CHECK(show(drain(store->watch("a/1", 2).value().get(), 100, &progress).value()) ==
        "delete 4:-a/1=bye@4<a/1=2@1/2#2");
  CHECK(drain(store->watch("", 1).value().get(), 1, &progress).value().size() == 6);
  CHECK(drain(store->watch("", 5).value().get(), 1, &progress).value().empty());
  CHECK(progress == 5);
}

TEST_CASE("an armed watcher wakes once, for its prefix only") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  must_put(store, "a/1", "1");
  const auto watcher = store->watch("a/", 0).value();
  auto count = std::make_shared<std::atomic<int>>(0);
  const auto settle = [&](int expected) {
    for (int i = 0; i < 10'000 && count->load() != expected; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(count->load() == expected);
  };
  watcher->arm([count] { ++*count; });
  must_put(store, "a", "shorter");
  must_put(store, "b/1", "other");
  CHECK(watcher->poll(10).value().progress == 3);  // still armed; a bookmark may move on
  CHECK(count->load() == 0);
  must_put(store, "a/1", "2");
  must_put(store, "a/1", "3");
  settle(1);
  watcher->arm([count] { ++*count; });  // there is something to poll: at once
  settle(2);
  Revision progress = 0;
  CHECK(drain(watcher.get(), 10, &progress).value().size() == 2);
  watcher->arm([count] { ++*count; });
  must_put(store, "a/2", "4");
  settle(3);
  CHECK(drain(watcher.get(), 10, &progress).value().size() == 1);
  {
    const auto gone = store->watch("a/", 0).value();
    gone->arm([count] { *count += 100; });
  }
  must_put(store, "a/2", "5");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(count->load() == 3);
  CHECK(store->stats().watchers == 1);
}

TEST_CASE("every prefix of a changed key is woken, whatever else is watched") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  const std::vector<std::pair<std::string, bool>> prefixes = {
      {"", true},       {"a", true},        {"a/b", true},      {"a/b/c", true}, {"a/b/cc", false},
      {"a/b/b", false}, {"a/a", false},     {"a/b/a", false},   {"0", false},    {"a/", true},
      {"a.", false},    {"a/b/c/d", false}, {"a/b/bzzz", false}};
  std::vector<std::unique_ptr<Watcher>> watchers;
  auto woken = std::make_shared<std::vector<std::atomic<bool>>>(prefixes.size());
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    watchers.push_back(store->watch(prefixes[i].first, 0).value());
    watchers.back()->arm([woken, i] { (*woken)[i] = true; });
  }
  must_put(store, "a/b/c", "1");
  const auto all_woken = [&] {
    for (std::size_t i = 0; i < prefixes.size(); ++i)
      if (prefixes[i].second && !(*woken)[i]) return false;
    return true;
  };
  for (int i = 0; i < 10'000 && !all_woken(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // for those that must not be
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    CAPTURE(prefixes[i].first);
    CHECK((*woken)[i].load() == prefixes[i].second);
    CHECK(watchers[i]->poll(10).value().events.size() == (prefixes[i].second ? 1 : 0));
  }
}

TEST_CASE("compaction forgets what is superseded and nothing else") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  for (int i = 1; i <= 5; ++i) must_put(store, "a", std::to_string(i));
  must_put(store, "b", "6");
  must(store, {{}, {remove("b")}});
  must_put(store, "a", "8");
  const auto late = store->watch("", 2).value();
  CHECK(store->compact(99).error().code == ErrorCode::kOutOfRange);
  REQUIRE(store->compact(5).ok());
  REQUIRE(store->compact(3).ok());  // already done
  CHECK(store->stats().compacted == 5);
  CHECK(store->revision() == 8);
  CHECK(store->get("a", 4).error().code == ErrorCode::kCompacted);
  CHECK(store->range({"", "", 4, 0}).error().code == ErrorCode::kCompacted);
  CHECK(store->watch("", 4).error().code == ErrorCode::kCompacted);
  CHECK(show(store->get("a", 5).value()) == "a=5@1/5#5");
  CHECK(show(store->range({"", "", 6, 0}).value().entries) == "a=5@1/5#5 b=6@6/6#1");
  Revision progress = 0;
  CHECK(show(drain(store->watch("", 5).value().get(), 10, &progress).value()) ==
        "put 6:b=6@6/6#1<null delete 7:-b=@7<b=6@6/6#1 put 8:a=8@1/8#6<a=5@1/5#5");
  const auto polled = late->poll(10);  // all of it or the error, never a gap
  if (polled.ok()) {
    CHECK(polled->events.front()->revision == 3);
  } else {
    CHECK(polled.error().code == ErrorCode::kCompacted);
  }
  REQUIRE(store->compact(8).ok());
  CHECK(show(store->range({}).value().entries) == "a=8@1/8#6");
}

TEST_CASE("many threads: every increment counts once and one watcher sees them all in order") {
  const TestStore store = make_store(GENERATE(from_range(kStoreKinds)));
  const auto watcher = store->watch("counter", 0).value();
  constexpr int kThreads = 4;
  constexpr int kEach = 100;
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    Revision last = 0;
    while (!stop) {
      const Revision now = store->range({}).value().revision;
      if (now < last) std::abort();
      last = now;
      if (last > 1) (void)store->range({"", "", last - 1, 10});
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&] {
      for (int done = 0; done < kEach;) {
        const auto now = store->get("counter");
        const int value = now.ok() ? std::stoi(std::string((*now)->value)) : 0;
        const Revision revision = now.ok() ? (*now)->mod_revision : 0;
        done += must(store, {{{"counter", revision}}, {put("counter", std::to_string(value + 1))}}).succeeded
                    ? 1
                    : 0;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  stop = true;
  reader.join();
  CHECK(store->get("counter").value()->value == std::to_string(kThreads * kEach));
  Revision progress = 0;
  const Events events = drain(watcher.get(), 7, &progress).value();
  REQUIRE(events.size() == kThreads * kEach);
  for (int i = 0; i < kThreads * kEach; ++i)
    CHECK(events[static_cast<std::size_t>(i)]->entry->value == std::to_string(i + 1));
}

}  // namespace
}  // namespace coxswain::store::testing
