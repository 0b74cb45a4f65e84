// Members that differ, in one thread and in memory: what they notice, what they still do, and what they say.
#include <catch2/catch.hpp>

#include "libs/store/conformance/stores.h"
#include "libs/store/node/member.h"

namespace coxswain::store::testing {
namespace {

class Trio;

struct Host : MemberHost {
  explicit Host(std::vector<raft::Message>* out) : mail(out) {}
  void send(raft::Message message) override {
    if (!message.snapshot.has_value()) mail->push_back(std::move(message));
  }
  void flush_engine() override {}
  void health_changed(Health, const std::string&) override {}
  void noticed(const std::string& what) override { events.push_back(what); }
  std::vector<raft::Message>* const mail;
  std::vector<std::string> events;
};

class Trio {
 public:
  explicit Trio(std::uint64_t members = 3) {
    for (std::uint64_t id = 1; id <= members; ++id) initial_.voters.push_back(id);
    for (std::uint64_t id = 1; id <= members; ++id) {
      hosts_.push_back(std::make_unique<Host>(&mail_));
      disks_.push_back(make_memory_disk());
      engines_.push_back(nullptr);
      members_.push_back(nullptr);
      REQUIRE(start(id).ok());
    }
    control(1).campaign();
    member(1).turn();
    run(3);
    REQUIRE(member(1).raft().role() == raft::Role::kLeader);
  }

  Result<void> start(std::uint64_t id) {
    MemberOptions options;
    options.raft.id = id;
    options.raft.seed = id;
    options.initial = initial_;
    options.clock = &clock_;
    options.engine = engines_[id - 1] = open_memory_engine(disks_[id - 1]);
    options.incarnation = ++incarnation_;
    options.check_ms = 50;
    options.scrub_ms = 100;
    options.scrub_step_ms = 1;
    options.scrub_entries = 2;
    members_[id - 1] =
        std::make_unique<Member>(std::move(options), static_cast<MemberHost&>(*hosts_[id - 1]));
    return members_[id - 1]->start();
  }
  void stop(std::uint64_t id) { members_[id - 1] = nullptr; }

  void run(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      clock_.advance_ms(10);
      for (auto& member : members_) {
        if (member == nullptr) continue;
        member->tick();
        member->upkeep();
      }
      deliver();
    }
  }

  Result<TxnResult> write(std::uint64_t through, const std::string& key, const std::string& value) {
    Result<TxnResult> out = make_error(ErrorCode::kDeadlineExceeded, "no answer");
    std::vector<Member::Proposal> batch;
    batch.push_back({encode_txn({{}, {put(key, value)}}), [&](Result<TxnResult> result) { out = result; }});
    member(through).propose(std::move(batch));
    for (int i = 0; i < 20; ++i) run(1);
    return out;
  }

  Result<void> barrier(std::uint64_t at) {
    Result<void> out = make_error(ErrorCode::kDeadlineExceeded, "no answer");
    member(at).read_barrier([&](Result<void> result) { out = std::move(result); });
    for (int i = 0; i < 20; ++i) run(1);
    return out;
  }

  Member& member(std::uint64_t id) { return *members_[id - 1]; }
  raft::Raft& control(std::uint64_t id) { return member(id).control(); }
  Host& host(std::uint64_t id) { return *hosts_[id - 1]; }
  const std::shared_ptr<Engine>& engine(std::uint64_t id) { return engines_[id - 1]; }

  // A key that nobody wrote, and that its own books know.
  void plant_key(std::uint64_t id) {
    const auto key = make_entry("planted", "x", 1, 1, 1);
    const_cast<State&>(member(id).state()).load(key);
    *const_cast<Applied&>(member(id).applied()).content += hash_entry(*key);
  }

 private:
  void deliver() {
    while (!mail_.empty()) {
      std::vector<raft::Message> mail;
      mail.swap(mail_);
      for (raft::Message& message : mail)
        if (auto& to = members_[message.to - 1]; to != nullptr) to->step({std::move(message)});
    }
  }

