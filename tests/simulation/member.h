// One simulated member: the production Raft core and state machine over a disk that loses what was not
// synced.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>

#include "libs/common/base/clock.h"
#include "libs/store/mvcc/state.h"
#include "libs/store/raft/raft.h"
#include "tests/simulation/checker.h"

namespace coxswain::simulation {

// An applied state as it is stored and sent: everything a member needs to go on from `applied`.
struct Saved {
  raft::Index applied = 0;
  raft::Term term = 0;
  raft::Configuration configuration;
  store::Revision revision = 0;
  std::vector<store::EntryPtr> values;
  std::uint64_t hash = 0;
};
using SavedPtr = std::shared_ptr<const Saved>;

struct Envelope {
  raft::Message message;
  SavedPtr state;  // of a kSnapshot
};

// What survives a crash.
struct Disk {
  raft::HardState hard_state;
  raft::Index base = 0;  // the entry before the first one of the log...
  raft::Term base_term = 0;
  std::deque<raft::Entry> log;
  SavedPtr state;
};

class Outside {  // what a member can do to the world
 public:
  virtual ~Outside() = default;
  virtual std::int64_t now_us() const = 0;
  virtual bool verbose() const = 0;
  virtual void note(const std::string& what) = 0;
  virtual void send(Envelope envelope) = 0;
  virtual void after_disk(raft::MemberId id, std::uint64_t life) = 0;  // calls disk_done() later
  virtual void leads(raft::MemberId id) = 0;
  virtual void committed(raft::MemberId id, raft::Index index) = 0;
  virtual void finished(std::size_t operation, bool done, store::Revision revision, bool wrote,
                        std::string value) = 0;
};

class Member : public raft::LogReader {
 public:
  Member(raft::MemberId id, const raft::Configuration& initial, Outside& outside, Checker& checker,
         Random& random);

  bool up() const { return raft_ != nullptr; }
  bool busy() const { return busy_ || paused_; }  // does nothing on its own
  const raft::Raft& raft() const { return *raft_; }
  const Disk& disk() const { return disk_; }
  std::uint64_t life() const { return life_; }
  // That of before the last step: what was counted in this step was counted by it, or by that of now.
  const raft::Configuration& configuration_before() const { return configuration_before_; }
  bool holds(raft::Index index, raft::Term term) const;  // on disk
  std::uint64_t hash() const { return live_.hash; }

  void start();
  void crash();  // whatever was being written may or may not be there
  void pause(bool on);
  void tick();
  void deliver(Envelope envelope);
  void disk_done(std::uint64_t life);
  void flush();  // stores the state; the log may lose what it covers
  bool write(std::size_t operation, const store::Txn& txn, std::string value);  // false: not here
  bool read(std::size_t operation, const std::string& key);
  raft::Raft& control() { return *raft_; }  // then pump()
  void pump();

  raft::Index first_index() const override { return disk_.base + 1; }
  raft::Index last_index() const override { return disk_.base + disk_.log.size(); }
  std::optional<raft::Term> term(raft::Index index) const override;
  std::vector<raft::Entry> entries(raft::Index from, raft::Index to, std::size_t max_bytes) const override;
  std::vector<raft::Index> changes() const override;
  std::optional<raft::Snapshot> snapshot() const override;

 private:
  struct Live {
    std::unique_ptr<store::State> state;
    raft::Index applied = 0;
    raft::Term term = 0;
    raft::Configuration configuration;
    std::uint64_t hash = 0;
  };
  struct Proposal {
    raft::Term term = 0;
    std::size_t operation = 0;
    std::string value;
  };
  struct Read {
    std::size_t operation = 0;
    std::string key;
    std::optional<raft::Index> index;
  };

  void load(const Saved& saved);
  SavedPtr save() const;
  void store(const raft::Ready& ready, std::size_t records);
  void append_to_disk(const raft::Entry& entry);
  void finish();
  void apply(const raft::Entry& entry);
  void answer_reads();
  void send(const std::vector<raft::Message>& messages);
  void watch_role();
  void watch_leader();
  void note(const std::string& what) const;

  const raft::MemberId id_;
  Outside& outside_;
  Checker& checker_;
  Random& random_;
  Disk disk_;
  Live live_;
  std::unique_ptr<raft::Raft> raft_;
  std::uint64_t life_ = 0;
  bool busy_ = false;
  bool paused_ = false;
  raft::Ready ready_;
  SavedPtr incoming_;  // the state of a snapshot that was delivered
  std::deque<Envelope> inbox_;
  int missed_ticks_ = 0;
  std::map<raft::Index, Proposal> proposals_;
  std::map<std::uint64_t, Read> reads_;
  raft::Term led_ = 0;
  raft::Index reported_commit_ = 0;
  raft::Configuration configuration_before_;
  const raft::Configuration initial_;
};

}  // namespace coxswain::simulation
