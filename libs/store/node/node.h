// A store that is served by a member (member.h): the mailbox, the threads and the reads. One thread takes
// everything that arrived while the last fsync ran and proposes it as one group; another flushes the engine.
// This is a group of one; more members are docs/replication-plan.md.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/store/node/member.h"

namespace coxswain::store {

struct NodeOptions {
  MemberOptions member;
  std::unique_ptr<FileLock> lock;  // held as long as the node lives
};

Result<std::unique_ptr<Store>> open_node(NodeOptions options);

class Node : public Store, private MemberHost {
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
  using Batch = std::vector<Member::Proposal>;

  // MemberHost: the node's thread (and start()).
  void send(raft::Message message) override;
  void flush_engine() override;
  void health_changed(Health health, const std::string& reason) override;

  // Any thread.
  void enqueue(Member::Proposal proposal);
  Result<void> check_revision(Revision asked, Revision current, Revision compacted) const;
  Result<void> read_old(const RangeRequest& request, const State::Snapshot& now, RangeResult* result) const;

  void run();  // the node's thread
  Batch take();
  void hand_over_flush();

  void run_flushes();  // the flush thread

  const std::unique_ptr<FileLock> lock_;
  const std::shared_ptr<Engine> engine_;
  const StoreLimits limits_;
  const bool durable_;
  Member member_;  // the node's thread, but for what everybody may read
  const State& state_;
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<const History> history_;

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable arrived_;
  Batch queue_;
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  Health health_ = Health::kServing;
  std::string reason_;
  std::int64_t log_bytes_ = 0;
  std::condition_variable flush_wanted_;
  bool flushing_ = false;                // asked for, not done
  std::optional<Result<void>> flushed_;  // done, not yet seen by the node's thread

  std::thread thread_;
  std::thread flush_thread_;
};

}  // namespace coxswain::store
