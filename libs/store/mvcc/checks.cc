#include "libs/store/mvcc/checks.h"

#include <algorithm>

#include "libs/common/base/wire.h"

namespace coxswain::store {
namespace {

void put_hash(std::string* out, const StateHash& hash) {
  put_big64(out, hash.high);
  put_big64(out, hash.low);
}

StateHash take_hash(WireReader* in) {
  const std::string_view bytes = in->bytes();
  if (bytes.size() != 16) in->fail();
  if (!in->ok()) return {};
  return {get_big64(bytes.substr(8)), get_big64(bytes)};
}

void put_point(std::string* out, const Checks::Point& point) {
  const auto hash = [&](const StateHash& value) {
    std::string bytes;
    put_hash(&bytes, value);
    put_bytes(out, bytes);
  };
  put_varint(out, point.index);
  put_varint(out, static_cast<std::uint64_t>(point.revision));
  put_varint(out, static_cast<std::uint64_t>(point.compacted));
  put_varint(out, point.reports.size());
  for (const auto& [member, reported] : point.reports) {
    put_varint(out, member);
    hash(reported);
  }
  put_varint(out, point.agreed.has_value() ? 1 : point.split ? 2 : 0);
  if (point.agreed.has_value()) hash(*point.agreed);
}

Checks::Point take_point(WireReader* in) {
  Checks::Point point;
  point.index = in->varint();
  point.revision = static_cast<Revision>(in->varint());
  point.compacted = static_cast<Revision>(in->varint());
  for (std::uint64_t n = in->varint(); n > 0 && in->ok(); --n) {
    const raft::MemberId member = in->varint();
    point.reports[member] = take_hash(in);
  }
  const std::uint64_t verdict = in->varint();
  if (verdict == 1) point.agreed = take_hash(in);
  point.split = verdict == 2;
  if (verdict > 2) in->fail();
  return point;
}

}  // namespace

void Checks::begin(std::uint64_t index, Revision revision, Revision compacted) {
  if (points_.size() == kKept) points_.erase(points_.begin());
  Point point;
  point.index = index;
  point.revision = revision;
  point.compacted = compacted;
  points_.push_back(std::move(point));
}

void Checks::report(std::uint64_t index, raft::MemberId member, const StateHash& hash,
                    const raft::Configuration& members) {
  for (Point& point : points_) {
    if (point.index != index || point.reports.size() >= raft::kMaxMembers) continue;
    point.reports.emplace(member, hash);
    judge(&point, members);
  }
}

// A member that gets the whole log does not know at first who the members are, and judges when it does.
void Checks::judge(Point* point, const raft::Configuration& members) {
  if (members.voters.empty()) return;
  const auto vote_for = [&](const std::optional<StateHash>& hash) {
    return raft::count_votes(members, [&](raft::MemberId id) -> std::optional<bool> {
      const auto it = point->reports.find(id);
      if (it == point->reports.end()) return std::nullopt;
      return it->second == hash;
    });
  };
  if (!point->agreed.has_value()) {
    point->split = vote_for(std::nullopt) == raft::Vote::kLost;  // nor what nobody has said yet
    for (const auto& [member, hash] : point->reports) {
      const raft::Vote vote = vote_for(hash);
      if (vote == raft::Vote::kWon) point->agreed = hash;
      if (vote != raft::Vote::kLost) point->split = false;
    }
  }
  if (!point->agreed.has_value()) return;
  for (const auto& [member, hash] : point->reports)
    if (hash != *point->agreed && members.contains(member)) marked_.emplace(member, point->index);
}

bool Checks::Point::disputed() const {
  return !agreed.has_value() && std::any_of(reports.begin(), reports.end(), [&](const auto& report) {
    return report.second != reports.begin()->second;
  });
}

void Checks::members_changed(const raft::Configuration& members) {
  std::erase_if(marked_, [&](const auto& item) { return !members.contains(item.first); });
  for (Point& point : points_) judge(&point, members);
}

const Checks::Point* Checks::find(std::uint64_t index) const {
  for (const Point& point : points_)
    if (point.index == index) return &point;
  return nullptr;
}

std::string difference_text(raft::MemberId member, std::uint64_t index) {
  return "the state of member " + std::to_string(member) + " differs from the others' as of entry " +
         std::to_string(index) +
         ": replace it (coxctl store member replace); check that machine's "
         "memory and disk";
}

std::string Checks::alarm() const {
  if (!marked_.empty()) return difference_text(marked_.begin()->first, marked_.begin()->second);
  for (auto point = points_.rbegin(); point != points_.rend() && !point->agreed.has_value(); ++point) {
    // Of the last one some may still have to speak.
    if (!point->disputed() || (point == points_.rbegin() && !point->split)) continue;
    return "members have different states as of entry " + std::to_string(point->index) +
           ", and no majority says which is right: compare them with a backup (coxctl store snapshot), then "
           "remove who is wrong";
  }
  return "";
}

std::string Checks::encode() const {
  std::string out;
  put_varint(&out, points_.size());
  for (const Point& point : points_) put_point(&out, point);
  put_varint(&out, marked_.size());
  for (const auto& [member, index] : marked_) {
    put_varint(&out, member);
    put_varint(&out, index);
  }
  return out;
}

Result<Checks> Checks::decode(std::string_view bytes) {
  WireReader in(bytes);
  Checks out;
  std::uint64_t count = in.varint();
  if (count > kKept) in.fail();
  for (; count > 0 && in.ok(); --count) out.points_.push_back(take_point(&in));
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    const raft::MemberId member = in.varint();
    out.marked_[member] = in.varint();
  }
  if (!in.ok() || !in.done())
    return make_error(ErrorCode::kCorruption, "the stored state is damaged: checks");
  return out;
}

}  // namespace coxswain::store
