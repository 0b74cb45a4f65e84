// Keeps this api-server among the endpoints of the Service `kubernetes`, and the dead ones out of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "libs/common/base/clock.h"
#include "libs/common/base/result.h"
#include "libs/registry/cluster/server_endpoints_plan.h"
#include "libs/registry/registry.h"
#include "libs/store/store.h"

namespace coxswain::registry {

// Why a call from inside was refused: kUnavailable when it may be asked again later.
Error refusal_of(const std::string& what, const Registry::Answer& answer);

class ServerEndpoints {
 public:
  // One request to the API as the system itself; returns early, with 503, when `stop` is requested.
  using Call = std::function<Registry::Answer(const std::string& method, const std::string& target,
                                              const std::string& body, std::stop_token stop)>;
  struct Settings {
    ServerAddress self;
    // Whether others may share the store. If not, there are no leases and no thread: what leads elsewhere is
    // left over from an earlier start.
    bool shared = false;
    std::int64_t removal_timeout_ms = 3'000;
  };
  // `store` and `clock` outlive it.
  ServerEndpoints(store::Store& store, Clock& clock, Call call, Settings settings);
  ~ServerEndpoints();

  // Renews the lease and brings the objects into line: before the first request is served. Waits for the
  // store; kUnavailable: try again.
  Result<void> register_self(std::stop_token stop);
  // From then on: renews every 10 s, looks at that time and when any lease comes, goes or expires.
  void start();
  // Takes this server out; bounded by removal_timeout_ms, so that a store without quorum does not hold up a
  // shutdown: then the others notice by themselves. Safe to call again. Nothing happens before start().
  void stop();

 private:
  struct Wake;  // shared with the store's thread
  void run(std::stop_token stop);
  Result<void> renew(std::stop_token stop);
  // `leaving`: as if this server were not there.
  Result<void> look(std::stop_token stop, bool leaving);
  Result<std::vector<ServerLease>> read_leases() const;
  // True when everything was done; false: something moved meanwhile, read again.
  Result<bool> settle(const std::vector<ServerAddress>& live, std::stop_token stop);
  Result<store::TxnResult> commit(store::Txn txn, std::stop_token stop);
  void remove_expired(const std::vector<ServerLease>& expired, std::stop_token stop);
  void remove_self();

  store::Store& store_;
  Clock& clock_;
  const Call call_;
  const Settings settings_;
  const std::shared_ptr<Wake> wake_;
  // The thread's, or of who calls while there is none.
  ServerLeases leases_;
  std::int64_t renewals_ = 0;
  std::int64_t next_renewal_ms_ = 0;
  std::int64_t next_expiry_ms_ = 0;
  std::jthread thread_;
};

}  // namespace coxswain::registry
