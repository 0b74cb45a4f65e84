#include "libs/store/store.h"

#include <future>

namespace coxswain::store {

void Entry::set_attachment(std::shared_ptr<const void> a) const {
  const auto* mine = new std::shared_ptr<const void>(std::move(a));
  const std::shared_ptr<const void>* nothing = nullptr;
  if (!attachment_.compare_exchange_strong(nothing, mine, std::memory_order_acq_rel)) delete mine;
}

Result<TxnResult> Store::txn_wait(Txn txn) {
  auto promise = std::make_shared<std::promise<Result<TxnResult>>>();
  auto future = promise->get_future();
  this->txn(std::move(txn), [promise](Result<TxnResult> result) { promise->set_value(std::move(result)); });
  return future.get();
}

}  // namespace coxswain::store
