// What the members say about their states, side by side: a part of the replicated state, so that all of them
// come to the same verdict. A check is an entry of the log; every member hashes the state that it has right
// after that entry, and reports it in an entry of its own. What a quorum agrees on is right; who differs is
// marked until it is no member any more. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"
#include "libs/store/mvcc/state_hash.h"
#include "libs/store/raft/configuration.h"

namespace coxswain::store {

class Checks {
 public:
  static constexpr std::size_t kKept = 4;  // members that are behind report late

  struct Point {
    std::uint64_t index = 0;  // of the check's entry
    Revision revision = 0;
    Revision compacted = 0;
    std::map<raft::MemberId, StateHash> reports;
    std::optional<StateHash> agreed;  // by a quorum
    bool split = false;               // no quorum will agree, whatever the others say
    bool operator==(const Point&) const = default;

    bool disputed() const;  // members differ, and nobody has won
  };

  void begin(std::uint64_t index, Revision revision, Revision compacted);
  // Of a point that is not kept any more: nothing. The first word of a member counts.
  void report(std::uint64_t index, raft::MemberId member, const StateHash& hash,
              const raft::Configuration& members);
  // Other members: whoever is none any more is forgotten.
  void members_changed(const raft::Configuration& members);

  const std::vector<Point>& points() const { return points_; }  // oldest first
  const Point* find(std::uint64_t index) const;
  // Who differs from the others, and the check that showed it.
  const std::map<raft::MemberId, std::uint64_t>& marked() const { return marked_; }
  // For the operator, with what to do; empty: nothing is known to be wrong.
  std::string alarm() const;

  bool empty() const { return points_.empty() && marked_.empty(); }
  std::string encode() const;
  static Result<Checks> decode(std::string_view bytes);  // kCorruption
  bool operator==(const Checks&) const = default;

 private:
  void judge(Point* point, const raft::Configuration& members);

  std::vector<Point> points_;
  std::map<raft::MemberId, std::uint64_t> marked_;
};

// What a member that differs says of itself.
std::string difference_text(raft::MemberId member, std::uint64_t index);

}  // namespace coxswain::store
