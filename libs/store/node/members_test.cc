#include "libs/store/node/members.h"

#include <catch2/catch.hpp>

namespace coxswain::store {
namespace {

constexpr auto kVoter = MemberRole::kVoter;
constexpr auto kLearner = MemberRole::kLearner;
constexpr auto kRemoved = MemberRole::kRemoved;

MemberRecord record(std::uint64_t id, MemberRole role, const std::string& name, std::uint64_t data_id = 7) {
  return {id, role, name, name.empty() ? "" : name + ":1", "", data_id};
}

MemberList list_of(std::vector<MemberRecord> records) {
  MemberList list;
  list.revisions.assign(records.size(), 10);
  list.records = std::move(records);
  list.version = 12;
  return list;
}

MemberRecord put_of(const Txn& txn, std::size_t i) {
  std::vector<MemberRecord> puts;
  for (const Op& op : txn.ops) {
    const auto decoded = decode_member(op.value);
    if (decoded.ok()) puts.push_back(*decoded);
  }
  REQUIRE(i < puts.size());
  return puts[i];
}

TEST_CASE("a member is replaced in one transaction, by one with a new id and its name, address and vote") {
  for (const MemberRole role : {kVoter, kLearner}) {
    const MemberList list = list_of(
        {record(1, kVoter, "a"), record(2, role, "b"), record(3, kVoter, "c"), record(6, kRemoved, "old")});
    raft::Configuration now;
    now.voters = {1, 3};
    (role == kVoter ? now.voters : now.learners).push_back(2);
    const auto plan = plan_replace(list, now, 2);
    REQUIRE(plan.ok());
    CHECK(plan->removed == record(2, kRemoved, "b"));
    CHECK(plan->change.record == record(7, role, "b", 0));
    CHECK(put_of(plan->change.txn, 0) == plan->removed);
    CHECK(put_of(plan->change.txn, 1) == plan->change.record);
    CHECK(plan->change.txn.compares.size() == 3);  // both rows and the list's version
  }
}

TEST_CASE("asked for again it is the same one, until that one is there") {
  raft::Configuration now;
  now.voters = {1, 3};
  MemberList list = list_of(
      {record(1, kVoter, "a"), record(2, kRemoved, "b"), record(3, kVoter, "c"), record(4, kVoter, "b", 0)});
  const auto again = plan_replace(list, now, 2);
  REQUIRE(again.ok());
  CHECK(again->change.txn.ops.empty());
  CHECK(again->change.record.id == 4);
  list.records[3].data_id = 99;
  CHECK(plan_replace(list, now, 2).error().message.find("replaced by member 4") != std::string::npos);
  CHECK(plan_replace(list, now, 4)->change.record.id == 5);
}

TEST_CASE("who cannot be replaced") {
  struct Row {
    MemberList list;
    std::uint64_t id;
    ErrorCode code;
    const char* why;
  };
  raft::Configuration now;
  now.voters = {1, 2};
  const Row rows[] = {
      {list_of({record(1, kVoter, "a"), record(2, kVoter, "b")}), 5, ErrorCode::kNotFound, "no member 5"},
      {list_of({record(1, kVoter, "a")}), 2, ErrorCode::kConflict, "never said where"},
      {list_of({record(1, kVoter, "a"), record(2, kRemoved, "b")}), 2, ErrorCode::kConflict, "was removed"},
      {list_of({record(1, kVoter, "a"), record(2, kLearner, "b")}), 1, ErrorCode::kConflict, "only one"},
  };
  for (const Row& row : rows) {
    const auto plan = plan_replace(row.list, now, row.id);
    REQUIRE_FALSE(plan.ok());
    CHECK(plan.error().code == row.code);
    CHECK(plan.error().message.find(row.why) != std::string::npos);
  }
}

}  // namespace
}  // namespace coxswain::store
