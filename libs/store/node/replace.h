// The data directory of a member that takes the place of another one, whose data is lost or damaged: it knows
// who it is, has nothing yet, and is started with the flags of the one before.
#pragma once

#include <cstdint>
#include <string>

#include "libs/store/env/env.h"

namespace coxswain::store {

struct ReplacedMember {
  std::string dir;        // the store's, DATA_DIR/store; its parent exists
  std::string cluster;    // the group's id
  std::uint64_t old = 0;  // whose data is given up
};

// Whether `dir` may be given up: it is that member's, or nobody's, and no process uses it. The lock is held
// for as long as the caller keeps it. Errors: kUnavailable (in use), kInvalidArgument (somebody else's).
Result<std::unique_ptr<FileLock>> lock_replaced(Env& env, const ReplacedMember& member);

// Puts what is there aside, for whoever wants to look what happened, and an empty directory of member `fresh`
// in its place. A crash in between leaves something that this can be called for again. Returns where the old
// data is now; empty: there was none.
Result<std::string> replace_directory(Env& env, const ReplacedMember& member, std::uint64_t fresh);

}  // namespace coxswain::store
