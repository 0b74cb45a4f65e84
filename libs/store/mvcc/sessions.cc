#include "libs/store/mvcc/sessions.h"

#include "libs/common/base/wire.h"

namespace coxswain::store {

bool Sessions::admit(const Origin& origin) {
  Session& session = sessions_[origin.member];
  if (origin.incarnation < session.incarnation) return false;
  if (origin.incarnation > session.incarnation) session = {origin.incarnation, 1, {}};
  if (origin.settled > session.low) {
    session.low = origin.settled;
    session.done.erase(session.done.begin(), session.done.lower_bound(session.low));
  }
  if (origin.sequence < session.low || !session.done.insert(origin.sequence).second) return false;
  while (!session.done.empty() && *session.done.begin() == session.low) {
    session.done.erase(session.done.begin());
    ++session.low;
  }
  return true;
}

bool Sessions::applied(std::uint64_t member, std::uint64_t incarnation, std::uint64_t sequence) const {
  const auto it = sessions_.find(member);
  if (it == sessions_.end() || it->second.incarnation != incarnation) return false;
  return sequence < it->second.low || it->second.done.count(sequence) > 0;
}

std::uint64_t Sessions::incarnation(std::uint64_t member) const {
  const auto it = sessions_.find(member);
  return it == sessions_.end() ? 0 : it->second.incarnation;
}

std::string Sessions::encode() const {
  std::string out;
  put_varint(&out, sessions_.size());
  for (const auto& [member, session] : sessions_) {
    put_varint(&out, member);
    put_varint(&out, session.incarnation);
    put_varint(&out, session.low);
    put_varint(&out, session.done.size());
    for (const std::uint64_t sequence : session.done) put_varint(&out, sequence - session.low);
  }
  return out;
}

Result<Sessions> Sessions::decode(std::string_view bytes) {
  WireReader in(bytes);
  Sessions out;
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    Session& session = out.sessions_[in.varint()];
    session.incarnation = in.varint();
    session.low = in.varint();
    for (std::uint64_t k = in.varint(); k > 0 && in.ok(); --k)
      session.done.insert(session.done.end(), session.low + in.varint());
  }
  if (!in.ok() || !in.done())
    return make_error(ErrorCode::kCorruption, "the stored state is damaged: sessions");
  return out;
}

}  // namespace coxswain::store
