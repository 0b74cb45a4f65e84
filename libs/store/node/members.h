// Who the members are, as rows of the store itself: what the operator wants and how each one is found. The
// leader makes the group's configuration follow, one change at a time. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/store/admin.h"
#include "libs/store/mvcc/state.h"
#include "libs/store/raft/configuration.h"

namespace coxswain::store {

// Where the rows are; nobody else writes there.
inline constexpr std::string_view kMembersPrefix = "coxswain/members/";

std::string encode_member(const MemberRecord& record);
Result<MemberRecord> decode_member(std::string_view bytes);  // kCorruption

// The records as of one moment. Changes of the list are made one after the other: each compares and moves
// `version`.
struct MemberList {
  std::vector<MemberRecord> records;  // by id
  std::vector<Revision> revisions;    // of each
  Revision version = 0;

  const MemberRecord* find(std::uint64_t id) const;
};
MemberList read_members(const State::Snapshot& state);
Revision members_version(const State::Snapshot& state);  // MemberList::version, without reading the list

// HOST:PORT with a port that can be; a name of letters, digits, '-', '_' and '.'.
Result<void> check_peer_address(std::string_view address);
Result<void> check_member_name(std::string_view name);

struct MemberChange {
  MemberRecord record;  // as it will be
  Txn txn;              // empty: it is that already
};
// Errors as of StoreAdmin. `now` is the group's configuration: its members count even without a record.
Result<MemberChange> plan_add(const MemberList& list, const raft::Configuration& now, std::string name,
                              std::string peer_address);
Result<MemberChange> plan_promote(const MemberList& list, const raft::Configuration& now, std::uint64_t id);
Result<MemberChange> plan_remove(const MemberList& list, const raft::Configuration& now, std::uint64_t id);
// Removed, and another one in its place: same name, same address, the vote that it had. Asked for again
// before the new one has introduced itself, it is the same one.
struct Replacement {
  MemberChange change;   // its record is the new member's
  MemberRecord removed;  // the old one, as it will be
};
Result<Replacement> plan_replace(const MemberList& list, const raft::Configuration& now, std::uint64_t id);
// What a member says of itself: nothing (empty) when its record says it already or it was removed.
Txn plan_introduce(const MemberList& list, const raft::Configuration& now, const MemberRecord& self);

// What the leader knows of the others.
struct MemberProgress {
  bool active = false;     // heard of within an election time-out
  bool caught_up = false;  // its log is about as long as the leader's
};
// The next change that the configuration needs and that is safe: it leaves a majority that can be reached,
// and gives a vote only to who can use it.
std::optional<raft::Change> next_change(const MemberList& list, const raft::Configuration& now,
                                        const std::function<MemberProgress(raft::MemberId)>& progress);

// Whether the configuration is as the record wants it.
bool is_settled(const MemberRecord& record, const raft::Configuration& now);

}  // namespace coxswain::store
