#include "libs/store/node/members.h"

#include <algorithm>

#include "libs/common/base/strings.h"
#include "libs/common/base/wire.h"

namespace coxswain::store {
namespace {

constexpr std::string_view kVersionKey = "coxswain/members-version";
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestText = 1024;

std::string key_of(std::uint64_t id) { return std::string(kMembersPrefix) + std::to_string(id); }

void put_record(const MemberRecord& record, Revision revision, Txn* txn) {
  txn->compares.push_back({key_of(record.id), revision});
  txn->ops.push_back({Op::Type::kPut, key_of(record.id), encode_member(record), kNoSplice});
}

void move_version(const MemberList& list, Txn* txn) {
  txn->compares.push_back({std::string(kVersionKey), list.version});
  txn->ops.push_back({Op::Type::kPut, std::string(kVersionKey), "", kNoSplice});
}

Revision revision_of(const MemberList& list, std::uint64_t id) {
  for (std::size_t i = 0; i < list.records.size(); ++i)
    if (list.records[i].id == id) return list.revisions[i];
  return 0;
}

// Of the configuration, with or without a record.
std::optional<MemberRecord> known(const MemberList& list, const raft::Configuration& now, std::uint64_t id) {
  if (const MemberRecord* record = list.find(id)) return *record;
  if (!now.contains(id)) return std::nullopt;
  MemberRecord record;
  record.id = id;
  record.role = now.is_voter(id) ? MemberRole::kVoter : MemberRole::kLearner;
  return record;
}

std::optional<MemberChange> no_change(const MemberRecord& record, MemberRole role) {
  if (record.role != role) return std::nullopt;
  return MemberChange{record, {}};
}

Result<MemberRecord> find_known(const MemberList& list, const raft::Configuration& now, std::uint64_t id) {
  const std::optional<MemberRecord> record = known(list, now, id);
  if (!record.has_value())
    return make_error(ErrorCode::kNotFound, "there is no member " + std::to_string(id));
  return *record;
}

// Those who will vote when everything that is asked for is done.
std::size_t wanted_voters(const MemberList& list, const raft::Configuration& now) {
  std::size_t n = 0;
  for (const MemberRecord& record : list.records) n += record.role == MemberRole::kVoter;
  for (const raft::MemberId id : now.voters) n += list.find(id) == nullptr;
  return n;
}

}  // namespace

std::string encode_member(const MemberRecord& record) {
  std::string out;
  put_varint(&out, record.id);
  put_varint(&out, static_cast<std::uint64_t>(record.role));
  put_bytes(&out, record.name);
  put_bytes(&out, record.peer_address);
  put_bytes(&out, record.client_url);
  put_varint(&out, record.data_id);
  return out;
}

Result<MemberRecord> decode_member(std::string_view bytes) {
  WireReader reader(bytes);
  MemberRecord record;
  record.id = reader.varint();
  const std::uint64_t role = reader.varint();
  if (role < static_cast<std::uint64_t>(MemberRole::kLearner) ||
      role > static_cast<std::uint64_t>(MemberRole::kRemoved))
    reader.fail();
  record.role = static_cast<MemberRole>(role);
  for (std::string* text : {&record.name, &record.peer_address, &record.client_url}) {
    *text = std::string(reader.bytes());
    if (text->size() > kLongestText) reader.fail();
  }
  record.data_id = reader.varint();
  if (!reader.ok() || !reader.done() || record.id == raft::kNobody)
    return make_error(ErrorCode::kCorruption, "not a record of a member");
  return record;
}

const MemberRecord* MemberList::find(std::uint64_t id) const {
  for (const MemberRecord& record : records)
    if (record.id == id) return &record;
  return nullptr;
}

Revision members_version(const State::Snapshot& state) {
  const EntryPtr version = state.index.find(kVersionKey);
  return version == nullptr ? 0 : version->mod_revision;
}

MemberList read_members(const State::Snapshot& state) {
  MemberList list;
  list.version = members_version(state);
  std::vector<std::pair<MemberRecord, Revision>> found;
  state.index.scan(kMembersPrefix, [&](const EntryPtr& entry) {
    if (!has_prefix(entry->key, kMembersPrefix)) return false;
    if (Result<MemberRecord> record = decode_member(entry->value); record.ok())
      found.emplace_back(*std::move(record), entry->mod_revision);
    return true;
  });
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first.id < b.first.id; });
  for (auto& [record, revision] : found) {
    list.records.push_back(std::move(record));
    list.revisions.push_back(revision);
  }
  return list;
}

