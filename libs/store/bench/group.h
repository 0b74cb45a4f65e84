// Three members in this process, on real connections over loopback, each with a directory and a certificate.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "libs/store/open.h"

namespace coxswain::store::bench {

class Group {
 public:
  explicit Group(const std::string& dir);  // made by it; waits until somebody leads
  ~Group();
  Store& leader() { return *stores_.at(leader_); }
  Store& follower() { return *stores_.at(leader_ % 3 + 1); }
  bool same_leader() const;  // all the time since the start

 private:
  GroupStoreOptions options(std::uint64_t id) const;
  std::uint64_t find_leader() const;

  const std::string dir_;
  std::map<std::uint64_t, std::string> addresses_;
  std::map<std::uint64_t, std::unique_ptr<Store>> stores_;
  std::uint64_t leader_ = 0;
  std::uint64_t term_ = 0;
};

}  // namespace coxswain::store::bench
