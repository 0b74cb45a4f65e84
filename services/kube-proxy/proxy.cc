#include "services/kube-proxy/proxy.h"

#include <set>
#include <utility>

#include "libs/common/log/log.h"

namespace coxswain::proxy {

namespace {

// Where clients may have sent to: service addresses with their ports, and node ports ("").
using Destinations = std::set<std::pair<std::string, int>>;

void add_destinations(const std::set<UdpBinding>& bindings, Destinations& out) {
  for (const UdpBinding& binding : bindings) out.insert({binding.service_ip, binding.service_port});
}

// A flow to a Service that is answered by no endpoint of it: by one that is gone, or by nobody, because it
// began before there was a rule.
bool is_stale(const UdpBinding& flow, const Destinations& known, const std::set<UdpBinding>& wanted) {
  if (known.contains({flow.service_ip, flow.service_port})) return !wanted.contains(flow);
  // A node port may be reached by any address of this machine. What was not translated is somebody else's.
  if (flow.service_ip == flow.endpoint_ip || !known.contains({"", flow.service_port})) return false;
  return !wanted.contains({"", flow.service_port, flow.endpoint_ip});
}

}  // namespace

Result<void> Proxy::sync(const PlanInput& input, bool verify) {
  Plan wanted = plan(input);
  if (verify && applied_ && !dataplane_.intact()) {
    log_warning("the rules were changed by somebody else: making them anew", {});
    applied_.reset();
  }
  const std::string transaction =
      applied_ ? render_update(applied_->rules, wanted.rules) : render_full(wanted.rules);
  if (!transaction.empty()) {
    auto applied = dataplane_.apply(transaction);
    if (!applied.ok() && applied_) applied = dataplane_.apply(render_full(wanted.rules));
    if (!applied.ok()) {
      applied_.reset();
      return applied;
    }
  }
  if (!applied_ || applied_->udp != wanted.udp) {
    Destinations known;
    add_destinations(wanted.udp, known);
    if (applied_) add_destinations(applied_->udp, known);
    if (!known.empty())
      dataplane_.forget_udp([&](const UdpBinding& flow) { return is_stale(flow, known, wanted.udp); });
  }
  applied_ = std::move(wanted);
  return {};
}

}  // namespace coxswain::proxy
