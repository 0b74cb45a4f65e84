// One run: members, a network, clients and accidents under one virtual clock, all drawn from one seed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/checker.h"
#include "tests/simulation/member.h"

namespace coxswain::simulation {

struct Summary {
  std::int64_t virtual_ms = 0;
  std::size_t events = 0;
  std::size_t writes = 0;
  std::size_t reads = 0;
  std::size_t unknown = 0;
  std::size_t crashes = 0;
  std::size_t partitions = 0;
  std::size_t changes = 0;
  std::size_t snapshots = 0;
  std::size_t watched = 0;
  std::size_t damages = 0;
  std::size_t lost = 0;          // members that were found to be damaged, for good
  std::size_t unrepairable = 0;  // runs in which a quorum was lost by that
};

class World : private Outside {
 public:
  World(std::uint64_t seed, bool verbose);
  ~World() override;
  Summary run();  // throws Violation

 private:
  struct Happening {
    std::int64_t at = 0;
    std::uint64_t order = 0;
    std::function<void()> what;
    bool operator>(const Happening& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Client {
    std::size_t operation = 0;
    bool waiting = false;
    raft::MemberId target = 0;
    std::map<std::string, store::Revision> seen;
  };

  // Outside
  std::int64_t now_us() const override { return now_; }
  bool verbose() const override { return verbose_; }
  void note(const std::string& what) override;
  void send(Envelope envelope, std::int64_t later_us) override;
  std::int64_t disk_us(raft::MemberId id) override;
  void wake_at(raft::MemberId id, std::uint64_t life, std::int64_t later_us) override;
  void flush_at(raft::MemberId id, std::uint64_t life, std::int64_t later_us) override;
  void damage_rows(raft::MemberId from, std::vector<store::EngineBatch>* rows) override;
  void fell(raft::MemberId id) override;
  void leads(raft::MemberId id) override;
  void committed(raft::MemberId id, raft::Index index) override;
  void finished(std::size_t operation, bool done, store::Revision revision, bool wrote,
                std::string value) override;

  void at(std::int64_t delay_us, std::function<void()> what);
  void run_until(std::int64_t end_us);
  bool chance(double probability) { return random_->unit() < probability; }
  std::int64_t between(std::int64_t low, std::int64_t high);
  raft::MemberId any_member();
  Member* member(raft::MemberId id) { return members_.at(id).get(); }
  Member* leader();
  bool reachable(raft::MemberId from, raft::MemberId to) const { return cut_.count({from, to}) == 0; }

  void tick(raft::MemberId id);
  void transmit(Envelope envelope, std::int64_t later_us);
  void report_snapshot(raft::MemberId from, raft::MemberId to);
  void report_unreachable(raft::MemberId by, raft::MemberId id);
  void watch_leaders(raft::MemberId id);

  // clients.cc
  void client_step(std::size_t client);
  void start_operation(std::size_t client);
  void time_out(std::size_t client, std::size_t operation);

  // viewers.cc
  struct Viewer {
    std::string prefix;
    store::Revision position = 0;  // it has everything up to here; 0: it must list first
    raft::MemberId at = 0;
    std::uint64_t life = 0;
    std::unique_ptr<store::Watcher> watcher;
    std::shared_ptr<bool> woken;  // null: not armed
  };
  void view(std::size_t viewer);
  bool connect(Viewer* viewer);
  void read_history();

  // accidents.cc
  struct Accident {
    std::uint64_t weight = 0;
    std::function<void()> what;
  };
  void draw_mixture();
  void accident();
  void crash(raft::MemberId id);
  void crash_writing(raft::MemberId id);
  void crash_one();
  void crash_leader();
  void power_cut();
  void leave_leader_one_friend();
  void cut_leader_with_late_mail();
  void end_reign(raft::MemberId id);
  void change_members_and_cut();
  void flush_one();
  void hand_over();
  void campaign_one();
  void isolate_leader();
  void partition();
  void cut_one_way();
  void change_members();
  void pause_one();
  void disturb_network();
  void slow_disk();
  void break_disk();
  void fill_disk();
  void break_connections(raft::MemberId id);
  void heal();
  void settle();
  void add_member(raft::MemberId id);
  void jump_clock();
  void tick_in_bursts();
  void stop_ticks();

  // repair.cc
  void plant_damage();
  bool damage_is_about() const;
  void replace_lost();
  bool repairable() const;
  bool everything_works(std::size_t first_operation);
  std::string describe_members() const;

  const std::uint64_t seed_;
  const bool verbose_;
  std::unique_ptr<Random> random_;
  std::int64_t now_ = 0;
  std::uint64_t order_ = 0;
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>> agenda_;
  Checker checker_;
  Summary summary_;
  std::map<raft::MemberId, std::unique_ptr<Member>> members_;
  std::map<raft::MemberId, std::int64_t> tick_us_;                           // clocks run at different speeds
  std::map<std::pair<raft::MemberId, raft::MemberId>, std::int64_t> heard_;  // to, from: the last message
  struct Reign {
    std::int64_t since = 0;
    raft::Configuration configuration;
  };
  std::map<raft::MemberId, Reign> reigns_;                   // undisturbed, with one configuration
  std::set<std::pair<raft::MemberId, raft::MemberId>> cut_;  // from, to
  std::map<raft::MemberId, std::int64_t> disk_us_;
  double loss_ = 0;
  double duplication_ = 0;
  std::int64_t delay_us_ = 2000;
  double torn_tail_ = 0;    // members that fall while they replace what a leader of before left there
  double short_reign_ = 0;  // leaders that fall as soon as they lead
  std::int64_t patience_us_ = 400'000;  // of clients
  std::int64_t late_most_us_ = 3'000'000;
  double noticed_ = 0;  // connections that break, of all that do
  double late_ = 0;     // messages that come long after everything else
  std::vector<Operation> operations_;
  std::vector<Client> clients_;
  std::vector<Viewer> viewers_;
  std::vector<Accident> accidents_;
  bool damage_ = false;  // bits flip in this run
  raft::MemberId next_id_ = 101;
  std::map<raft::MemberId, std::int64_t> no_ticks_until_;
  std::int64_t pause_us_ = 0;  // between two of them, at most
  bool calm_ = false;          // no more accidents
};

}  // namespace coxswain::simulation
