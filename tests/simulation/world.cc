#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>

namespace coxswain::simulation {
namespace {

constexpr std::int64_t kMs = 1000;
constexpr std::int64_t kTickUs = 10 * kMs;        // election time-outs of 100 to 200 ms
constexpr std::int64_t kStepDownUs = 1000 * kMs;  // far more than two election time-outs; disks delay it
constexpr std::int64_t kLearnUs = 5000 * kMs;

}  // namespace

World::World(std::uint64_t seed, bool verbose)
    : seed_(seed), verbose_(verbose), random_(seeded_random(seed)) {
  const std::uint64_t sizes[] = {1, 3, 3, 3, 5, 5, 7};
  raft::Configuration configuration;
  for (std::uint64_t id = 1; id <= sizes[random_->below(std::size(sizes))]; ++id)
    configuration.voters.push_back(id);
  if (chance(0.3)) configuration.learners.push_back(configuration.voters.size() + 1);
  for (const raft::MemberId id : configuration.members()) {
    members_[id] =
        std::make_unique<Member>(id, configuration, static_cast<Outside&>(*this), checker_, *random_);
    members_[id]->start();
    tick_us_[id] = between(kTickUs * 8 / 10, kTickUs * 12 / 10);
    at(between(0, kTickUs), [this, id] { tick(id); });
  }
  damage_ = chance(0.3);
  draw_mixture();
  clients_.resize(chance(0.2) ? 12 : 2 + random_->below(4));
  if (chance(0.5)) patience_us_ = 40 * kMs;
  viewers_.resize(random_->below(4));
  for (Viewer& viewer : viewers_)
    viewer.prefix = chance(0.5) ? "key-" : "key-" + std::to_string(random_->below(4));
}

World::~World() = default;

std::int64_t World::between(std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random_->below(static_cast<std::uint64_t>(high - low + 1)));
}

void World::at(std::int64_t delay_us, std::function<void()> what) {
  agenda_.push({now_ + delay_us, ++order_, std::move(what)});
}

void World::note(const std::string& what) {
  if (verbose_) std::printf("%10.3f ms  %s\n", static_cast<double>(now_) / 1000, what.c_str());
}

void World::run_until(std::int64_t end_us) {
  while (!agenda_.empty() && agenda_.top().at <= end_us) {
    const std::function<void()> what = agenda_.top().what;
    now_ = agenda_.top().at;
    agenda_.pop();
    ++summary_.events;
    what();
  }
  now_ = end_us;
}

Summary World::run() {
  for (std::size_t client = 0; client < clients_.size(); ++client)
    at(between(0, 50 * kMs), [this, client] { client_step(client); });
  for (std::size_t viewer = 0; viewer < viewers_.size(); ++viewer)
    at(between(0, 50 * kMs), [this, viewer] { view(viewer); });
  at(between(100 * kMs, 400 * kMs), [this] { accident(); });
  run_until(between(2000, 5000) * kMs);
  calm_ = true;
  settle();
  checker_.check_history(operations_);
  summary_.virtual_ms = now_ / kMs;
  for (const auto& [id, m] : members_) summary_.lost += m->lost() ? 1 : 0;
  for (const Operation& op : operations_) {
    if (op.state == Operation::State::kUnknown) ++summary_.unknown;
    if (op.state == Operation::State::kDone)
      ++(op.kind == Operation::Kind::kRead ? summary_.reads : summary_.writes);
  }
  return summary_;
}

raft::MemberId World::any_member() {
  auto it = members_.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(random_->below(members_.size())));
  return it->first;
}

Member* World::leader() {
  Member* best = nullptr;
  for (auto& [id, member] : members_) {
    if (!member->up() || member->raft().role() != raft::Role::kLeader) continue;
    if (best == nullptr || member->raft().term() > best->raft().term()) best = member.get();
  }
  return best;
}

void World::tick(raft::MemberId id) {
  const bool stopped = no_ticks_until_[id] > now_;
  if (!stopped) member(id)->tick();
  if (stopped) reigns_.erase(id);  // it cannot know how long it has heard nothing
  watch_leaders(id);
  at(tick_us_[id], [this, id] { tick(id); });
}

// §6.2: a leader that does not hear from a quorum must notice.
void World::watch_leaders(raft::MemberId id) {
  Member& m = *member(id);
  const bool leads = m.up() && !m.busy() && m.raft().role() == raft::Role::kLeader;
  if (!leads || reigns_[id].configuration != m.raft().configuration()) {
    reigns_.erase(id);
    if (leads) reigns_[id] = {now_, m.raft().configuration()};
    return;
  }
  std::int64_t silent_us = 0;
  const auto heard_lately = [&](raft::MemberId other) -> std::optional<bool> {
    if (other == id) return true;
    const std::int64_t silent = now_ - std::max(heard_[{id, other}], reigns_[id].since);
    silent_us = std::max(silent_us, silent);
    return silent <= kStepDownUs;
  };
  if (raft::count_votes(m.raft().configuration(), heard_lately) == raft::Vote::kWon) return;
  checker_.on_leader_cut_off(id, silent_us / kMs);
}

