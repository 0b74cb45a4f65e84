// The hub where revisions come from elsewhere: gaps, no history behind the ring, a new start.
#include <catch2/catch.hpp>

#include "libs/store/watch/hub.h"

namespace coxswain::store {
namespace {

struct Feed {
  std::shared_ptr<Hub> hub;
  State state;

  explicit Feed(std::size_t ring) : hub(std::make_shared<Hub>(ring, 1u << 20)) {
    state.load_revisions(10, 0);
    hub->start(nullptr, 10, 0);
  }
  // An empty key: a revision without events.
  void apply(const std::string& key, Revision revision) {
    State::Plan plan;
    plan.result.revision = revision;
    if (!key.empty()) {
      const EntryPtr entry = make_entry(key, "v", revision, revision, 1);
      plan.events.push_back(std::make_shared<const Event>(
          Event{Event::Type::kPut, entry, state.snapshot().index.find(key), revision}));
    }
    Hub::Wakes wakes;
    hub->publish(plan, &state, &wakes);
    hub->trim();
    for (const auto& wake : wakes) wake();
  }
  ErrorCode watch_error(Revision after) { return hub->watch("", after).error().code; }
};

TEST_CASE("revisions may skip, and may have no events") {
  Feed feed(100);
  const auto watcher = feed.hub->watch("a", 10).value();
  feed.apply("a", 13);
  feed.apply("", 20);
  const WatchBatch batch = watcher->poll(10).value();
  REQUIRE(batch.events.size() == 1);
  CHECK(batch.events[0]->revision == 13);
  CHECK(batch.progress == 20);
  CHECK(feed.state.snapshot().revision == 20);
  feed.apply("", 15);  // never back
  CHECK(feed.state.snapshot().revision == 20);
  CHECK(feed.hub->watch("", 20).ok());
  CHECK(feed.watch_error(21) == ErrorCode::kOutOfRange);
}

TEST_CASE("without a history, who is behind the ring is told so") {
  Feed feed(2);
  CHECK(feed.watch_error(9) == ErrorCode::kCompacted);
  const auto late = feed.hub->watch("", 10).value();
  for (Revision r = 11; r <= 14; ++r) feed.apply("a", r);
  CHECK(late->poll(10).error().code == ErrorCode::kCompacted);
  CHECK(feed.watch_error(11) == ErrorCode::kCompacted);
  CHECK(feed.hub->watch("", 12).value()->poll(10).value().events.size() == 2);
}

TEST_CASE("a new start ends every watch, even of those who were caught up, and wakes them") {
  Feed feed(100);
  feed.apply("a", 11);
  const auto caught_up = feed.hub->watch("", 11).value();
  CHECK(caught_up->poll(10).value().events.empty());
  int woken = 0;
  caught_up->arm([&woken] { ++woken; });
  State later;
  later.load(make_entry("b", "v", 15, 15, 1));
  later.load_revisions(20, 12);
  feed.hub->restart(20, 12);
  feed.state.replace(std::move(later));
  CHECK(woken == 1);
  CHECK(caught_up->poll(10).error().code == ErrorCode::kCompacted);
  CHECK(feed.watch_error(19) == ErrorCode::kCompacted);
  CHECK(feed.state.snapshot().index.find("a") == nullptr);
  const auto fresh = feed.hub->watch("", 0).value();
  feed.apply("b", 21);
  CHECK(fresh->poll(10).value().events.size() == 1);
}

}  // namespace
}  // namespace coxswain::store
