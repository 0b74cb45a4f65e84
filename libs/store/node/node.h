// A store that is served by a member (member.h): the mailbox, the threads and the reads. One thread takes
// everything that arrived while the last fsync ran and makes it one group; another flushes the engine.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/store/node/member.h"
#include "libs/store/node/transport.h"

namespace coxswain::store {

struct NodeOptions {
  MemberOptions member;
  std::unique_ptr<Transport> transport;  // null: a group of one
  std::int64_t tick_ms = 100;            // an election time-out is MemberOptions::raft.election_ticks of them
  std::unique_ptr<FileLock> lock;        // held as long as the node lives
};

Result<std::unique_ptr<Store>> open_node(NodeOptions options);

class Node : public Store, private MemberHost, private Transport::Receiver {
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
  void barrier(BarrierDone done) override;
  Revision revision() const override;
  Stats stats() const override;

  struct Group {
    raft::MemberId leader = raft::kNobody;  // as far as this member knows
    raft::Role role = raft::Role::kFollower;
    raft::Term term = 0;
    raft::Index applied = 0;
    raft::Index log_first = 0;  // the oldest entry that it can send
    raft::Configuration members;
  };
  Group group() const;
  // If it leads, somebody else is to: before it is closed, so that nobody waits for an election.
  void hand_over();

 private:
  using Batch = std::vector<Member::Proposal>;
  struct Incoming {
    raft::Message message;
    std::unique_ptr<EngineCopy> copy;
  };
  struct Report {
    raft::MemberId id = raft::kNobody;
    std::optional<bool> state_arrived;  // none: unreachable
  };
  struct Mail {
    Batch proposals;
    std::vector<raft::Message> messages;
    std::vector<Incoming> states;
    std::vector<BarrierDone> barriers;
    std::vector<Report> reports;
    std::optional<Result<void>> flushed;
    bool hand_over = false;
    bool empty() const {
      return proposals.empty() && messages.empty() && states.empty() && barriers.empty() && reports.empty() &&
             !flushed.has_value() && !hand_over;
    }
  };

  // MemberHost: the node's thread (and start()).
  void send(raft::Message message) override;
  void flush_engine() override;
  void health_changed(Health health, const std::string& reason) override;

  // Transport::Receiver: the transport's threads.
  void receive(raft::Message message) override;
  Result<std::unique_ptr<EngineCopy>> start_copy() override;
  void receive_state(raft::Message message, std::unique_ptr<EngineCopy> copy) override;
  void unreachable(raft::MemberId id) override;
  void state_sent(raft::MemberId id, bool arrived) override;

  // Any thread.
  void enqueue(Member::Proposal proposal);
  void run();  // the node's thread
  Mail take();
  Batch take_proposals();  // mutex_ held
  void work(Mail mail);
  void tick();
  void publish_status();

  void run_flushes();  // the flush thread

  const std::unique_ptr<FileLock> lock_;
  const std::shared_ptr<Engine> engine_;
  const StoreLimits limits_;
  const bool durable_;
  const std::unique_ptr<Transport> transport_;
  const std::int64_t tick_ms_;
  Clock& clock_;
  std::int64_t tick_at_ms_ = 0;  // the node's thread
  Member member_;                // the node's thread, but for what everybody may read
  const State& state_;
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<const History> history_;

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable arrived_;
  Mail mail_;
  std::size_t queued_bytes_ = 0;   // of proposals
  std::size_t message_bytes_ = 0;  // of messages
  bool stopping_ = false;
  Health health_ = Health::kServing;
  std::string reason_;
  std::int64_t log_bytes_ = 0;
  std::condition_variable flush_wanted_;
  bool flushing_ = false;  // asked for, not done
  Group group_;

  std::thread thread_;
  std::thread flush_thread_;
};

}  // namespace coxswain::store
