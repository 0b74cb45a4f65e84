// Of /store/v1/: snapshots, hashes and compactions. Each has a thread of its own, because it reads everything
// there is, or waits; there are few at a time.
#include <future>
#include <thread>

#include "libs/common/base/strings.h"
#include "libs/registry/blocking_stream.h"
#include "libs/registry/store_admin.h"
#include "libs/store/backup/live_entries.h"
#include "libs/store/backup/snapshot_file.h"

namespace coxswain::registry {
namespace {

constexpr std::int64_t kMaxTasks = 4;
constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr auto kPoll = std::chrono::milliseconds(20);
constexpr int kPolls = 500;  // 10 s: for a barrier, for the rows of what was read

struct Task : BlockingStream {
  explicit Task(CallPtr c) : BlockingStream(c->exchange), call(std::move(c)) {}
  const CallPtr call;
  Core& core() const { return call->core; }
  bool gone() const { return token().stop_requested(); }
};
using TaskPtr = std::shared_ptr<Task>;

void run_task(const CallPtr& call, std::function<void(const TaskPtr&)> body) {
  Core& core = call->core;
  if (core.store_tasks.fetch_add(1) >= kMaxTasks) {
    core.store_tasks.fetch_sub(1);
    return respond_status(call,
                          api::too_many_requests("too many snapshots, hashes and compactions at once; try "
                                                 "again when one has ended",
                                                 5));
  }
  const auto task = std::make_shared<Task>(call);
  task->watch_client();
  core.store_threads.run(
      [task, body = std::move(body)] {
        body(task);
        task->core().store_tasks.fetch_sub(1);
      },
      [task] { task->cancel(); });
}

Error gave_up() { return make_error(ErrorCode::kCancelled, "the client is gone, or the server stops"); }

// Until this member has what was acknowledged anywhere; `?local=true` asks for what it has.
Result<void> catch_up(const Task& task) {
  if (query_bool(task.call->request(), "local")) return {};
  const auto done = std::make_shared<std::promise<Result<void>>>();
  auto outcome = done->get_future();
  task.core().store.barrier([done](Result<void> reached) { done->set_value(std::move(reached)); });
  for (int i = 0; i < kPolls && !task.gone(); ++i)
    if (outcome.wait_for(kPoll) == std::future_status::ready) return outcome.get();
  if (task.gone()) return gave_up();
  return make_error(ErrorCode::kUnavailable,
                    "no quorum has answered; try again, or ask with local=true for what this member has");
}

// What is alive as of `revision` (0: now). The engine follows the state that is read from: it may need a
// moment.
Result<std::unique_ptr<store::LiveEntries>> open_state(const Task& task, store::Revision revision) {
  COX_RETURN_IF_ERROR(catch_up(task));
  const store::Revision now = task.core().store.revision();
  if (revision > now)
    return make_error(ErrorCode::kOutOfRange, "the store is at revision " + std::to_string(now));
  for (int i = 0; i < kPolls && !task.gone(); ++i) {
    COX_ASSIGN_OR_RETURN(std::unique_ptr<store::EngineImage> image, task.core().options.store_admin->image());
    auto live = store::LiveEntries::open(std::move(image), revision);
    const bool behind =
        live.ok() ? (*live)->applied().revision < now : live.error().code == ErrorCode::kOutOfRange;
    if (!behind) return live;
    std::this_thread::sleep_for(kPoll);
  }
  if (task.gone()) return gave_up();
  return make_error(ErrorCode::kUnavailable,
                    "the state on this member's disk is behind; see /store/v1/status, or ask another member");
}

api::Status status_of_state_error(const Error& error) {
  if (error.code == ErrorCode::kCompacted) return api::expired(error.message);
  return status_of_store_error(error);
}

store::SnapshotHeader header_of(const Task& task, const store::LiveEntries& live) {
  const store::GroupStatus status = task.core().options.store_admin->status();
  store::SnapshotHeader header;
  header.cluster_id = status.cluster_id;
  header.member = status.member;
  header.revision = live.revision();
  header.compacted = live.applied().compacted;
  header.index = live.applied().index;
  header.term = live.applied().term;
  header.created_unix_ms = task.core().clock.unix_ms();
  header.created_by = "coxswain " COXSWAIN_VERSION;
  return header;
}

// A stream that fails half-way is not ended but dropped, and lacks its trailer: nobody takes it for whole.
void send_snapshot(const TaskPtr& task) {
  const auto live = open_state(*task, 0);
  if (!live.ok()) return respond_status(task->call, status_of_state_error(live.error()));
  store::SnapshotEncoder encoder;
  task->call->exchange->begin(200, {{"Content-Type", "application/octet-stream"}});
  bool wanted = task->push(encoder.begin(header_of(*task, **live)));
  while (wanted) {
    const auto entries = (*live)->next(kPieceBytes);
    if (!entries.ok()) return;
    if (entries->empty()) break;
    wanted = task->push(encoder.entries(*entries));
  }
  if (wanted && task->push(encoder.end())) task->call->exchange->end();
}

api::ApiResult<store::Revision> asked_revision(const Call& call) {
  const std::string_view text = call.request().query_value("revision");
  if (text.empty()) return store::Revision{0};
  const std::optional<std::int64_t> number = parse_int64(text);
  if (number.has_value() && *number > 0) return *number;
  return bad_store_field("StoreRequest", "revision", "FieldValueInvalid",
                         "Invalid value: must be a positive number");
}

void send_hash(const TaskPtr& task) {
  const api::ApiResult<store::Revision> revision = asked_revision(*task->call);
  if (!revision.ok()) return respond_status(task->call, revision.error());
  const auto live = open_state(*task, *revision);
  if (!live.ok()) return respond_status(task->call, status_of_state_error(live.error()));
  store::StateDigest hash;
  for (;;) {
    const auto entries = (*live)->next(kPieceBytes);
    if (!entries.ok()) return respond_status(task->call, status_of_state_error(entries.error()));
    if (entries->empty() || task->gone()) break;
    for (const store::EntryPtr& entry : *entries) hash.add(*entry);
  }
  if (task->gone()) return respond_status(task->call, api::service_unavailable(gave_up().message));
  const std::uint64_t keys = hash.entries();
  respond_json(
      task->call, 200,
      json::Value::object({{"member", std::to_string(task->core().options.store_admin->status().member)},
                           {"revision", (*live)->revision()},
                           {"compactedRevision", (*live)->applied().compacted},
                           {"keys", keys},
                           {"hash", "sha256:" + hash.finish()}}));
}

void compact_to(const TaskPtr& task, store::Revision revision) {
  Result<void> done = catch_up(*task);
  if (done.ok()) done = task->core().store.compact(revision);
  if (!done.ok()) {
    return respond_status(task->call, done.error().code == ErrorCode::kOutOfRange
                                          ? bad_store_field("StoreRequest", "revision", "FieldValueInvalid",
                                                            "Invalid value: " + done.error().message)
                                          : status_of_store_error(done.error()));
  }
  const store::Stats stats = task->core().store.stats();
  respond_json(task->call, 200,
               json::Value::object({{"revision", stats.revision}, {"compactedRevision", stats.compacted}}));
}

}  // namespace

void handle_store_compact(const CallPtr& call, std::int64_t revision) {
  run_task(call, [revision](const TaskPtr& task) { compact_to(task, revision); });
}

void handle_store_snapshot(const CallPtr& call) { run_task(call, send_snapshot); }

void handle_store_hash(const CallPtr& call) { run_task(call, send_hash); }

}  // namespace coxswain::registry
