#include "libs/store/open.h"

#include <malloc.h>

#include "libs/store/node/format.h"
#include "libs/store/node/node.h"

namespace coxswain::store {
namespace {

MemberOptions alone(const StoreLimits& limits, Clock* clock) {
  MemberOptions options;
  options.raft.id = 1;
  options.raft.seed = 1;
  options.initial.voters = {1};
  options.limits = limits;
  options.clock = clock != nullptr ? clock : &system_clock();
  return options;
}

}  // namespace

Result<std::unique_ptr<Store>> open_memory_store(MemoryStoreOptions options) {
  NodeOptions node;
  node.member = alone(options.limits, options.clock);
  node.member.engine = open_memory_engine();
  return open_node(std::move(node));
}

Result<std::unique_ptr<Store>> open_local_store(LocalStoreOptions options) {
  Env& env = options.env != nullptr ? *options.env : posix_env();
  NodeOptions node;
  node.member = alone(options.limits, options.clock);
  node.member.env = &env;
  node.member.log_dir = log_dir(options.dir);
  node.member.log_segment_bytes = options.log_segment_bytes;
  node.member.checkpoint_log_bytes = options.checkpoint_log_bytes;
  COX_RETURN_IF_ERROR(env.make_dir(options.dir));
  const std::size_t slash = options.dir.find_last_not_of('/') == std::string::npos
                                ? std::string::npos
                                : options.dir.rfind('/', options.dir.find_last_not_of('/'));
  COX_RETURN_IF_ERROR(env.sync_dir(slash == std::string::npos ? "." : options.dir.substr(0, slash + 1)));
  COX_ASSIGN_OR_RETURN(node.lock, env.lock(options.dir + "/LOCK"));
  COX_ASSIGN_OR_RETURN(const std::int64_t format, check_format(env, options.dir));
  auto engine = open_rocksdb_engine(options.dir + "/state");
  if (!engine.ok()) {
    Error error = std::move(engine).error();
    if (error.code == ErrorCode::kCorruption)
      error.message += "; move " + options.dir + " away and restore a backup";
    return error;
  }
  COX_RETURN_IF_ERROR(env.sync_dir(options.dir));
  node.member.engine = std::move(engine).value();
  COX_RETURN_IF_ERROR(prepare_log(env, options.dir, format, options.log_segment_bytes, node.member.engine));
  auto store = open_node(std::move(node));
  ::malloc_trim(0);  // recovery reads whole log segments: 16 MiB that nobody needs again
  return store;
}

}  // namespace coxswain::store
