// Members that are damaged: one at a time, so that they stay a minority; and what an operator does about
// them.
#include <algorithm>

#include "tests/simulation/world.h"

namespace coxswain::simulation {

bool World::damage_is_about() const {
  if (!damage_) return false;
  for (const auto& [id, m] : members_) {
    if (m->planted() != Damage::kNone) return true;
    if (!m->lost()) continue;
    for (const auto& [other, witness] : members_)
      if (witness->up() && witness->raft().configuration().contains(id)) return true;
  }
  return false;
}

void World::plant_damage() {
  Member* chief = leader();
  if (calm_ || chief == nullptr || damage_is_about()) return;
  const raft::Configuration& now = chief->raft().configuration();
  if (now.joint() || now.voters.size() < 3) return;
  const std::vector<raft::MemberId> members = now.members();
  const auto damage = static_cast<Damage>(1 + random_->below(4));
  if (member(members[random_->below(members.size())])->plant(damage)) ++summary_.damages;
}

void World::damage_rows(raft::MemberId from, std::vector<store::EngineBatch>* rows) {
  if (calm_ || !damage_ || !chance(0.05) || choose_row(rows, *random_) == nullptr) return;
  checker_.on_damage(from);
  note("damage a state of " + std::to_string(from) + " on its way");
  ++summary_.damages;
}

// A member that refuses to start is removed, and another one added in its place, under an id that nobody had.
void World::replace_lost() {
  Member* chief = leader();
  if (chief == nullptr || chief->busy()) return;
  const raft::Configuration& now = chief->raft().configuration();
  if (now.joint()) return;
  for (const raft::MemberId id : now.members()) {
    if (!member(id)->lost()) continue;
    const raft::MemberId fresh = next_id_++;
    const auto kind = now.is_voter(id) ? raft::Change::Kind::kAddVoter : raft::Change::Kind::kAddLearner;
    const Result<raft::Configuration> target =
        raft::plan_change(now, {{raft::Change::Kind::kRemove, id}, {kind, fresh}});
    if (!target.ok()) return;
    chief->control([&](raft::Raft& core) {
      if (core.propose_configuration(*target) != raft::Outcome::kAccepted) return;
      ++summary_.changes;
      note("replace " + std::to_string(id) + " by " + std::to_string(fresh));
      add_member(fresh);
    });
    return;
  }
}

// Whether those who are not lost can decide anything, whoever of them is right about who the members are.
bool World::repairable() const {
  return std::all_of(members_.begin(), members_.end(), [this](const auto& item) {
    if (!item.second->up()) return true;
    const auto alive = [this](raft::MemberId id) -> std::optional<bool> {
      return members_.count(id) > 0 && !members_.at(id)->lost();
    };
    return raft::count_votes(item.second->raft().configuration(), alive) == raft::Vote::kWon;
  });
}

bool World::everything_works(std::size_t first_operation) {
  Member* chief = leader();
  if (chief == nullptr || chief->raft().configuration().joint()) return false;
  bool wrote = false;
  for (std::size_t i = first_operation; i < operations_.size(); ++i)
    wrote = wrote || (operations_[i].wrote && operations_[i].state == Operation::State::kDone);
  if (!wrote) return false;
  for (const raft::MemberId id : chief->raft().configuration().members()) {
    const Member& m = *member(id);
    if (!m.up() || m.raft().applied() + 20 < chief->raft().applied()) return false;
    if (!m.store().damage().empty()) return false;  // it is about to leave
    // A change that was under way may have left two voters: they differ, and nobody can say who is wrong.
    const bool told = !chief->store().applied().checks.alarm().empty();
    if (m.planted() != Damage::kNone && !(m.planted() == Damage::kOtherState && told)) return false;
  }
  return true;
}

std::string World::describe_members() const {
  std::string states;
  for (const auto& [id, m] : members_) {
    states += " " + std::to_string(id);
    if (!m->up()) states += m->lost() ? ":lost" : ":down";
    if (!m->up()) continue;
    states += ":" + std::to_string(static_cast<int>(m->raft().role())) + "/t" +
              std::to_string(m->raft().term()) + "/a" + std::to_string(m->raft().applied()) + "/l" +
              std::to_string(m->raft().last_index()) + describe(m->raft().configuration());
    if (m->planted() != Damage::kNone) states += "damaged:" + std::to_string(static_cast<int>(m->planted()));
    if (!m->store().damage().empty()) states += "leaving";
  }
  return states;
}

}  // namespace coxswain::simulation
