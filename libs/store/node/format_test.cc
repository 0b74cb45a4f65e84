// Data directories of format 1, as the release before wrote them, become ones of today's, wherever the power
// goes.
#include "libs/store/node/format.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "libs/common/base/check.h"
#include "libs/common/base/wire.h"
#include "libs/store/conformance/stores.h"
#include "libs/store/env/fault_env.h"
#include "libs/store/log/record.h"
#include "libs/store/node/node.h"

namespace coxswain::store::testing {
namespace {

constexpr std::uint64_t kEntries = 40;

std::string key(std::uint64_t n) { return "key-" + std::to_string(n); }
std::string value(std::uint64_t n) { return "value-" + std::to_string(n) + std::string(200, '.'); }

// Rows as they were: the state has the first `stored` entries, the log has all, and no terms anywhere.
void write_format_1(FaultEnv& env, Engine& engine, std::uint64_t stored) {
  EngineBatch batch;
  State state;
  std::vector<std::string> commands;
  for (std::uint64_t n = 1; n <= kEntries; ++n) {
    commands.push_back(encode_txn(txn({}, {put(key(n), value(n))})));
    if (n > stored) continue;
    const State::Plan plan = state.plan(std::move(decode_command(commands.back()).value()));
    state.commit(plan);
    History::record(plan.events, &batch);
  }
  std::string applied;
  for (const std::uint64_t number : {stored, stored, std::uint64_t{0}, std::uint64_t{0}})
    put_big64(&applied, number);
  if (stored > 0) batch.push_back({Family::kMeta, "applied", applied});
  REQUIRE(engine.write(batch).ok());
  REQUIRE(engine.flush().ok());
  REQUIRE(env.make_dir("/data").ok());
  REQUIRE(env.make_dir("/data/log").ok());
  auto log = Wal::open(env, {"/data/log", 4096, true},
                       [](std::uint64_t, std::string_view) -> Result<void> { return {}; });
  REQUIRE(log.ok());
  for (const std::string& command : commands) {
    REQUIRE((*log)->reserve(record_bytes(command.size())).ok());
    REQUIRE((*log)->append({{command, {}}}).ok());
    REQUIRE((*log)->sync().ok());
  }
  REQUIRE((*log)->truncate_prefix(stored).ok());
  auto file = env.open("/data/FORMAT", true);
  REQUIRE(file.ok());
  REQUIRE((*file)->write_at(0, "coxswain store 1\n").ok());
  REQUIRE((*file)->sync().ok());
  REQUIRE(env.sync_dir("/data").ok());
}

Result<std::unique_ptr<Store>> boot(FaultEnv& env, const std::shared_ptr<MemoryDisk>& disk) {
  NodeOptions node;
  MemberOptions& options = node.member;
  options.raft.id = 1;
  options.initial.voters = {1};
  options.clock = &system_clock();
  options.engine = open_memory_engine(disk);
  options.env = &env;
  options.log_dir = log_dir("/data");
  options.log_segment_bytes = 4096;
  COX_ASSIGN_OR_RETURN(const std::int64_t format, check_format(env, "/data"));
  COX_RETURN_IF_ERROR(prepare_log(env, "/data", format, options.log_segment_bytes, options.engine));
  return open_node(std::move(node));
}

void verify(Store& store) {
  CHECK(store.revision() == static_cast<Revision>(kEntries));
  for (std::uint64_t n = 1; n <= kEntries; ++n) {
    const Result<EntryPtr> found = store.get(key(n));
    REQUIRE(found.ok());
    REQUIRE((*found)->value == value(n));
    REQUIRE((*found)->mod_revision == static_cast<Revision>(n));
  }
}

}  // namespace

TEST_CASE("a store of format 1 opens, with everything, and goes on") {
  for (const std::uint64_t stored : {0, 1, 17, 40}) {
    CAPTURE(stored);
    FaultEnv env(1);
    const auto disk = make_memory_disk();
    write_format_1(env, *open_memory_engine(disk), stored);
    {
      auto store = boot(env, disk);
      REQUIRE(store.ok());
      verify(**store);
      REQUIRE((*store)->txn_wait(txn({}, {put("more", "x")})).value().revision == kEntries + 1);
    }
    CHECK(env.list("/data/log").value().empty());
    CHECK(check_format(env, "/data").value() == kFormat);
    auto again = boot(env, disk);
    REQUIRE(again.ok());
    CHECK((*again)->get("more").value()->value == "x");
  }
}

TEST_CASE("the power may go at any step of that") {
  std::int64_t steps = 1;
  for (std::int64_t step = 0; step < steps; ++step) {
    FaultEnv env(static_cast<std::uint64_t>(step) + 1);
    const auto disk = make_memory_disk();
    write_format_1(env, *open_memory_engine(disk), 17);
    env.crash_after(step);
    (void)boot(env, disk);
    if (step + 1 == steps && env.crashed()) ++steps;  // so far it does not come to its end
    env.power_on();
    CAPTURE(step);
    auto store = boot(env, disk);
    if (!store.ok()) FAIL(store.error().message);
    verify(**store);
  }
  CHECK(steps > 20);
}

TEST_CASE("a FORMAT that was set back is noticed before anything is lost") {
  FaultEnv env(1);
  const auto disk = make_memory_disk();
  write_format_1(env, *open_memory_engine(disk), 17);
  REQUIRE(boot(env, disk).ok());
  const auto set_format = [&](const std::string& number) {
    auto file = env.open("/data/FORMAT", true);
    REQUIRE((*file)->write_at(0, "coxswain store " + number + "\n").ok());
  };
  set_format("1");
  CHECK(boot(env, disk).error().code == ErrorCode::kCorruption);
  set_format("2");
  auto store = boot(env, disk);
  REQUIRE(store.ok());
  verify(**store);
}

TEST_CASE("an old log that lacks entries is refused, and left as it is") {
  FaultEnv env(1);
  const auto disk = make_memory_disk();
  write_format_1(env, *open_memory_engine(disk), 1);
  const auto names = env.list("/data/log").value();
  REQUIRE(names.size() > 2);
  REQUIRE(env.remove("/data/log/" + names[1]).ok());
  const auto store = boot(env, disk);
  REQUIRE_FALSE(store.ok());
  CHECK(store.error().code == ErrorCode::kCorruption);
  CHECK(check_format(env, "/data").value() == 1);
  CHECK(env.list("/data/log").value().size() == names.size() - 1);
}

}  // namespace coxswain::store::testing
