// What a data directory looks like, and how an older one becomes one of today:
//
//   FORMAT   "coxswain store N"; the first file that is made and the first that is read
//   raft/    the log (log/raft_log.h); of format 1: log/, entries without terms
//   state/   RocksDB
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "libs/store/engine/engine.h"
#include "libs/store/env/env.h"

namespace coxswain::store {

inline constexpr std::int64_t kFormat = 3;

// Where the log is.
std::string log_dir(const std::string& dir);

// The format that the directory has; a new one is marked as of today's. kInvalidArgument: of a newer release;
// kCorruption: not to be told. What it does not know, it does not touch.
Result<std::int64_t> check_format(Env& env, const std::string& dir);

// The log's directory, made and of today's format. A crash anywhere in between starts again or goes on.
Result<void> prepare_log(Env& env, const std::string& dir, std::int64_t format, std::size_t log_segment_bytes,
                         const std::shared_ptr<Engine>& engine);

}  // namespace coxswain::store
