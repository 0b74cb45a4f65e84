#include "libs/store/node/roster.h"

#include <algorithm>

namespace coxswain::store {

void Roster::update(const std::vector<MemberRecord>& records) {
  const std::lock_guard lock(mutex_);
  for (const MemberRecord& record : records) {
    const auto at = std::lower_bound(records_.begin(), records_.end(), record.id,
                                     [](const MemberRecord& a, std::uint64_t id) { return a.id < id; });
    if (at != records_.end() && at->id == record.id)
      *at = record;
    else
      records_.insert(at, record);
  }
}

std::vector<MemberRecord> Roster::records() const {
  const std::lock_guard lock(mutex_);
  return records_;
}

Result<void> Roster::admit(std::uint64_t id, std::uint64_t data_id) const {
  const std::lock_guard lock(mutex_);
  const auto at =
      std::find_if(records_.begin(), records_.end(), [id](const MemberRecord& r) { return r.id == id; });
  if (at == records_.end()) return {};  // one that the others added, and that this one has not heard of yet
  const std::string name = "member " + std::to_string(id);
  if (at->role == MemberRole::kRemoved) {
    return make_error(ErrorCode::kPermissionDenied,
                      name +
                          " was removed from this cluster: add it as a new member (coxctl store member add), "
                          "with an empty data directory");
  }
  if (at->data_id == 0 || at->data_id == data_id) return {};
  return make_error(
      ErrorCode::kPermissionDenied,
      name +
          " had another data directory; what that one knew must not be forgotten: start it with "
          "that one, or remove the member and add it as a new one");
}

void Roster::set_refusal(const std::string& why) {
  const std::lock_guard lock(mutex_);
  refusal_ = why;
}

std::string Roster::refusal() const {
  const std::lock_guard lock(mutex_);
  return refusal_;
}

}  // namespace coxswain::store
