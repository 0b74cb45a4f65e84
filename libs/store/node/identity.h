// Which member of which group a data directory belongs to: the file MEMBER, written once.
//
//   coxswain member 1
//   id 2
//   cluster 3f0c...
//   data 8c51...              this directory, whatever its address; what was lost does not come back as it
//   instead-of 1              the flags that start it name this one, whose data was lost; often not there
//   voter 1 10.0.0.1:2380     with whom the group began; none: this member joined it
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/store/env/env.h"
#include "libs/store/open.h"

namespace coxswain::store {

struct Identity {
  std::uint64_t member = 0;
  std::string cluster;
  std::uint64_t data_id = 0;
  std::uint64_t instead_of = 0;     // 0: nobody
  std::vector<GroupMember> voters;  // by id
};

std::string encode_identity(const Identity& identity);
Result<Identity> decode_identity(std::string_view text);  // kCorruption

// What `options` say of a directory that has none yet. kInvalidArgument: they make no sense.
Result<Identity> plan_identity(const GroupStoreOptions& options, std::uint64_t data_id);
// Whether a directory that belongs to `found` may be used so. kInvalidArgument: no, and why.
Result<void> check_identity(const Identity& found, const GroupStoreOptions& options);

// None: there is no such file.
Result<std::optional<Identity>> load_identity(Env& env, const std::string& dir);
Result<void> save_identity(Env& env, const std::string& dir, const Identity& identity);

// A cluster's id and text that stands for it.
bool is_cluster_id(std::string_view text);

}  // namespace coxswain::store