Result<void> check_peer_address(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  const auto port = colon == std::string_view::npos ? std::nullopt : parse_uint64(address.substr(colon + 1));
  if (address.size() <= kLongestText && colon != 0 && port.has_value() && *port > 0 && *port < 65536)
    return {};
  return make_error(ErrorCode::kInvalidArgument, "a member's address must be HOST:PORT, not \"" +
                                                     std::string(address.substr(0, 100)) + "\"");
}

Result<void> check_member_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (!name.empty() && name.size() <= kLongestName && std::all_of(name.begin(), name.end(), allowed))
    return {};
  return make_error(ErrorCode::kInvalidArgument,
                    "a member's name must be 1 to 64 letters, digits, '-', '_' or '.', not \"" +
                        std::string(name.substr(0, 100)) + "\"");
}

Result<MemberChange> plan_add(const MemberList& list, const raft::Configuration& now, std::string name,
                              std::string peer_address) {
  COX_RETURN_IF_ERROR(check_member_name(name));
  COX_RETURN_IF_ERROR(check_peer_address(peer_address));
  MemberChange change;
  std::size_t members = 0;
  for (const MemberRecord& record : list.records) {
    change.record.id = std::max(change.record.id, record.id);
    if (record.role == MemberRole::kRemoved) continue;
    ++members;
    if (record.peer_address == peer_address || record.name == name) {
      return make_error(ErrorCode::kConflict, "member " + std::to_string(record.id) + " has that " +
                                                  (record.name == name ? "name" : "address") +
                                                  "; remove it first, or choose another");
    }
  }
  for (const raft::MemberId id : now.members()) change.record.id = std::max(change.record.id, id);
  if (members >= raft::kMaxMembers) return make_error(ErrorCode::kConflict, "there are too many members");
  ++change.record.id;
  change.record.role = MemberRole::kLearner;
  change.record.name = std::move(name);
  change.record.peer_address = std::move(peer_address);
  put_record(change.record, 0, &change.txn);
  move_version(list, &change.txn);
  return change;
}

Result<MemberChange> plan_promote(const MemberList& list, const raft::Configuration& now, std::uint64_t id) {
  COX_ASSIGN_OR_RETURN(const MemberRecord record, find_known(list, now, id));
  if (const auto same = no_change(record, MemberRole::kVoter)) return *same;
  if (record.role == MemberRole::kRemoved) {
    return make_error(ErrorCode::kConflict,
                      "member " + std::to_string(id) + " was removed; add it again, with an empty directory");
  }
  MemberChange change{record, {}};
  change.record.role = MemberRole::kVoter;
  put_record(change.record, revision_of(list, id), &change.txn);
  move_version(list, &change.txn);
  return change;
}

Result<MemberChange> plan_remove(const MemberList& list, const raft::Configuration& now, std::uint64_t id) {
  COX_ASSIGN_OR_RETURN(const MemberRecord record, find_known(list, now, id));
  if (const auto same = no_change(record, MemberRole::kRemoved)) return *same;
  if (record.role == MemberRole::kVoter && wanted_voters(list, now) == 1) {
    return make_error(ErrorCode::kConflict, "member " + std::to_string(id) +
                                                " is the only one with a vote; promote another one first");
  }
  MemberChange change{record, {}};
  change.record.role = MemberRole::kRemoved;
  put_record(change.record, revision_of(list, id), &change.txn);
  move_version(list, &change.txn);
  return change;
}

