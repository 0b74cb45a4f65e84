#include "services/kube-proxy/proxy.h"

#include <algorithm>

namespace coxswain::proxy {

Result<void> Proxy::sync(const PlanInput& input) {
  Plan wanted = plan(input);
  const std::string transaction =
      applied_ ? render_update(applied_->rules, wanted.rules) : render_full(wanted.rules);
  if (!transaction.empty()) {
    if (auto applied = dataplane_.apply(transaction); !applied.ok()) {
      applied_.reset();
      return applied;
    }
  }
  if (applied_) {
    std::set<UdpBinding> gone;
    std::set_difference(applied_->udp.begin(), applied_->udp.end(), wanted.udp.begin(), wanted.udp.end(),
                        std::inserter(gone, gone.end()));
    dataplane_.forget_udp(gone);
  }
  applied_ = std::move(wanted);
  return {};
}

}  // namespace coxswain::proxy
