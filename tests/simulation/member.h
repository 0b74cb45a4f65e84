// One simulated machine: the production member (libs/store/node/member.h) over a disk that loses what was not
// synced, tears what was being written, runs full and fails.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/common/base/clock.h"
#include "libs/store/env/fault_env.h"
#include "libs/store/node/member.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/faulty_engine.h"

namespace coxswain::simulation {

using Rows = std::shared_ptr<const std::vector<store::EngineBatch>>;

struct Envelope {
  raft::Message message;
  Rows state;  // of a kSnapshot
};

// What a bit that flips can do to a machine.
enum class Damage {
  kNone,
  kValueInMemory,  // a value is no longer what was written
  kOtherState,     // a key that nobody wrote, and the member's own hash says that it belongs there
  kRow,            // of the engine, on disk
  kLog,            // a record that was durable before others were written
};

class Outside {  // what a machine can do to the world
 public:
  virtual ~Outside() = default;
  virtual std::int64_t now_us() const = 0;
  virtual bool verbose() const = 0;
  virtual void note(const std::string& what) = 0;
  virtual void send(Envelope envelope, std::int64_t later_us) = 0;
  virtual std::int64_t disk_us(raft::MemberId id) = 0;  // how long a write takes
  virtual void wake_at(raft::MemberId id, std::uint64_t life, std::int64_t later_us) = 0;    // wake(life)
  virtual void flush_at(raft::MemberId id, std::uint64_t life, std::int64_t later_us) = 0;   // flush(life)
  virtual void damage_rows(raft::MemberId from, std::vector<store::EngineBatch>* rows) = 0;  // on their way
  virtual void fell(raft::MemberId id) = 0;  // it has crashed or stopped; start() it again
  virtual void leads(raft::MemberId id) = 0;
  virtual void committed(raft::MemberId id, raft::Index index) = 0;
  virtual void finished(std::size_t operation, bool done, store::Revision revision, bool wrote,
                        std::string value) = 0;
};

class Member : private store::MemberHost {
 public:
  Member(raft::MemberId id, const raft::Configuration& initial, Outside& outside, Checker& checker,
         Random& random);
  ~Member() override;

  bool up() const { return member_ != nullptr; }
  bool busy() const { return busy_ || paused_; }  // does nothing on its own
  const raft::Raft& raft() const { return member_->raft(); }
  const store::Member& store() const { return *member_; }
  std::uint64_t life() const { return life_; }
  store::FaultEnv& disk() { return env_; }
  FaultyEngine& engine() { return *engine_; }
  // That of before the last step: what was counted in this step was counted by it, or by that of now.
  const raft::Configuration& configuration_before() const { return configuration_before_; }
  bool holds(raft::Index index, raft::Term term) const;    // on disk
  bool would_replace(const raft::Message& message) const;  // other entries than are there

  // Damages it now; false: there is nothing to damage. Whatever was damaged before counts as found or gone.
  bool plant(Damage damage);
  Damage planted() const { return planted_; }
  bool lost() const { return lost_; }  // it refuses to start, for good

  void start();                          // after the world knows it
  void crash();                          // at once
  void crash_after(std::int64_t steps);  // of the disk: in the middle of whatever it does then
  void pause(bool on);
  void tick();
  void jump_clock(std::int64_t ms) { clock_.jump(ms); }
  void deliver(Envelope envelope);
  void wake(std::uint64_t life);
  void flush(std::uint64_t life);
  bool write(std::size_t operation, const store::Txn& txn, std::string value);  // false: not here
  bool read(std::size_t operation, const std::string& key);
  // Something is done to the core.
  template <typename Action>
  void control(Action action) {
    work([&] {
      action(member_->control());
      member_->turn();
    });
  }

 private:
  // MemberHost
  void send(raft::Message message) override;
  void flush_engine() override;
  void health_changed(store::Health health, const std::string& reason) override;
  void noticed(const std::string& what) override;
  void stored(const std::vector<raft::Entry>& entries) override;
  void applied(const raft::Entry& entry, const store::State::Plan& plan) override;
  void installed(const store::Applied& applied) override;
  void moved() override;

  class WorldClock : public Clock {
   public:
    explicit WorldClock(Outside& outside) : outside_(outside) {}
    std::int64_t now_ms() const override { return outside_.now_us() / 1000 + jumped_ms_; }
    std::int64_t unix_ms() const override { return now_ms(); }
    void jump(std::int64_t ms) { jumped_ms_ += ms; }

   private:
    Outside& outside_;
    std::int64_t jumped_ms_ = 0;
  };

  void work(const std::function<void()>& what);
  void fall();
  void refuse(const std::string& why);
  void catch_up();
  void handle(Envelope envelope);
  void recount();
  void check_disk();
  void take_state();
  void watch_leader();
  void note(const std::string& what) const;

  // damage.cc
  bool damage_value();
  bool add_key();
  bool damage_row();
  bool damage_log();

  const raft::MemberId id_;
  Outside& outside_;
  Checker& checker_;
  Random& random_;
  const raft::Configuration initial_;
  WorldClock clock_;
  store::FaultEnv env_;
  const std::shared_ptr<store::MemoryDisk> disk_;
  std::shared_ptr<FaultyEngine> engine_;
  std::unique_ptr<store::Member> member_;
  std::uint64_t life_ = 0;
  Damage planted_ = Damage::kNone;
  bool lost_ = false;
  const std::shared_ptr<std::atomic<bool>> bad_image_ = std::make_shared<std::atomic<bool>>(false);
  bool clean_ = true;  // it did not fall in the middle of a write
  bool busy_ = false;
  bool paused_ = false;
  bool working_ = false;
  std::int64_t written_us_ = 0;  // by the work that is being done
  std::deque<Envelope> inbox_;
  int missed_ticks_ = 0;

  std::uint64_t checked_life_ = 0;
  std::uint64_t hash_ = 0;                     // of the state, whatever way led there...
  std::uint64_t revisions_hash_ = 0;           // ...and the share of its revisions
  std::map<raft::Index, raft::Term> durable_;  // behind held_
  raft::Index held_ = 0;                       // everything up to here is in the state
  raft::Term led_ = 0;
  raft::Index reported_commit_ = 0;
  raft::Configuration configuration_before_;
};

// Flips a bit that counts in one of the rows of a state; null: there is none.
store::EngineWrite* choose_row(std::vector<store::EngineBatch>* batches, Random& random);

}  // namespace coxswain::simulation