// ---- the network and the disks ----

void World::send(Envelope envelope, std::int64_t later_us) {
  if (envelope.state != nullptr) {
    ++summary_.snapshots;
    // The sender's node learns how the transfer went.
    const raft::MemberId from = envelope.message.from;
    const raft::MemberId to = envelope.message.to;
    at(between(20 * kMs, 60 * kMs), [this, from, to] { report_snapshot(from, to); });
  }
  if (chance(duplication_)) transmit(envelope, later_us);
  transmit(std::move(envelope), later_us);
}

void World::report_snapshot(raft::MemberId from, raft::MemberId to) {
  if (!member(from)->up()) return;
  if (member(from)->busy()) return at(kTickUs, [this, from, to] { report_snapshot(from, to); });
  const bool arrived = members_.count(to) > 0 && member(to)->up();
  member(from)->control([&](raft::Raft& core) { core.report_snapshot(to, arrived); });
}

void World::report_unreachable(raft::MemberId by, raft::MemberId id) {
  if (!member(by)->up()) return;
  if (member(by)->busy()) return at(kTickUs, [this, by, id] { report_unreachable(by, id); });
  member(by)->control([&](raft::Raft& core) { core.report_unreachable(id); });
}

void World::transmit(Envelope envelope, std::int64_t later_us) {
  const raft::Message& m = envelope.message;
  if (chance(loss_) || !reachable(m.from, m.to) || members_.count(m.to) == 0) return;
  std::int64_t delay = chance(0.02) ? between(0, 40 * delay_us_) : between(100, delay_us_);
  const bool late = chance(late_);  // and past every partition that comes meanwhile
  if (late) delay = between(50 * kMs, late_most_us_);
  at(later_us + delay, [this, late, envelope = std::move(envelope)]() mutable {
    if (!late && !reachable(envelope.message.from, envelope.message.to)) return;
    const raft::MemberId to = envelope.message.to;
    heard_[{to, envelope.message.from}] = now_;
    if (chance(torn_tail_) && member(to)->would_replace(envelope.message)) crash_writing(to);
    member(to)->deliver(std::move(envelope));
  });
}

std::int64_t World::disk_us(raft::MemberId id) {
  const auto slow = disk_us_.find(id);
  return between(100, slow == disk_us_.end() ? 1 * kMs : slow->second);
}

void World::wake_at(raft::MemberId id, std::uint64_t life, std::int64_t later_us) {
  at(later_us, [this, id, life] { member(id)->wake(life); });
}

void World::flush_at(raft::MemberId id, std::uint64_t life, std::int64_t later_us) {
  at(later_us, [this, id, life] { member(id)->flush(life); });
}

void World::leads(raft::MemberId id) {
  if (calm_ || !chance(short_reign_)) return;
  at(0, [this, id] { end_reign(id); });
}

void World::committed(raft::MemberId id, raft::Index index) {
  const raft::Raft& leader = member(id)->raft();
  const std::optional<raft::Term> term = leader.log().term(index);
  if (term != leader.term()) return;  // learnt, not counted
  std::vector<raft::MemberId> holders;
  for (const auto& [other, m] : members_)
    if (m->holds(index, *term)) holders.push_back(other);
  checker_.on_commit(leader, member(id)->configuration_before(), index, holders);
}

// ---- the end: everything is repaired, and then everything must work ----

void World::settle() {
  heal();
  no_ticks_until_.clear();
  loss_ = duplication_ = late_ = 0;
  delay_us_ = 2000;
  disk_us_.clear();
  for (auto& [id, m] : members_) {
    m->disk().set_space(std::nullopt);
    if (m->up()) m->engine().fail_writes(0);
    if (m->up()) m->engine().fail_flushes(0);
    m->crash_after(std::int64_t{1} << 40);  // not any more
    m->pause(false);
    if (m->planted() == Damage::kLog) m->crash();  // found when it is read
    if (!m->up() && !m->lost()) m->start();
  }
  const std::size_t before = operations_.size();
  const std::int64_t end = now_ + kLearnUs;
  while (now_ < end) {
    run_until(now_ + 50 * kMs);
    replace_lost();
    if (everything_works(before)) return;
  }
  if (!repairable()) {
    ++summary_.unrepairable;
    return;
  }
  for (const auto& [id, m] : members_)
    if (m->planted() != Damage::kNone)
      fail("damage is found", "nobody knows what is wrong with member " + std::to_string(id));
  fail("progress",
       "5 s after everything was repaired the group does not work (member:role/term/applied/last" +
           describe_members() + ")");
}

}  // namespace coxswain::simulation
