#include "libs/store/backup/restore.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>

#include "libs/common/base/clock.h"
#include "libs/store/engine/engine.h"
#include "libs/store/log/raft_log.h"
#include "libs/store/mvcc/history.h"
#include "libs/store/mvcc/index.h"
#include "libs/store/node/format.h"
#include "libs/store/node/identity.h"

namespace coxswain::store {
namespace {

constexpr std::string_view kOwnPrefix = "coxswain/";  // the store's own keys: members of the old group
constexpr std::size_t kBatchBytes = 1u << 20;
// The log begins behind an entry that only a restored directory has: whoever lacks this state gets a copy of
// it, never just the entries that follow.
constexpr raft::Index kFirstIndex = 1;
constexpr raft::Term kFirstTerm = 1;

std::string parent_of(const std::string& dir) {
  const std::string parent = std::filesystem::path(dir).parent_path().string();
  return parent.empty() ? "." : parent;
}

Result<void> remove_tree(const std::string& path) {
  std::error_code failed;
  std::filesystem::remove_all(path, failed);
  if (failed) return make_error(ErrorCode::kIo, path + " cannot be removed: " + failed.message());
  return {};
}

// Who the directory will be of; none: nobody's but its own. Another restore of the same file is another
// group.
Result<std::optional<Identity>> plan_new_identity(const RestoreOptions& options) {
  if (options.bump_revision <= 0)
    return make_error(ErrorCode::kInvalidArgument, "the revision must rise: bump it by 1 or more");
  if (options.members.empty()) {
    if (options.member_id == 1 && options.cluster_id.empty()) return std::optional<Identity>();
    return make_error(ErrorCode::kInvalidArgument,
                      "a member of a group needs the list of all its members: --initial-cluster");
  }
  if (options.members.size() > 1 && options.cluster_id.empty()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "all members of the new group need the same new cluster id: give each of them "
                      "--cluster-id " +
                          make_uuid(system_random()) + ", for example");
  }
  GroupStoreOptions group;
  group.member_id = options.member_id;
  group.members = options.members;
  group.cluster_id = options.cluster_id.empty() ? make_uuid(system_random()) : options.cluster_id;
  COX_ASSIGN_OR_RETURN(Identity identity, plan_identity(group, system_random().next() | 1));
  return std::optional<Identity>(std::move(identity));
}

bool is_of_a_store(const std::string& name) {
  constexpr std::string_view kNames[] = {"LOCK", "FORMAT", "FORMAT.new", "MEMBER",     "MEMBER.new",
                                         "raft", "state",  "state.copy", "state.adopt"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// Nothing that could be anybody's data is ever replaced.
Result<void> check_free(Env& env, const std::string& dir) {
  const auto names = env.list(dir);
  if (!names.ok())
    return names.error().code == ErrorCode::kNotFound ? Result<void>() : Result<void>(names.error());
  if (names->empty()) return {};
  return make_error(
      ErrorCode::kAlreadyExists,
      dir + " has a store already; restore into another directory, or move this one away first");
}

}  // namespace

struct Restore::Work {
  explicit Work(RestoreOptions o)
      : options(std::move(o)),
        env(options.env != nullptr ? *options.env : posix_env()),
        dir(options.dir + ".restoring"),
        decoder({[this](const SnapshotHeader& header) { return begin(header); },
                 [this](const EntryPtr& entry) { return take(*entry); }}) {}

  Result<void> prepare();
  Result<void> begin(const SnapshotHeader& header);
  Result<void> take(const Entry& entry);
  Result<void> write();
  Result<void> seal();
  void discard();

  const RestoreOptions options;
  Env& env;
  const std::string dir;  // in the making
  std::optional<Identity> identity;
  SnapshotDecoder decoder;
  std::unique_ptr<FileLock> lock;
  std::shared_ptr<Engine> engine;
  StateHash content;
  EngineBatch batch;
  std::size_t batch_bytes = 0;
  Revision revision = 0;
  std::uint64_t dropped = 0;
  bool ours = false;  // `dir` is
};

// What an earlier attempt left is taken away, unless that one still runs.
Result<void> Restore::Work::prepare() {
  COX_ASSIGN_OR_RETURN(identity, plan_new_identity(options));
  COX_RETURN_IF_ERROR(check_free(env, options.dir));
  COX_RETURN_IF_ERROR(env.make_dir(dir));
  const std::string lock_path = dir + "/LOCK";
  auto locked = env.lock(lock_path);
  if (!locked.ok()) {
    if (locked.error().code != ErrorCode::kUnavailable) return std::move(locked).error();
    return make_error(ErrorCode::kUnavailable,
                      "another restore into " + options.dir + " is running; wait for it");
  }
  lock = *std::move(locked);
  COX_ASSIGN_OR_RETURN(const std::vector<std::string> left, env.list(dir));
  for (const std::string& name : left) {
    if (is_of_a_store(name)) continue;
    return make_error(ErrorCode::kAlreadyExists,
                      dir + " has " + name + ", which no restore made; move it away first");
  }
  ours = true;
  for (const std::string& name : left)
    if (name != "LOCK") COX_RETURN_IF_ERROR(remove_tree(dir + "/" + name));
  return {};
}

Result<void> Restore::Work::begin(const SnapshotHeader& header) {
  if (header.revision > std::numeric_limits<Revision>::max() - options.bump_revision)
    return make_error(ErrorCode::kInvalidArgument, "the revision cannot be bumped by so much");
  revision = header.revision + options.bump_revision;
  COX_RETURN_IF_ERROR(check_format(env, dir));
  COX_ASSIGN_OR_RETURN(engine, open_rocksdb_engine(dir + "/state"));
  return {};
}

Result<void> Restore::Work::take(const Entry& entry) {
  if (has_prefix(entry.key, kOwnPrefix)) {
    ++dropped;
    return {};
  }
  content += hash_entry(entry);
  batch_bytes += entry.key.size() + entry.value.size();
  batch.push_back(History::version_row(entry));
  return batch_bytes < kBatchBytes ? Result<void>() : write();
}

Result<void> Restore::Work::write() {
  COX_RETURN_IF_ERROR(engine->write(batch));
  batch.clear();
  batch_bytes = 0;
  return {};
}

// The state's last rows, and a log that begins behind them. All of it durable, then the name.
Result<void> Restore::Work::seal() {
  Applied applied;
  applied.index = kFirstIndex;
  applied.term = kFirstTerm;
  if (!identity.has_value())
    applied.configuration.voters = {1};
  else
    for (const GroupMember& voter : identity->voters) applied.configuration.voters.push_back(voter.id);
  applied.revision = applied.compacted = applied.swept = revision;
  applied.content = content;
  History::record_applied(applied, &batch);
  COX_RETURN_IF_ERROR(write());
  COX_RETURN_IF_ERROR(engine->flush());
  engine.reset();
  COX_RETURN_IF_ERROR(env.make_dir(log_dir(dir)));
  const raft::HardState state{kFirstTerm, raft::kNobody, kFirstIndex};
  auto log = RaftLog::open({&env, log_dir(dir)}, {kFirstIndex, kFirstTerm, state});
  if (!log.ok()) return std::move(log).error();
  log->reset();
  COX_RETURN_IF_ERROR(env.sync_dir(log_dir(dir)));
  if (identity.has_value()) COX_RETURN_IF_ERROR(save_identity(env, dir, *identity));
  COX_RETURN_IF_ERROR(env.sync_dir(dir));
  COX_RETURN_IF_ERROR(
      check_free(env, options.dir));  // as far as one can tell: rename() refuses a full one, too
  COX_RETURN_IF_ERROR(env.rename(dir, options.dir));
  ours = false;
  return env.sync_dir(parent_of(options.dir));
}

void Restore::Work::discard() {
  engine.reset();
  if (ours) (void)remove_tree(dir);  // whatever stays is taken away by the next attempt
}

Restore::Restore(std::unique_ptr<Work> work) : work_(std::move(work)) {}

Restore::~Restore() { work_->discard(); }

Result<std::unique_ptr<Restore>> Restore::open(RestoreOptions options) {
  while (options.dir.size() > 1 && options.dir.back() == '/') options.dir.pop_back();
  std::unique_ptr<Restore> restore(new Restore(std::make_unique<Work>(std::move(options))));
  COX_RETURN_IF_ERROR(restore->work_->prepare());
  return restore;
}

Result<void> Restore::feed(std::string_view bytes) { return work_->decoder.feed(bytes); }

Result<Restored> Restore::finish() {
  COX_ASSIGN_OR_RETURN(SnapshotSummary summary, work_->decoder.finish());
  COX_RETURN_IF_ERROR(work_->seal());
  return Restored{std::move(summary), work_->revision, work_->dropped,
                  work_->identity.has_value() ? work_->identity->cluster : std::string()};
}

}  // namespace coxswain::store
