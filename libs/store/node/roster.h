// Who the members are, as far as this process knows: shared by the node, which learns it from the state, and
// the connections, which must know whom to let in. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "libs/store/admin.h"

namespace coxswain::store {

class Roster {
 public:
  explicit Roster(std::vector<MemberRecord> records) : records_(std::move(records)) {}

  // Those of the state; members of before that have no record yet stay.
  void update(const std::vector<MemberRecord>& records);
  std::vector<MemberRecord> records() const;  // by id

  // Whether who proved to be member `id` may speak, with the data directory that it says it has.
  Result<void> admit(std::uint64_t id, std::uint64_t data_id) const;

  // Why another member did not want to hear this one, for whoever asks why nothing goes on; empty: none did.
  void set_refusal(const std::string& why);
  std::string refusal() const;

 private:
  mutable std::mutex mutex_;
  std::vector<MemberRecord> records_;  // guarded by mutex_
  std::string refusal_;                // guarded by mutex_
};

}  // namespace coxswain::store
