#include "libs/registry/core.h"

namespace coxswain::registry {
namespace {

struct Write : std::enable_shared_from_this<Write> {
  CallPtr call;
  Planner planner;
  int attempts_left = 0;

  void attempt() {
    auto plan = std::make_shared<Attempt>(planner());
    if (plan->answered) return;
    auto self = shared_from_this();
    store::Txn txn = std::move(plan->txn);
    call->core.store.txn(std::move(txn), [self, plan](Result<store::TxnResult> result) {
      self->finish(*plan, std::move(result));
    });
  }

  void finish(const Attempt& plan, Result<store::TxnResult> result) {
    if (!result.ok()) {
      respond_status(call, status_of_store_error(result.error()));
      return;
    }
    if (result->succeeded) {
      plan.done(*result);
      return;
    }
    if (plan.conflict != nullptr && !plan.conflict(*result)) return;
    if (--attempts_left <= 0) {
      respond_status(call, api::conflict(call->group_resource(), call->info.name,
                                         "the object has been modified; please apply your changes to the "
                                         "latest version and try again"));
      return;
    }
    // Planning costs more than the store's thread should spend: back to the connection's own.
    auto self = shared_from_this();
    call->exchange->post(0, [self] { self->attempt(); });
  }
};

}  // namespace

void run_write(const CallPtr& call, Planner planner, int attempts) {
  auto write = std::make_shared<Write>();
  write->call = call;
  write->planner = std::move(planner);
  write->attempts_left = attempts;
  write->attempt();
}

}  // namespace coxswain::registry
