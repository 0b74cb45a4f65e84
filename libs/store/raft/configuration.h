// Who votes, who only listens, and what a quorum is, joint configurations included (§4.3).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::store::raft {

using MemberId = std::uint64_t;
inline constexpr MemberId kNobody = 0;
inline constexpr std::size_t kMaxMembers = 64;

// All lists are sorted and without duplicates.
struct Configuration {
  std::vector<MemberId> voters;
  std::vector<MemberId> outgoing;       // while joint: the voters of before; both majorities must agree
  std::vector<MemberId> learners;       // get entries, have no vote
  std::vector<MemberId> learners_next;  // still in `outgoing`; learners as soon as it is left

  bool operator==(const Configuration&) const = default;
  bool joint() const { return !outgoing.empty(); }
  bool is_voter(MemberId id) const;  // in either half
  bool is_learner(MemberId id) const;
  bool contains(MemberId id) const { return is_voter(id) || is_learner(id); }
  std::vector<MemberId> members() const;  // everybody, sorted
};

struct Change {
  enum class Kind : std::uint8_t { kAddVoter, kAddLearner, kRemove };
  Kind kind = Kind::kAddVoter;  // kAddVoter promotes a learner, kAddLearner demotes a voter
  MemberId id = kNobody;
};

// The configuration to go to first: joint as soon as more than one vote moves, else the final one.
// kInvalidArgument: nothing would be left to vote, a member twice, too many, no change. kConflict: joint
// already.
Result<Configuration> plan_change(const Configuration& now, const std::vector<Change>& changes);
Configuration leave_joint(const Configuration& joint);

std::string encode_configuration(const Configuration& configuration);
// Bounded; kCorruption when it is not one.
Result<Configuration> decode_configuration(std::string_view bytes);

enum class Vote { kWon, kLost, kPending };
// `vote`: what a member answered, if it did.
Vote count_votes(const Configuration& configuration,
                 const std::function<std::optional<bool>(MemberId)>& vote);
// The greatest value that a quorum has reached.
std::uint64_t quorum_value(const Configuration& configuration,
                           const std::function<std::uint64_t(MemberId)>& value);

}  // namespace coxswain::store::raft
