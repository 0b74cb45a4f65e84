// Clients: each sends one request at a time, to any member, and gives up after a while.
#include "tests/simulation/world.h"

namespace coxswain::simulation {
namespace {

constexpr std::int64_t kMs = 1000;

}  // namespace

void World::client_step(std::size_t client) {
  if (!clients_[client].waiting) start_operation(client);
  // In the end there is time for everybody to catch up, even where one entry is sent at a time.
  at(calm_ ? 100 * kMs : between(1 * kMs, 30 * kMs), [this, client] { client_step(client); });
}

void World::start_operation(std::size_t client) {
  Client& self = clients_[client];
  if (self.target == 0 || chance(0.1)) self.target = any_member();
  Operation op;
  const std::uint64_t key = random_->below(4);
  op.key = "key-" + std::to_string(key);
  // Nobody reads these, so that damage in them is nothing that a client could see before it is found.
  const bool cold = damage_ && chance(0.2);
  if (cold) op.key = "cold-" + std::to_string(key);
  op.kind = !cold && chance(0.4) ? Operation::Kind::kRead
            : chance(0.4)        ? Operation::Kind::kCompareAndPut
            : chance(0.3)        ? Operation::Kind::kDelete
                                 : Operation::Kind::kPut;
  op.began = now_;
  const std::size_t id = operations_.size();
  store::Txn txn;
  if (op.kind != Operation::Kind::kRead) {
    op.value = "value-" + std::to_string(id);
    if (op.kind == Operation::Kind::kCompareAndPut) txn.compares.push_back({op.key, self.seen[op.key]});
    const bool put = op.kind != Operation::Kind::kDelete;
    txn.ops.push_back(
        {put ? store::Op::Type::kPut : store::Op::Type::kDelete, op.key, op.value, store::kNoSplice});
    for (std::uint64_t more = put && chance(0.2) ? 1 + random_->below(2) : 0; more > 0; --more) {
      op.others.push_back("key-" + std::to_string((key + more) % 4));
      txn.ops.push_back({store::Op::Type::kPut, op.others.back(), value_of_other(op, op.others.size() - 1),
                         store::kNoSplice});
    }
  }
  const Operation copy = op;
  operations_.push_back(std::move(op));
  self.waiting = true;
  self.operation = id;
  Member& target = *member(self.target);
  const bool accepted =
      copy.kind == Operation::Kind::kRead ? target.read(id, copy.key) : target.write(id, txn, copy.value);
  if (accepted) {
    at(patience_us_, [this, client, id] { time_out(client, id); });
    return;
  }
  // Refused at once: nothing happened. Follow the hint, or try anybody.
  operations_[id].state = Operation::State::kFailed;
  operations_[id].ended = now_;
  self.waiting = false;
  const raft::MemberId hint = target.up() ? target.raft().leader() : raft::kNobody;
  self.target = members_.count(hint) > 0 && hint != self.target ? hint : any_member();
}

void World::time_out(std::size_t client, std::size_t operation) {
  Client& self = clients_[client];
  Operation& op = operations_[operation];
  if (op.state != Operation::State::kOpen) return;
  op.state = op.kind == Operation::Kind::kRead ? Operation::State::kFailed : Operation::State::kUnknown;
  op.ended = now_;
  if (self.operation != operation) return;
  self.waiting = false;
  self.target = any_member();
}

void World::finished(std::size_t operation, bool done, store::Revision revision, bool wrote,
                     std::string value) {
  Operation& op = operations_[operation];
  if (op.state != Operation::State::kOpen) return;  // the client has given up
  op.state = done ? Operation::State::kDone : Operation::State::kFailed;
  op.ended = now_;
  op.revision = revision;
  op.wrote = done && wrote;
  if (op.kind == Operation::Kind::kRead) op.value = std::move(value);
  for (Client& client : clients_) {
    if (client.operation != operation || !client.waiting) continue;
    client.waiting = false;
    if (op.wrote) client.seen[op.key] = revision;
  }
}

}  // namespace coxswain::simulation
