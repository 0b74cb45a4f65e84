// Where rules go. nftables in production; a recording one in tests.
#pragma once

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
  // Makes the kernel forget UDP flows to endpoints that are gone (TCP ends by itself).
  virtual void forget_udp(const std::set<UdpBinding>& gone) = 0;
  virtual Result<void> remove_table() = 0;
};

Result<std::unique_ptr<Dataplane>> make_nft_dataplane();

}  // namespace coxswain::proxy
