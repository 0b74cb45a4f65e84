// Where rules go. nftables in production; a recording one in tests.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "libs/common/base/result.h"
#include "services/kube-proxy/plan.h"

namespace coxswain::proxy {

class Dataplane {
 public:
  virtual ~Dataplane() = default;
  // One transaction: all of it or nothing. kPermissionDenied when the process may not.
  virtual Result<void> apply(const std::string& transaction) = 0;
  // False when the table is not there, or not as it was applied: somebody flushed or deleted it. Cheap.
  virtual bool intact() = 0;
  // Makes the kernel forget the UDP flows for which `stale` holds (TCP ends by itself). `service_ip` is the
  // address that the client sent to, `endpoint_ip` who answers: the same when nothing was translated.
  virtual void forget_udp(const std::function<bool(const UdpBinding&)>& stale) = 0;
  virtual Result<void> remove_table() = 0;
};

Result<std::unique_ptr<Dataplane>> make_nft_dataplane();

}  // namespace coxswain::proxy
