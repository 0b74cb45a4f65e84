#include "libs/store/open.h"

#include <malloc.h>

#include "libs/common/base/strings.h"
#include "libs/store/node/node.h"

namespace coxswain::store {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::string_view kFormatPrefix = "coxswain store ";

Result<void> write_format(Env& env, const std::string& dir) {
  const std::string temporary = dir + "/FORMAT.new";
  COX_ASSIGN_OR_RETURN(std::unique_ptr<File> file, env.open(temporary, true));
  COX_RETURN_IF_ERROR(file->truncate(0));
  COX_RETURN_IF_ERROR(file->write_at(0, std::string(kFormatPrefix) + std::to_string(kFormat) + "\n"));
  COX_RETURN_IF_ERROR(file->sync());
  COX_RETURN_IF_ERROR(env.rename(temporary, dir + "/FORMAT"));
  return env.sync_dir(dir);
}

// The first file that is made and the first that is read: what it does not know, it does not touch.
Result<void> check_format(Env& env, const std::string& dir) {
  auto file = env.open(dir + "/FORMAT", false);
  if (!file.ok()) {
    if (file.error().code != ErrorCode::kNotFound) return std::move(file).error();
    COX_ASSIGN_OR_RETURN(const std::vector<std::string> names, env.list(dir));
    for (const std::string& name : names) {
      if (name == "log" || name == "state") {
        return make_error(ErrorCode::kCorruption,
                          dir + " has data but no FORMAT file; restore it from a backup");
      }
    }
    return write_format(env, dir);
  }
  COX_ASSIGN_OR_RETURN(const std::string text, (*file)->read_at(0, 64));
  const bool ours = text.compare(0, kFormatPrefix.size(), kFormatPrefix) == 0;
  const auto number =
      ours ? parse_int64(trim(std::string_view(text).substr(kFormatPrefix.size()))) : std::nullopt;
  if (!number.has_value())
    return make_error(ErrorCode::kCorruption, dir + "/FORMAT cannot be read; restore it from a backup");
  if (*number > kFormat) {
    return make_error(ErrorCode::kInvalidArgument, dir + " was written by a newer release (format " +
                                                       std::to_string(*number) + ", this one knows " +
                                                       std::to_string(kFormat) + "); run that release");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_memory_store(MemoryStoreOptions options) {
  NodeOptions node;
  node.limits = options.limits;
  node.clock = options.clock != nullptr ? options.clock : &system_clock();
  node.engine = open_memory_engine();
  return open_node(std::move(node));
}

Result<std::unique_ptr<Store>> open_local_store(LocalStoreOptions options) {
  Env& env = options.env != nullptr ? *options.env : posix_env();
  NodeOptions node;
  node.limits = options.limits;
  node.clock = options.clock != nullptr ? options.clock : &system_clock();
  node.env = &env;
  node.log_dir = options.dir + "/log";
  node.log_segment_bytes = options.log_segment_bytes;
  node.checkpoint_log_bytes = options.checkpoint_log_bytes;
  COX_RETURN_IF_ERROR(env.make_dir(options.dir));
  const std::size_t slash = options.dir.find_last_not_of('/') == std::string::npos
                                ? std::string::npos
                                : options.dir.rfind('/', options.dir.find_last_not_of('/'));
  COX_RETURN_IF_ERROR(env.sync_dir(slash == std::string::npos ? "." : options.dir.substr(0, slash + 1)));
  COX_ASSIGN_OR_RETURN(node.lock, env.lock(options.dir + "/LOCK"));
  COX_RETURN_IF_ERROR(check_format(env, options.dir));
  COX_RETURN_IF_ERROR(env.make_dir(node.log_dir));
  COX_RETURN_IF_ERROR(env.sync_dir(options.dir));
  auto engine = open_rocksdb_engine(options.dir + "/state");
  if (!engine.ok()) {
    Error error = std::move(engine).error();
    if (error.code == ErrorCode::kCorruption)
      error.message += "; move " + options.dir + " away and restore a backup";
    return error;
  }
  COX_RETURN_IF_ERROR(env.sync_dir(options.dir));
  node.engine = std::move(engine).value();
  auto store = open_node(std::move(node));
  ::malloc_trim(0);  // recovery reads whole log segments: 16 MiB that nobody needs again
  return store;
}

}  // namespace coxswain::store
