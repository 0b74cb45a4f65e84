// What goes wrong in a run.
#include <algorithm>

#include "tests/simulation/world.h"

namespace coxswain::simulation {
namespace {

constexpr std::int64_t kMs = 1000;
constexpr std::size_t kMostMembers = 9;

}  // namespace

// Every run has its own mixture of accidents and its own pace: runs that are all alike find little.
void World::draw_mixture() {
  accidents_ = {
      {0, [this] { crash_one(); }},      {0, [this] { crash_leader(); }},
      {0, [this] { power_cut(); }},      {0, [this] { partition(); }},
      {0, [this] { cut_one_way(); }},    {0, [this] { leave_leader_one_friend(); }},
      {0, [this] { change_members(); }}, {0, [this] { change_members_and_cut(); }},
      {0, [this] { pause_one(); }},      {0, [this] { disturb_network(); }},
      {0, [this] { slow_disk(); }},      {0, [this] { heal(); }},
      {0, [this] { flush_one(); }},      {0, [this] { hand_over(); }},
      {0, [this] { campaign_one(); }},   {0, [this] { cut_leader_with_late_mail(); }},
      {0, [this] { break_disk(); }},     {0, [this] { fill_disk(); }},
      {0, [this] { jump_clock(); }},     {0, [this] { tick_in_bursts(); }},
      {0, [this] { stop_ticks(); }},     {0, [this] { isolate_leader(); }},
  };
  accidents_.push_back({0, [this] { break_connections(any_member()); }});
  for (Accident& accident : accidents_) accident.weight = chance(0.5) ? 0 : 1 + random_->below(8);
  if (damage_) accidents_.push_back({1 + random_->below(8), [this] { plant_damage(); }});
  if (damage_) accidents_.push_back({2, [this] { replace_lost(); }});
  accidents_.front().weight += 1;
  pause_us_ = between(10, 300) * kMs;
  if (chance(0.3)) short_reign_ = random_->unit();
  if (chance(0.3)) torn_tail_ = random_->unit();
  if (chance(0.7)) noticed_ = random_->unit();
}

void World::accident() {
  if (calm_) return;
  std::uint64_t total = 0;
  for (const Accident& accident : accidents_) total += accident.weight;
  std::uint64_t draw = random_->below(total);
  for (const Accident& accident : accidents_) {
    if (draw < accident.weight) {
      accident.what();
      break;
    }
    draw -= accident.weight;
  }
  at(between(pause_us_ / 20, pause_us_), [this] { accident(); });
}

void World::crash(raft::MemberId id) {
  if (calm_ || !member(id)->up()) return;
  ++summary_.crashes;
  note("crash " + std::to_string(id));
  if (chance(0.5)) return member(id)->crash();
  crash_writing(id);
}

// In the middle of what it writes next, or when it has written nothing for a while.
void World::crash_writing(raft::MemberId id) {
  if (calm_ || !member(id)->up()) return;
  member(id)->crash_after(static_cast<std::int64_t>(random_->below(6)));
  at(60 * kMs, [this, id, life = member(id)->life()] {
    if (!calm_ && member(id)->up() && member(id)->life() == life) member(id)->crash();
  });
}

// Somebody starts it again, after a while.
void World::fell(raft::MemberId id) {
  break_connections(id);
  at(calm_ ? 1 * kMs : between(1 * kMs, 600 * kMs), [this, id] {
    if (!member(id)->up() && !member(id)->lost()) member(id)->start();
  });
}

// The process has ended, or nothing has happened to it at all: others cannot tell.
void World::break_connections(raft::MemberId id) {
  for (const auto& [other, m] : members_) {
    if (other == id || !chance(noticed_) || !reachable(id, other)) continue;
    at(between(100, delay_us_), [this, by = other, id] { report_unreachable(by, id); });
  }
}

void World::break_disk() {
  Member* m = member(any_member());
  if (!m->up()) return;
  note("break the disk of " + std::to_string(m->raft().id()));
  switch (random_->below(4)) {
    case 0:
      return m->disk().fail_next_sync();
    case 1:
      return m->disk().fail_next_write();
    case 2:
      return m->engine().fail_writes(1 + random_->below(3));
    default:
      // And when it begins again, writing what it lost fails as well, or not.
      m->engine().fail_flushes(1);
      at(between(0, 200 * kMs), [this, m] {
        if (!calm_ && m->up()) m->engine().fail_writes(random_->below(4));
      });
  }
}

void World::fill_disk() {
  const raft::MemberId id = any_member();
  note("fill the disk of " + std::to_string(id));
  member(id)->disk().set_space(random_->below(20'000));
  at(between(50 * kMs, 800 * kMs), [this, id] { member(id)->disk().set_space(std::nullopt); });
}

void World::crash_one() { crash(any_member()); }

void World::crash_leader() {
  if (Member* chief = leader(); chief != nullptr) crash(chief->raft().id());
}

void World::power_cut() {
  for (const auto& [id, m] : members_)
    if (chance(0.8)) crash(id);
}

// The last entries of such a leader reach one member, and it cannot tell whether they are committed (figure
// 8).
void World::leave_leader_one_friend() {
  Member* chief = leader();
  if (chief == nullptr) return;
  const raft::MemberId id = chief->raft().id();
  const raft::MemberId only = any_member();
  note("leave " + std::to_string(id) + " only " + std::to_string(only));
  for (const auto& [other, m] : members_) {
    if (other == id || other == only) continue;
    cut_.insert({id, other});
    cut_.insert({other, id});
  }
  if (chance(0.5)) at(between(1 * kMs, 40 * kMs), [this, id] { crash(id); });
  at(between(50 * kMs, 600 * kMs), [this] { heal(); });
}

// For longer than it may take to notice.
void World::isolate_leader() {
  Member* chief = leader();
  if (chief == nullptr) return;
  const raft::MemberId id = chief->raft().id();
  const bool both = chance(0.7);  // else it is heard and hears nothing
  note("isolate " + std::to_string(id));
  for (const auto& [other, m] : members_) {
    if (other == id) continue;
    cut_.insert({other, id});
    if (both) cut_.insert({id, other});
  }
  at(between(1200 * kMs, 1800 * kMs), [this] { heal(); });
}

// A leader that nobody can reach any more gets what was sent to it before: is it still followed?
void World::cut_leader_with_late_mail() {
  Member* chief = leader();
  if (chief == nullptr) return;
  late_ = 0.7;
  late_most_us_ = 400 * kMs;
  at(between(5 * kMs, 40 * kMs), [this, id = chief->raft().id()] {
    late_ = 0;
    late_most_us_ = 3000 * kMs;
    if (calm_) return;
    note("cut off " + std::to_string(id) + " with mail on its way");
    for (const auto& [other, m] : members_) {
      cut_.insert({id, other});
      cut_.insert({other, id});
    }
  });
  at(between(300 * kMs, 700 * kMs), [this] { heal(); });
}

// One leader after another that reaches few and falls: everybody's last entries differ, and are of many terms
// (figure 8, once more).
void World::end_reign(raft::MemberId id) {
  if (calm_) return;
  const bool alone = chance(0.5);
  for (const auto& [other, m] : members_) {
    if (other == id || (!alone && chance(0.5))) continue;
    cut_.insert({id, other});
    cut_.insert({other, id});
  }
  at(between(0, 12 * kMs), [this, id] { crash(id); });
  at(between(20 * kMs, 300 * kMs), [this] { heal(); });
}

void World::change_members_and_cut() {
  change_members();
  at(between(0, 5 * kMs), [this] {
    if (!calm_) partition();
  });
}

void World::flush_one() {
  Member* m = member(any_member());
  if (m->up()) (void)m->engine().flush();
}

void World::hand_over() {
  Member* chief = leader();
  if (chief == nullptr || chief->busy()) return;
  chief->control([&](raft::Raft& core) { (void)core.transfer_leadership(any_member()); });
}

void World::campaign_one() {
  Member* m = member(any_member());
  if (!m->up() || m->busy()) return;
  m->control([](raft::Raft& core) { core.campaign(); });
}

void World::partition() {
  ++summary_.partitions;
  std::set<raft::MemberId> side;
  for (const auto& [id, m] : members_)
    if (chance(0.5)) side.insert(id);
  note("partition with " + std::to_string(side.size()) + " on one side");
  for (const auto& [a, ma] : members_)
    for (const auto& [b, mb] : members_)
      if (side.count(a) != side.count(b)) cut_.insert({a, b});
  at(between(50 * kMs, 1500 * kMs), [this] { heal(); });
}

void World::cut_one_way() {
  const raft::MemberId from = any_member();
  const raft::MemberId to = any_member();
  note("cut " + std::to_string(from) + " -> " + std::to_string(to));
  cut_.insert({from, to});
  at(between(50 * kMs, 800 * kMs), [this, from, to] { cut_.erase({from, to}); });
}

void World::heal() {
  note("heal");
  cut_.clear();
}

void World::pause_one() {
  const raft::MemberId id = any_member();
  note("pause " + std::to_string(id));
  member(id)->pause(true);
  at(between(10 * kMs, chance(0.1) ? 3000 * kMs : 700 * kMs), [this, id] { member(id)->pause(false); });
}

// Its clock goes ahead, as that of a machine that slept: it never goes back.
void World::jump_clock() {
  const raft::MemberId id = any_member();
  note("jump the clock of " + std::to_string(id));
  member(id)->jump_clock(chance(0.5) ? between(1, 1000) : between(1, 3'600'000));
}

void World::tick_in_bursts() {
  const raft::MemberId id = any_member();
  note("many ticks for " + std::to_string(id));
  for (std::uint64_t n = 1 + random_->below(40); n > 0; --n) member(id)->tick();
  watch_leaders(id);
}

// It hears and answers, and no time passes for it.
void World::stop_ticks() {
  const raft::MemberId id = any_member();
  note("no ticks for " + std::to_string(id));
  no_ticks_until_[id] = now_ + between(10 * kMs, 1500 * kMs);
}

void World::disturb_network() {
  loss_ = chance(0.5) ? 0 : random_->unit() * 0.3;
  late_ = chance(0.5) ? 0 : random_->unit() * 0.1;
  duplication_ = chance(0.5) ? 0 : random_->unit() * 0.2;
  delay_us_ = chance(0.5) ? 2 * kMs : between(1 * kMs, 60 * kMs);
}

void World::slow_disk() {
  const raft::MemberId id = any_member();
  disk_us_[id] = between(1 * kMs, 150 * kMs);
  at(between(50 * kMs, 900 * kMs), [this, id] { disk_us_.erase(id); });
}

void World::add_member(raft::MemberId id) {
  if (members_.count(id) > 0) return;
  members_[id] =
      std::make_unique<Member>(id, raft::Configuration{}, static_cast<Outside&>(*this), checker_, *random_);
  members_[id]->start();
  tick_us_[id] = between(8 * kMs, 12 * kMs);
  at(tick_us_[id], [this, id] { tick(id); });
}

// One to three members added, removed, promoted or demoted at once.
void World::change_members() {
  Member* chief = leader();
  // Members that are damaged are to stay a minority.
  if (chief == nullptr || chief->busy() || damage_is_about()) return;
  std::vector<raft::Change> changes;
  std::set<raft::MemberId> named;
  for (std::uint64_t n = 1 + random_->below(3); n > 0; --n) {
    const raft::MemberId id = 1 + random_->below(kMostMembers);
    if (!named.insert(id).second) continue;
    if (members_.count(id) > 0 && member(id)->lost()) continue;
    const auto kind = static_cast<raft::Change::Kind>(random_->below(3));
    if (kind != raft::Change::Kind::kRemove) add_member(id);
    changes.push_back({kind, id});
  }
  const Result<raft::Configuration> target = raft::plan_change(chief->raft().configuration(), changes);
  if (!target.ok()) return;
  chief->control([&](raft::Raft& core) {
    if (core.propose_configuration(*target) != raft::Outcome::kAccepted) return;
    ++summary_.changes;
    note("change of members");
  });
}

}  // namespace coxswain::simulation
