#include "libs/store/mvcc/checks.h"

#include <set>

#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"

namespace coxswain::store {
namespace {

const StateHash kRight{1, 2};
const StateHash kWrong{1, 3};

raft::Configuration voters(std::vector<raft::MemberId> ids) {
  raft::Configuration members;
  members.voters = std::move(ids);
  return members;
}

TEST_CASE("every part of an entry is in its hash, and the order of entries is not") {
  const auto hash = [](const std::string& key, const std::string& value, Revision created, Revision modified,
                       std::int64_t version) {
    return hash_entry(*make_entry(key, value, created, modified, version));
  };
  const StateHash one = hash("k", "v", 3, 5, 2);
  CHECK(one == hash("k", "v", 3, 5, 2));
  CHECK(one != hash("kv", "", 3, 5, 2));
  CHECK(one != hash("k", "w", 3, 5, 2));
  CHECK(one != hash("k", "v", 5, 3, 2));
  CHECK(one != hash("k", "v", 3, 5, 3));
  CHECK(one != hash("k", std::string("v\0", 2), 3, 5, 2));
  StateHash there = one, back = hash("other", "v", 3, 5, 2);
  there += hash("other", "v", 3, 5, 2);
  back += one;
  CHECK(there == back);
  back -= one;
  CHECK(back == hash("other", "v", 3, 5, 2));
  // Written down: members of several releases must agree on it.
  CHECK(to_string(hash_bytes("")) == "25f82ee5719b0b4c42b4398414fe50fc");
  CHECK(to_string(one) == "9bcfa18e532f91cb4631b900bff5f22e");
}

TEST_CASE("no bit of a value can flip without the hash") {
  const auto random = seeded_random(7);
  std::set<std::string> seen;
  for (std::size_t size : {1u, 7u, 8u, 31u, 32u, 33u, 64u, 100u}) {
    std::string value(size, '\0');
    for (char& c : value) c = static_cast<char>(random->next());
    seen.insert(to_string(hash_entry(*make_entry("k", value, 1, 1, 1))));
    for (std::size_t bit = 0; bit < size * 8; ++bit) {
      std::string other = value;
      other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
      const StateHash hash = hash_entry(*make_entry("k", other, 1, 1, 1));
      REQUIRE(seen.insert(to_string(hash)).second);
    }
  }
}

TEST_CASE("what a quorum says is right, and who differs is marked") {
  Checks checks;
  const raft::Configuration members = voters({1, 2, 3});
  checks.begin(10, 7, 2);
  checks.report(10, 3, kWrong, members);
  checks.report(10, 1, kRight, members);
  CHECK(checks.marked().empty());
  CHECK(checks.alarm().empty());  // member 2 has not spoken
  Checks silent = checks;
  silent.begin(11, 7, 2);
  CHECK(silent.alarm().find("members have different states as of entry 10") == 0);
  checks.report(10, 2, kRight, members);
  CHECK(checks.find(10)->agreed == kRight);
  CHECK(checks.marked() == std::map<raft::MemberId, std::uint64_t>{{3, 10}});
  CHECK(checks.alarm().find("the state of member 3 differs from the others' as of entry 10: replace it") ==
        0);

  SECTION("for as long as it is a member") {
    for (std::uint64_t index = 11; index < 30; ++index) checks.begin(index, 7, 2);
    CHECK(checks.points().size() == Checks::kKept);
    CHECK(checks.marked().count(3) == 1);
    checks.members_changed(voters({1, 2, 4}));
    CHECK(checks.alarm().empty());
  }
  SECTION("and it is all written down") {
    const auto again = Checks::decode(checks.encode());
    REQUIRE(again.ok());
    CHECK(*again == checks);
    const std::string bytes = checks.encode();
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK_FALSE(Checks::decode(bytes.substr(0, size)).ok());
    CHECK_FALSE(Checks::decode(bytes + "x").ok());
  }
}

TEST_CASE("a quorum of both halves while the members change, and learners do not count") {
  Checks checks;
  raft::Configuration members = voters({1, 2, 3});
  members.outgoing = {1, 4, 5};
  members.learners = {6};
  checks.begin(10, 7, 2);
  for (const raft::MemberId id : {1, 2, 6}) checks.report(10, id, kRight, members);
  CHECK_FALSE(checks.find(10)->agreed.has_value());
  checks.report(10, 5, kRight, members);
  CHECK(checks.find(10)->agreed == kRight);
  checks.report(10, 6, kWrong, members);  // it has spoken
  CHECK(checks.marked().empty());
}

TEST_CASE("two of two that differ: an alarm, and nobody is right") {
  Checks checks;
  const raft::Configuration members = voters({1, 2});
  checks.begin(10, 7, 2);
  checks.report(10, 1, kRight, members);
  CHECK(checks.alarm().empty());
  checks.report(10, 2, kWrong, members);
  CHECK(checks.marked().empty());
  CHECK(checks.alarm().find("no majority says which is right") != std::string::npos);
  checks.begin(20, 8, 2);
  checks.report(20, 1, kRight, members);
  checks.report(20, 2, kRight, members);
  CHECK(checks.alarm().empty());
}

TEST_CASE("whoever does not know the members yet judges when it does") {
  Checks late, early;
  const raft::Configuration members = voters({1, 2, 3});
  for (Checks* checks : {&late, &early}) {
    const raft::Configuration known = checks == &early ? members : raft::Configuration();
    checks->begin(10, 7, 2);
    for (const raft::MemberId id : {1, 2}) checks->report(10, id, kRight, known);
    checks->report(10, 3, kWrong, known);
  }
  CHECK(late.marked().empty());
  late.members_changed(members);
  early.members_changed(members);
  CHECK(late == early);
  CHECK(late.marked().count(3) == 1);
}

}  // namespace
}  // namespace coxswain::store
