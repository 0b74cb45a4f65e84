#include "services/api-server/server.h"

#include <catch2/catch.hpp>

#include <atomic>

namespace coxswain::apiserver {
namespace {

// The store's thread reads it while the test moves it.
class TestClock : public Clock {
 public:
  std::int64_t now_ms() const override { return now_; }
  std::int64_t unix_ms() const override { return now_; }
  void set_ms(std::int64_t ms) { now_ = ms; }

 private:
  std::atomic<std::int64_t> now_{0};
};

void put(store::Store& store, const std::string& key) {
  REQUIRE(store.txn_wait({{}, {{store::Op::Type::kPut, key, "{}", store::kNoSplice}}}).ok());
}

TEST_CASE("an old version stays readable for 5 minutes, or as long as the flag says") {
  struct Row {
    ServerOptions options;
    std::int64_t kept_ms;
  };
  ServerOptions minute;
  minute.compaction_interval_s = 60;
  for (const Row& row : {Row{ServerOptions(), 5 * 60 * 1000}, Row{minute, 60 * 1000}}) {
    INFO(row.kept_ms);
    TestClock clock;
    const auto store = store::open_memory_store({store_limits(row.options), &clock}).value();
    // The store looks at the clock after each commit; the second one says that the first look is over.
    const auto look_at = [&](std::int64_t ms) {
      clock.set_ms(ms);
      for (int i = 0; i < 2; ++i) put(*store, "other");
    };
    look_at(row.kept_ms - 1);  // the last moment of a period: what is superseded now is kept shortest
    put(*store, "a");
    const store::Revision old = store->revision();
    put(*store, "a");
    look_at(row.kept_ms);
    look_at(2 * row.kept_ms - 1);
    CHECK(store->get("a", old).ok());
    look_at(2 * row.kept_ms);
    REQUIRE_FALSE(store->get("a", old).ok());
    CHECK(store->get("a", old).error().code == ErrorCode::kCompacted);
  }
}

}  // namespace
}  // namespace coxswain::apiserver
