// One member: mailbox -> Raft -> log -> apply. One thread takes everything that arrived while the last fsync
// ran, proposes it as one group, syncs once, applies in order what is committed, and answers. This is a group
// of one; more members are docs/replication-plan.md.
//
// A failed write or fsync of the log stops the member for good; a full disk makes it read-only until there
// is room. Reads go on in both cases.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libs/store/engine/engine.h"
#include "libs/store/env/env.h"
#include "libs/store/log/raft_log.h"
#include "libs/store/mvcc/history.h"
#include "libs/store/mvcc/state.h"
#include "libs/store/open.h"
#include "libs/store/raft/raft.h"
#include "libs/store/watch/hub.h"

namespace coxswain::store {

struct NodeOptions {
  StoreLimits limits;
  Clock* clock = nullptr;          // required
  std::shared_ptr<Engine> engine;  // required
  Env* env = nullptr;              // null: no log, nothing is durable
  std::string log_dir;
  std::size_t log_segment_bytes = 16u << 20;
  std::size_t log_cache_bytes = 0;  // of entries, kept for members that are behind
  std::size_t checkpoint_log_bytes = 32u << 20;
  raft::MemberId id = 1;
  std::uint64_t seed = 1;
  std::unique_ptr<FileLock> lock;  // held as long as the node lives
};

Result<std::unique_ptr<Store>> open_node(NodeOptions options);

class Node : public Store {
 public:
  explicit Node(NodeOptions options);
  ~Node() override;
  Result<void> start();  // once; recovers, then serves

  Result<EntryPtr> get(std::string_view key, Revision revision) const override;
  Result<RangeResult> range(const RangeRequest& request) const override;
  std::int64_t count(std::string_view prefix) const override;
  void txn(Txn txn, TxnDone done) override;
  Result<std::unique_ptr<Watcher>> watch(std::string_view prefix, Revision after) override;
  Result<void> compact(Revision revision) override;
  Revision revision() const override;
  Stats stats() const override;

 private:
  struct Pending {
    std::string command;
    TxnDone done;
  };
  using Batch = std::vector<Pending>;
  enum class Health { kServing, kReadOnly, kStopped };

  // Any thread.
  void enqueue(Pending pending);
  Result<void> check_revision(Revision asked, Revision current, Revision compacted) const;
  Result<void> read_old(const RangeRequest& request, const State::Snapshot& now, RangeResult* result) const;

  // The node's thread (and start()).
  void run();
  Batch take();
  void start_raft();
  bool lead();
  void commit(Batch batch);
  Result<void> propose(Batch& batch);
  Result<void> drive();
  Result<void> log_outcome(const Result<void>& outcome);
  std::string stop_member(const Error& cause);  // returns the reason
  void apply(const std::vector<raft::Entry>& entries);
  static Result<State::Plan> plan_entry(const raft::Entry& entry, const State& state, Applied* applied);
  void store_applied();
  void housekeeping();
  void recover_space();
  bool engine_failed() const;
  Result<void> rebuild_engine();
  void compact_by_age();
  void sweep();
  void checkpoint();
  Health health() const;
  void set_health(Health health, std::string reason);

  // The checkpoint thread.
  void run_checkpoints();

  const NodeOptions options_;
  const std::shared_ptr<Hub> hub_;
  std::shared_ptr<const History> history_;
  State state_;

  // The node's thread only.
  struct Proposal {
    raft::Index index = 0;
    raft::Term term = 0;
    TxnDone done;
  };
  std::unique_ptr<RaftLog> log_;
  std::unique_ptr<raft::Raft> raft_;  // reads log_
  std::deque<Proposal> proposals_;    // by index, not committed yet
  std::size_t refused_bytes_ = 0;     // what the last group needed
  Applied applied_;
  EngineBatch unstored_;            // applied, not yet in the engine
  std::uint64_t stored_index_ = 0;  // the last entry that is in the engine
  std::uint64_t checkpoint_at_bytes_ = 0;
  std::int64_t retry_at_ms_ = 0;
  std::int64_t sample_at_ms_ = 0;  // when...
  Revision sample_revision_ = 0;   // ...the store was here

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable arrived_;
  Batch queue_;
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  Health health_ = Health::kServing;
  std::string reason_;
  std::int64_t log_bytes_ = 0;
  std::condition_variable checkpoint_wanted_;
  std::uint64_t flush_index_ = 0;    // asked for; 0: nothing to do
  std::uint64_t flushed_index_ = 0;  // done, not yet seen by the node's thread
  std::string flush_error_;

  std::thread thread_;
  std::thread checkpoint_thread_;
};

}  // namespace coxswain::store