Result<Replacement> plan_replace(const MemberList& list, const raft::Configuration& now, std::uint64_t id) {
  COX_ASSIGN_OR_RETURN(const MemberRecord record, find_known(list, now, id));
  if (record.role == MemberRole::kRemoved) {
    for (const MemberRecord& other : list.records) {
      const bool place = other.role != MemberRole::kRemoved && other.name == record.name &&
                         other.peer_address == record.peer_address;
      if (place && other.data_id == 0) return Replacement{{other, {}}, record};
      if (place) {
        return make_error(ErrorCode::kConflict, "member " + std::to_string(id) + " was replaced by member " +
                                                    std::to_string(other.id) + "; replace that one");
      }
    }
    return make_error(ErrorCode::kConflict,
                      "member " + std::to_string(id) + " was removed; add a new one instead");
  }
  if (record.peer_address.empty()) {
    return make_error(ErrorCode::kConflict, "member " + std::to_string(id) +
                                                " has never said where it is; remove it and add another one");
  }
  COX_ASSIGN_OR_RETURN(MemberChange removal, plan_remove(list, now, id));
  MemberList without = list;
  for (MemberRecord& other : without.records)
    if (other.id == id) other.role = MemberRole::kRemoved;
  COX_ASSIGN_OR_RETURN(MemberChange addition, plan_add(without, now, record.name, record.peer_address));
  Replacement out{{std::move(addition.record), std::move(removal.txn)}, std::move(removal.record)};
  out.change.record.role = record.role;
  put_record(out.change.record, 0, &out.change.txn);
  return out;
}

Txn plan_introduce(const MemberList& list, const raft::Configuration& now, const MemberRecord& self) {
  Txn txn;
  std::optional<MemberRecord> record = known(list, now, self.id);
  if (!record.has_value() || record->role == MemberRole::kRemoved) return txn;
  if (record->data_id != 0 && record->data_id != self.data_id) return txn;  // that is another directory's
  MemberRecord wanted = self;
  wanted.role = record->role;
  if (list.find(self.id) != nullptr && *record == wanted) return txn;
  put_record(wanted, revision_of(list, self.id), &txn);
  move_version(list, &txn);
  return txn;
}

bool is_settled(const MemberRecord& record, const raft::Configuration& now) {
  if (now.joint()) return false;
  switch (record.role) {
    case MemberRole::kLearner:
      return now.contains(record.id);
    case MemberRole::kVoter:
      return now.is_voter(record.id);
    case MemberRole::kRemoved:
      return !now.contains(record.id);
  }
  return true;
}

std::optional<raft::Change> next_change(const MemberList& list, const raft::Configuration& now,
                                        const std::function<MemberProgress(raft::MemberId)>& progress) {
  if (now.joint()) return std::nullopt;
  const auto reachable = [&](const raft::Change& change) {
    const auto next = raft::plan_change(now, {change});
    if (!next.ok()) return false;
    const std::vector<raft::MemberId>& voters = next->voters;
    const auto active =
        std::count_if(voters.begin(), voters.end(), [&](raft::MemberId id) { return progress(id).active; });
    return static_cast<std::size_t>(active) * 2 > voters.size();
  };
  for (const MemberRecord& record : list.records) {
    if (is_settled(record, now)) continue;
    raft::Change change{raft::Change::Kind::kRemove, record.id};
    if (record.role == MemberRole::kLearner) change.kind = raft::Change::Kind::kAddLearner;
    if (record.role == MemberRole::kVoter) {
      // Who has no vote yet listens first.
      const bool ready = now.is_learner(record.id) && progress(record.id).caught_up;
      if (!ready && now.is_learner(record.id)) continue;
      change.kind = ready ? raft::Change::Kind::kAddVoter : raft::Change::Kind::kAddLearner;
    }
    if (reachable(change)) return change;
  }
  return std::nullopt;
}

}  // namespace coxswain::store
