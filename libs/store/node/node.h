// A store that is served by a member (member.h): the mailbox, the threads and the reads. One thread takes
// everything that arrived while the last fsync ran and makes it one group; another flushes the engine.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/store/node/member.h"
#include "libs/store/node/members.h"
#include "libs/store/node/roster.h"
#include "libs/store/node/transport.h"

namespace coxswain::store {

struct NodeOptions {
  MemberOptions member;
  std::unique_ptr<Transport> transport;  // null: a group of one
  std::int64_t tick_ms = 100;            // an election time-out is MemberOptions::raft.election_ticks of them
  std::unique_ptr<FileLock> lock;        // held as long as the node lives
  std::string cluster_id;
  MemberRecord self;               // as the others should know it; its role is theirs to say
  std::shared_ptr<Roster> roster;  // kept up to date; null: a group of one
  std::function<void(const std::vector<MemberRecord>&)> on_members;  // they changed; the node's thread
  std::function<void(const std::string&)>
      on_removed;                                    // this one is a member no more; the node's thread, once
  std::function<void(const std::string&)> on_event;  // one line; the node's thread
};

Result<std::unique_ptr<Store>> open_node(NodeOptions options);

class Node : public Store, public StoreAdmin, private MemberHost, private Transport::Receiver {
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

  GroupStatus status() const override;
  void add_member(std::string name, std::string peer_address, MemberDone done) override;
  void promote_member(std::uint64_t id, MemberDone done) override;
  void remove_member(std::uint64_t id, MemberDone done) override;
  void replace_member(std::uint64_t id, MemberDone done) override;
  void transfer_leader(std::uint64_t id, LeaderDone done) override;
  void check_states(CheckDone done) override;
  Result<std::unique_ptr<EngineImage>> image() const override { return engine_->image(); }

  struct Group {
    raft::MemberId leader = raft::kNobody;  // as far as this member knows
    raft::Role role = raft::Role::kFollower;
    raft::Term term = 0;
    raft::Index last = 0;
    raft::Index committed = 0;
    raft::Index applied = 0;
    raft::Index log_first = 0;  // the oldest entry that it can send
    raft::Configuration members;
    std::map<raft::MemberId, raft::Index> match;  // the leader's
  };
  Group group() const;
  // If it leads, somebody else is to: before it is closed, so that nobody waits for an election.
  void hand_over(raft::MemberId to = raft::kNobody);

 private:
  using Batch = std::vector<Member::Proposal>;
  struct Incoming {
    raft::Message message;
    std::unique_ptr<CopiedState> copy;
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
    std::optional<raft::MemberId> hand_over;
    bool empty() const {
      return proposals.empty() && messages.empty() && states.empty() && barriers.empty() && reports.empty() &&
             !flushed.has_value() && !hand_over.has_value();
    }
  };

  // MemberHost: the node's thread (and start()).
  void send(raft::Message message) override;
  void flush_engine() override;
  void health_changed(Health health, const std::string& reason) override;
  void installed(const Applied& applied) override;
  void noticed(const std::string& what) override;

  // Transport::Receiver: the transport's threads.
  void receive(raft::Message message) override;
  Result<std::unique_ptr<EngineCopy>> start_copy() override;
  void receive_state(raft::Message message, std::unique_ptr<EngineCopy> copy) override;
  void unreachable(raft::MemberId id) override;
  void state_sent(raft::MemberId id, bool arrived) override;

  // Any thread.
  void enqueue(Member::Proposal proposal);
  void leave();

  // admin.cc: any thread
  using MemberPlan = std::function<Result<MemberChange>(const MemberList&, const raft::Configuration&)>;
  void change_member(MemberPlan plan, int attempts, MemberDone done);
  void await_member(MemberRecord record, MemberDone done);
  std::string why_no_leader() const;
  Result<void> refuse_damaged() const;

  // admin.cc: the node's thread
  void care_for_members();
  void introduce_self(const MemberList& list);
  void notice_removal(const MemberList& list);
  void lead_members(const MemberList& list);
  void answer_admin();
  void refuse_admin();

  void run();  // the node's thread
  Mail take();
  Batch take_proposals();  // mutex_ held
  void work(Mail mail);
  void tick();
  void tell_leader();
  void publish_status();
  void publish_match(const std::map<raft::MemberId, raft::Progress>& progress);  // mutex_ held

  void run_flushes();  // the flush thread

  const std::unique_ptr<FileLock> lock_;
  const std::shared_ptr<Engine> engine_;
  const StoreLimits limits_;
  const bool durable_;
  const std::unique_ptr<Transport> transport_;
  const std::int64_t tick_ms_;
  const std::string cluster_id_;
  const MemberRecord self_;
  const std::shared_ptr<Roster> roster_;
  const std::function<void(const std::vector<MemberRecord>&)> on_members_;
  const std::function<void(const std::string&)> on_removed_;
  bool removed_ = false;  // the node's thread: it was told
  const std::function<void(const std::string&)> on_event_;
  Clock& clock_;
  std::int64_t tick_at_ms_ = 0;                 // the node's thread
  std::optional<MemberList> member_list_;       // the node's thread: as of its version
  raft::Configuration members_told_;            // the node's thread
  raft::MemberId told_leader_ = raft::kNobody;  // the node's thread
  std::int64_t introduce_at_ms_ = 0;            // the node's thread: not before
  std::atomic<bool> alone_{false};              // nobody else can write: the only voter, and it leads
  std::atomic<bool> damaged_{false};            // what is here must not be read; `reason_` says why
  Member member_;                               // the node's thread, but for what everybody may read
  const State& state_;
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<const History> history_;
  const std::shared_ptr<std::atomic<bool>> bad_image_ = std::make_shared<std::atomic<bool>>(false);

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable arrived_;
  Mail mail_;
  std::size_t queued_bytes_ = 0;   // of proposals
  std::size_t message_bytes_ = 0;  // of messages
  bool stopping_ = false;
  Health health_ = Health::kServing;
  std::string reason_;
  Checks checks_;
  std::int64_t log_bytes_ = 0;
  std::condition_variable flush_wanted_;
  bool flushing_ = false;  // asked for, not done
  Group group_;
  struct MemberWait {
    MemberRecord record;
    MemberDone done;
    std::int64_t until_ms = 0;
  };
  struct LeaderWait {
    std::uint64_t id = 0;      // 0: anybody else
    std::uint64_t before = 0;  // who led
    LeaderDone done;
    std::int64_t until_ms = 0;
  };
  std::vector<MemberWait> member_waits_;
  std::vector<LeaderWait> leader_waits_;

  std::thread thread_;
  std::thread flush_thread_;
};

}  // namespace coxswain::store
