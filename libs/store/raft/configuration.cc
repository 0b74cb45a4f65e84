#include "libs/store/raft/configuration.h"

#include <algorithm>
#include <limits>

#include "libs/common/base/wire.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store::raft {
namespace {

using Members = std::vector<MemberId>;

bool has(const Members& members, MemberId id) {
  return std::binary_search(members.begin(), members.end(), id);
}

void add(Members* members, MemberId id) {
  const auto at = std::lower_bound(members->begin(), members->end(), id);
  if (at == members->end() || *at != id) members->insert(at, id);
}

void drop(Members* members, MemberId id) {
  members->erase(std::remove(members->begin(), members->end(), id), members->end());
}

Vote count_half(const Members& voters, const std::function<std::optional<bool>(MemberId)>& vote) {
  std::size_t yes = 0;
  std::size_t no = 0;
  for (const MemberId id : voters) {
    const std::optional<bool> answer = vote(id);
    if (!answer.has_value()) continue;
    ++(*answer ? yes : no);
  }
  const std::size_t quorum = voters.size() / 2 + 1;
  if (yes >= quorum) return Vote::kWon;
  return no > voters.size() - quorum ? Vote::kLost : Vote::kPending;
}

std::uint64_t half_value(const Members& voters, const std::function<std::uint64_t(MemberId)>& value) {
  std::vector<std::uint64_t> values;
  values.reserve(voters.size());
  for (const MemberId id : voters) values.push_back(value(id));
  std::sort(values.begin(), values.end(), std::greater<>());
  return values[voters.size() / 2];
}

void apply(const Change& change, const Configuration& now, Configuration* next) {
  drop(&next->voters, change.id);
  drop(&next->learners, change.id);
  if (change.kind == Change::Kind::kAddVoter) add(&next->voters, change.id);
  if (change.kind == Change::Kind::kAddLearner)
    add(now.is_voter(change.id) ? &next->learners_next : &next->learners, change.id);
}

std::size_t moved_votes(const Members& before, const Members& after) {
  Members moved;
  std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(),
                                std::back_inserter(moved));
  return moved.size();
}

}  // namespace

bool Configuration::is_voter(MemberId id) const { return has(voters, id) || has(outgoing, id); }

bool Configuration::is_learner(MemberId id) const { return has(learners, id); }

std::vector<MemberId> Configuration::members() const {
  Members all;
  for (const Members* list : {&voters, &outgoing, &learners, &learners_next})
    for (const MemberId id : *list) add(&all, id);
  return all;
}

Result<Configuration> plan_change(const Configuration& now, const std::vector<Change>& changes) {
  if (now.joint()) return make_error(ErrorCode::kConflict, "a membership change is under way; retry later");
  Configuration next = now;
  Members seen;
  for (const Change& change : changes) {
    if (change.id == kNobody) return make_error(ErrorCode::kInvalidArgument, "member id 0 is not allowed");
    if (has(seen, change.id))
      return make_error(ErrorCode::kInvalidArgument,
                        "member " + std::to_string(change.id) + " is named twice in one change");
    add(&seen, change.id);
    apply(change, now, &next);
  }
  if (next == now) return make_error(ErrorCode::kInvalidArgument, "the change changes nothing");
  if (next.voters.empty()) return make_error(ErrorCode::kInvalidArgument, "no voter would be left");
  if (next.members().size() > kMaxMembers)
    return make_error(ErrorCode::kInvalidArgument,
                      "more than " + std::to_string(kMaxMembers) + " members are not supported");
  if (moved_votes(now.voters, next.voters) > 1) {
    next.outgoing = now.voters;
    return next;
  }
  return leave_joint(next);
}

Configuration leave_joint(const Configuration& joint) {
  Configuration final = joint;
  for (const MemberId id : joint.learners_next) add(&final.learners, id);
  final.learners_next.clear();
  final.outgoing.clear();
  return final;
}

std::string encode_configuration(const Configuration& configuration) {
  std::string out;
  for (const Members* list : {&configuration.voters, &configuration.outgoing, &configuration.learners,
                              &configuration.learners_next}) {
    put_varint(&out, list->size());
    for (const MemberId id : *list) put_varint(&out, id);
  }
  return out;
}

Result<Configuration> decode_configuration(std::string_view bytes) {
  Configuration out;
  WireReader reader(bytes);
  for (Members* list : {&out.voters, &out.outgoing, &out.learners, &out.learners_next}) {
    const std::uint64_t size = reader.varint();
    if (size > kMaxMembers) reader.fail();
    for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
      const MemberId id = reader.varint();
      if (id == kNobody || (!list->empty() && id <= list->back())) reader.fail();
      list->push_back(id);
    }
  }
  if (!reader.ok() || !reader.done()) return make_error(ErrorCode::kCorruption, "not a member list");
  return out;
}

Vote count_votes(const Configuration& configuration,
                 const std::function<std::optional<bool>(MemberId)>& vote) {
  const Vote incoming = count_half(configuration.voters, vote);
  if (!configuration.joint() || planted(Mutant::kJointNeedsOnlyIncoming)) return incoming;
  const Vote outgoing = count_half(configuration.outgoing, vote);
  if (incoming == outgoing) return incoming;
  return incoming == Vote::kLost || outgoing == Vote::kLost ? Vote::kLost : Vote::kPending;
}

std::uint64_t quorum_value(const Configuration& configuration,
                           const std::function<std::uint64_t(MemberId)>& value) {
  if (configuration.voters.empty()) return 0;
  const std::uint64_t incoming = half_value(configuration.voters, value);
  if (!configuration.joint() || planted(Mutant::kJointNeedsOnlyIncoming)) return incoming;
  return std::min(incoming, half_value(configuration.outgoing, value));
}

}  // namespace coxswain::store::raft
