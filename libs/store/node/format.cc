#include "libs/store/node/format.h"

#include "libs/common/base/strings.h"
#include "libs/store/log/raft_log.h"
#include "libs/store/mvcc/history.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kUpgradeBytes = 4u << 20;  // of one group
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

std::string old_log_dir(const std::string& dir) { return dir + "/log"; }

Result<void> remove_files(Env& env, const std::string& dir) {
  const auto names = env.list(dir);
  if (!names.ok())
    return names.error().code == ErrorCode::kNotFound ? Result<void>() : Result<void>(names.error());
  for (const std::string& name : *names) COX_RETURN_IF_ERROR(env.remove(dir + "/" + name));
  return names->empty() ? Result<void>() : env.sync_dir(dir);
}

// Format 1 had a log without terms. Its entries become those of term 1, in a log beside it; FORMAT says which
// of the two counts, so that a crash anywhere starts again or goes on.
Result<void> upgrade_log(Env& env, const std::string& root, std::size_t segment_bytes,
                         const std::shared_ptr<Engine>& engine) {
  COX_ASSIGN_OR_RETURN(const Applied applied, History(engine).applied());
  const std::string dir = log_dir(root);
  COX_ASSIGN_OR_RETURN(const std::vector<std::string> before, env.list(old_log_dir(root)));
  COX_ASSIGN_OR_RETURN(const std::vector<std::string> after, env.list(dir));
  if (before.empty() && (applied.index > 0 || !after.empty())) {
    return make_error(ErrorCode::kCorruption,
                      root +
                          "/FORMAT says 1, but there is no log of that format; nothing "
                          "was changed. Restore a backup, FORMAT with the rest");
  }
  COX_RETURN_IF_ERROR(remove_files(env, dir));  // of an attempt before this one
  auto log = RaftLog::open({&env, dir, segment_bytes, 0},
                           {applied.index, applied.term, raft::HardState{1, 0, applied.index}});
  if (!log.ok()) return std::move(log).error();
  std::vector<raft::Entry> group;
  std::size_t bytes = 0;
  const auto write_group = [&]() -> Result<void> {
    COX_RETURN_IF_ERROR((*log)->reserve(RaftLog::bytes_for(group.size(), bytes)));
    COX_RETURN_IF_ERROR((*log)->append(std::nullopt, group));
    (*log)->forget(group.back().index);
    group.clear();
    bytes = 0;
    return (*log)->sync();
  };
  auto old = Wal::open(
      env, {old_log_dir(root), segment_bytes, applied.index == 0},
      [&](std::uint64_t index, std::string_view payload) -> Result<void> {
        if (index <= applied.index) return {};
        if (index != (*log)->last_index() + group.size() + 1)
          return make_error(ErrorCode::kCorruption, root + ": entries of the log are missing");
        group.push_back({1, index, raft::EntryKind::kData, std::make_shared<const std::string>(payload)});
        bytes += payload.size();
        return bytes < kUpgradeBytes ? Result<void>() : write_group();
      });
  if (!old.ok()) return std::move(old).error();
  if ((*old)->last_number() < applied.index)
    return make_error(ErrorCode::kCorruption, root + ": entries of the log are missing");
  if (!group.empty()) COX_RETURN_IF_ERROR(write_group());
  return write_format(env, root);
}

}  // namespace

std::string log_dir(const std::string& dir) { return dir + "/raft"; }

Result<std::int64_t> check_format(Env& env, const std::string& dir) {
  auto file = env.open(dir + "/FORMAT", false);
  if (!file.ok()) {
    if (file.error().code != ErrorCode::kNotFound) return std::move(file).error();
    COX_ASSIGN_OR_RETURN(const std::vector<std::string> names, env.list(dir));
    for (const std::string& name : names) {
      if (name == "log" || name == "raft" || name == "state") {
        return make_error(ErrorCode::kCorruption,
                          dir + " has data but no FORMAT file; restore it from a backup");
      }
    }
    COX_RETURN_IF_ERROR(write_format(env, dir));
    return kFormat;
  }
  COX_ASSIGN_OR_RETURN(const std::string text, (*file)->read_at(0, 64));
  const bool ours = text.compare(0, kFormatPrefix.size(), kFormatPrefix) == 0;
  const auto number =
      ours ? parse_int64(trim(std::string_view(text).substr(kFormatPrefix.size()))) : std::nullopt;
  if (!number.has_value() || *number < 1)
    return make_error(ErrorCode::kCorruption, dir + "/FORMAT cannot be read; restore it from a backup");
  if (*number > kFormat) {
    return make_error(ErrorCode::kInvalidArgument, dir + " was written by a newer release (format " +
                                                       std::to_string(*number) + ", this one knows " +
                                                       std::to_string(kFormat) + "); run that release");
  }
  return *number;
}

Result<void> prepare_log(Env& env, const std::string& dir, std::int64_t format, std::size_t log_segment_bytes,
                         const std::shared_ptr<Engine>& engine) {
  COX_RETURN_IF_ERROR(env.make_dir(log_dir(dir)));
  COX_RETURN_IF_ERROR(env.sync_dir(dir));
  if (format == 1) {
    COX_RETURN_IF_ERROR(env.make_dir(old_log_dir(dir)));  // a crash may have come before it was made
    COX_RETURN_IF_ERROR(upgrade_log(env, dir, log_segment_bytes, engine));
  } else if (format < kFormat) {
    COX_RETURN_IF_ERROR(
        write_format(env, dir));  // the same, but for commands that older releases do not know
  }
  return remove_files(env, old_log_dir(dir));  // what an upgrade left behind
}

}  // namespace coxswain::store
