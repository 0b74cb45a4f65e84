// The API: requests in, answers out, over a Store. Everything of the Kubernetes resource model that
// is not HTTP parsing or storage happens behind handle().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "libs/common/base/clock.h"
#include "libs/common/base/result.h"
#include "libs/common/json/json.h"
#include "libs/http/client.h"
#include "libs/http/server.h"
#include "libs/registry/strategy.h"
#include "libs/store/admin.h"
#include "libs/store/store.h"

namespace coxswain::registry {

struct Options {
  ClusterSettings settings;
  std::string advertise_address = "127.0.0.1";  // what the `kubernetes` Service points at
  std::int32_t advertise_port = 6443;
  bool authenticate = true;  // false: tests without TLS, everyone is admin
  // How to reach kubelets (certificates); base_url is filled in per node.
  http::ClientOptions kubelet_client;
  std::int64_t event_ttl_ms = 3'600'000;
  std::int64_t bookmark_interval_ms = 60'000;
  int workers = 2;                           // threads for long work (tables, huge bodies)
  store::StoreAdmin* store_admin = nullptr;  // not owned, lives as long as the store; null: it has none
  Clock* clock = nullptr;                    // null: the system's
  Random* random = nullptr;                  // null: the system's
};

struct Core;

class Registry {
 public:
  // `store` outlives the registry.
  Registry(store::Store& store, Options options);
  ~Registry();

  // Answers on the calling thread, on the store's or on a worker; never blocks for long.
  void handle(std::shared_ptr<http::Exchange> exchange);

  // Makes the namespaces, the `kubernetes` Service and its endpoints if they are missing or wrong.
  // Waits for the store; call once before serving.
  Result<void> bootstrap();

  // One in-process request as the system itself; waits for the answer.
  struct Answer {
    int code = 0;
    std::string body;
  };
  Answer call(const std::string& method, const std::string& target, const std::string& body = {},
              const std::string& content_type = "application/json");

  // Removes events that are older than their TTL; returns how many. Called from a control thread.
  int expire_events();

  // readyz fails from now on, watches end; answers in flight go on.
  void begin_shutdown();

 private:
  std::unique_ptr<Core> core_;
  struct Expiry;
  std::unique_ptr<Expiry> expiry_;
};

}  // namespace coxswain::registry