  ManualClock clock_;
  raft::Configuration initial_;
  std::uint64_t incarnation_ = 0;
  std::vector<raft::Message> mail_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::shared_ptr<MemoryDisk>> disks_;
  std::vector<std::shared_ptr<Engine>> engines_;
  std::vector<std::unique_ptr<Member>> members_;
};

TEST_CASE("members that are alike agree, when something was written and not otherwise") {
  Trio trio;
  REQUIRE(trio.write(2, "k", "v").ok());
  trio.run(20);
  const Checks& checks = trio.member(1).applied().checks;
  REQUIRE_FALSE(checks.points().empty());
  CHECK(checks.points().back().reports.size() == 3);
  CHECK(checks.points().back().agreed.has_value());
  CHECK(checks.points().back().revision == 1);
  CHECK(checks.alarm().empty());
  const std::uint64_t index = trio.member(1).applied().index;
  trio.run(50);
  CHECK(trio.member(1).applied().index == index);
  CHECK(trio.member(3).applied().checks == checks);
  trio.member(3).check_replicas([](const auto&) {});  // on demand, through any of them
  trio.run(5);
  CHECK(checks.points().back().index > index);
  CHECK(checks.points().back().agreed.has_value());
}

TEST_CASE("a member that differs stops, says so, and does not come back") {
  const std::uint64_t wrong = GENERATE(1, 3);  // the leader, a follower
  const std::uint64_t right = 2;
  CAPTURE(wrong);
  Trio trio;
  REQUIRE(trio.write(1, "k", "v").ok());
  trio.plant_key(wrong);
  (void)trio.write(right, "k", "w");
  trio.run(100);

  Member& out = trio.member(wrong);
  CHECK(out.health() == Health::kStopped);
  CHECK(out.damage().find("the state of member " + std::to_string(wrong) + " differs") == 0);
  CHECK(out.damage().find("replace it (coxctl") != std::string::npos);
  CHECK(trio.write(wrong, "k", "x").error().code == ErrorCode::kUnavailable);
  CHECK(trio.barrier(wrong).error().message == out.damage());
  CHECK_FALSE(out.hub()->watch("", 0).ok());

  CHECK(trio.member(right).applied().checks.marked().count(wrong) == 1);
  CHECK(trio.member(right).applied().checks.alarm() == out.damage());
  REQUIRE_FALSE(trio.host(right).events.empty());
  CHECK(trio.host(right).events.back() == out.damage());
  CHECK(trio.write(right, "k", "y").ok());
  CHECK(trio.barrier(right).ok());

  const std::string reason = out.damage();
  trio.stop(wrong);
  const Result<void> again = trio.start(wrong);
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().code == ErrorCode::kCorruption);
  CHECK(again.error().message == reason);
}

TEST_CASE("two that differ: both say so and go on") {
  Trio trio(2);
  REQUIRE(trio.write(1, "k", "v").ok());
  trio.plant_key(2);
  REQUIRE(trio.write(1, "k", "w").ok());
  trio.run(50);
  for (const std::uint64_t id : {1, 2}) {
    CHECK(trio.member(id).health() == Health::kServing);
    CHECK(trio.member(id).applied().checks.alarm().find("no majority") != std::string::npos);
    REQUIRE_FALSE(trio.host(id).events.empty());
    CHECK(trio.barrier(id).ok());
  }
}

TEST_CASE("a value that changed in memory is found without any write to it") {
  Trio trio;
  for (int i = 0; i < 10; ++i) REQUIRE(trio.write(1, "k" + std::to_string(i), "v").ok());
  Revision revision = 0, compacted = 0;
  const_cast<char&>(trio.member(2).state().find("k6", &revision, &compacted)->value[0]) ^= 4;
  trio.run(100);
  CHECK(trio.member(2).health() == Health::kStopped);
  CHECK(trio.member(2).damage().find("memory is not what was written") != std::string::npos);
  CHECK(trio.member(1).health() == Health::kServing);
  CHECK(trio.write(1, "k6", "w").ok());
}

EngineWrite row_of(Engine& engine, Family family, const std::string& prefix) {
  EngineWrite row{family, "", std::nullopt};
  REQUIRE(engine
              .scan(family, prefix,
                    [&](std::string_view key, std::string_view value) {
                      row.key = key;
                      row.value = value;
                      return false;
                    })
              .ok());
  REQUIRE(row.value.has_value());
  return row;
}

