// The API: requests in, answers out, over a Store. Everything of the Kubernetes resource model that
// is not HTTP parsing or storage happens behind handle().
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
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
  // Whether other api-servers may share the store: then the `kubernetes` Service leads to all that live.
  bool several_servers = false;
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
class ServerEndpoints;

class Registry {
 public:
  // `store` outlives the registry, or is closed between end_shutdown() and the end.
  Registry(store::Store& store, Options options);
  ~Registry();

  // Answers on the calling thread, on the store's or on a worker; never blocks for long.
  void handle(std::shared_ptr<http::Exchange> exchange);

  // Makes the namespaces, the `kubernetes` Service and its endpoints if they are missing or wrong; until
  // that is done resources are answered with 503. Other servers may do the same at the same time. A store
  // that does not serve yet is waited for (a log line every 5 s says what for) until `stop`: kCancelled.
  // Call once.
  Result<void> bootstrap(std::stop_token stop = {});

  // One in-process request as the system itself; waits for the answer.
  struct Answer {
    int code = 0;
    std::string body;
  };
  // Gives up with 503 when `stop` is requested, with 504 after 30 s; a write may be done all the same.
  Answer call(const std::string& method, const std::string& target, const std::string& body = {},
              std::stop_token stop = {});

  // Removes events that are older than their TTL; returns how many. Called from a control thread.
  int expire_events();

  // readyz fails from now on, watches end; answers in flight go on. Takes this server out of the `kubernetes`
  // Service's endpoints, if there are others: up to 3 s.
  void begin_shutdown();
  // When no request comes any more: ends the threads, so that nobody but its own callbacks uses the store.
  // Close the store then, which answers who still waits for it, and after it the server and the registry.
  void end_shutdown();

 private:
  void serve(std::shared_ptr<http::Exchange> exchange, bool from_inside);
  Result<void> make_system_objects(std::stop_token stop);
  std::unique_ptr<Core> core_;
  std::unique_ptr<ServerEndpoints> endpoints_;
  struct Expiry;
  std::unique_ptr<Expiry> expiry_;
};

}  // namespace coxswain::registry