TEST_CASE("rows that are not what was written are found at the start") {
  const TempDir dir;
  LocalStoreOptions options;
  options.dir = dir.path() + "/store";
  {
    const auto store = open_local_store(options).value();
    for (int i = 0; i < 20; ++i) REQUIRE(store->txn_wait({{}, {put("k" + std::to_string(i), "v")}}).ok());
  }
  const bool meta = GENERATE(false, true);
  {
    const auto engine = open_rocksdb_engine(options.dir + "/state").value();
    EngineWrite row = row_of(*engine, meta ? Family::kMeta : Family::kVersions, meta ? "applied" : "k7");
    const std::size_t at = meta ? 15 : row.value->size() - 1;  // the revision; the value
    (*row.value)[at] = static_cast<char>((*row.value)[at] ^ 1);
    REQUIRE(engine->write({row}).ok());
    REQUIRE(engine->flush().ok());
  }
  const auto opened = open_local_store(options);
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().code == ErrorCode::kCorruption);
  CHECK(opened.error().message.find("the stored state is damaged") == 0);
  CHECK(opened.error().message.find("restore a backup") != std::string::npos);
}

TEST_CASE("a state from before the seals is taken, and sealed") {
  const TempDir dir;
  LocalStoreOptions options;
  options.dir = dir.path() + "/store";
  { REQUIRE(open_local_store(options).value()->txn_wait({{}, {put("k", "v")}}).ok()); }
  {
    const auto engine = open_rocksdb_engine(options.dir + "/state").value();
    REQUIRE(engine->write({{Family::kMeta, "seal", std::nullopt}}).ok());
    REQUIRE(engine->flush().ok());
  }
  { REQUIRE(open_local_store(options).value()->txn_wait({{}, {put("k", "w")}}).ok()); }
  const auto engine = open_rocksdb_engine(options.dir + "/state").value();
  CHECK(engine->get(Family::kMeta, "seal").value().has_value());
}

std::vector<EngineBatch> rows_of(const Engine& engine) {
  std::vector<EngineBatch> rows;
  const auto image = engine.image().value();
  for (;;) {
    rows.push_back(image->next(50).value());
    if (rows.back().empty()) return rows;
  }
}

TEST_CASE("a state is sent as it was applied, or its member is told") {
  Trio trio;
  REQUIRE(trio.write(1, "k", "v").ok());
  trio.run(10);
  const bool wrong = GENERATE(false, true);
  const std::shared_ptr<Engine>& engine = trio.engine(1);
  if (wrong) {
    EngineWrite row = row_of(*engine, Family::kVersions, "k");
    row.value->back() = 'w';
    REQUIRE(engine->write({row}).ok());
  }
  const Applied& applied = trio.member(1).applied();
  const auto damaged = std::make_shared<std::atomic<bool>>(false);
  CheckedImage image(engine->image().value(), applied.index, applied.term, damaged);
  Result<EngineBatch> rows = image.next(1 << 20);
  REQUIRE(rows.ok());
  if (!rows->empty()) rows = image.next(1 << 20);
  CHECK(rows.ok() == !wrong);
  CHECK(*damaged == wrong);
  if (wrong) trio.member(1).distrust("what is stored is not what was applied");
  CHECK((trio.member(1).health() == Health::kStopped) == wrong);
}

TEST_CASE("a copied state that is not whole is known by what it adds up to") {
  Trio trio;
  for (int i = 0; i < 5; ++i) REQUIRE(trio.write(1, "k" + std::to_string(i), "v").ok());
  trio.run(10);
  const Applied& applied = trio.member(1).applied();
  const std::shared_ptr<Engine>& engine = trio.engine(1);
  const auto check = [&](std::vector<EngineBatch> rows) {
    CopiedState copy(engine->start_copy().value());
    Result<void> outcome;
    for (const EngineBatch& batch : rows)
      if (outcome.ok()) outcome = copy.write(batch);
    return outcome.ok() ? copy.check(applied.index, applied.term) : outcome;
  };
  const std::vector<EngineBatch> rows = rows_of(*engine);
  if (const Result<void> whole = check(rows); !whole.ok()) FAIL(whole.error().message);
  std::size_t changed = 0;
  for (std::size_t b = 0; b < rows.size(); ++b) {
    for (std::size_t r = 0; r < rows[b].size(); ++r) {
      if (rows[b][r].family == Family::kEvents) continue;
      CAPTURE(rows[b][r].key);
      std::vector<EngineBatch> other = rows;
      std::string& value = *other[b][r].value;
      value.back() = static_cast<char>(value.back() ^ 1);
      CHECK_FALSE(check(other).ok());
      ++changed;
      if (rows[b][r].key == "seal") continue;  // older releases had none
      other = rows;
      other[b].erase(other[b].begin() + static_cast<std::ptrdiff_t>(r));
      CHECK_FALSE(check(other).ok());
    }
  }
  CHECK(changed >= 8);
}

}  // namespace
}  // namespace coxswain::store::testing
