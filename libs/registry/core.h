// What every verb shares: the store, the clock, one request's state, and how it is answered.
// Internal to libs/registry; users see registry.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/api/meta/status.h"
#include "libs/api/schema/schema.h"
#include "libs/common/base/clock.h"
#include "libs/http/server.h"
#include "libs/registry/media.h"
#include "libs/registry/metrics.h"
#include "libs/registry/registry.h"
#include "libs/registry/request_info.h"
#include "libs/registry/strategy.h"
#include "libs/registry/stream_threads.h"
#include "libs/registry/worker_pool.h"
#include "libs/store/store.h"

namespace coxswain::registry {

// Constant after construction but for the atomics; thread-safe.
struct Core {
  Core(store::Store& store_in, Options options_in);

  store::Store& store;
  const Options options;
  Clock& clock;
  Random& random;
  Metrics metrics;
  WorkerPool workers;
  StreamThreads log_threads;
  StreamThreads store_threads;            // snapshots, hashes, compactions
  std::atomic<bool> stopping{false};      // readyz fails, watches end
  std::atomic<bool> bootstrapped{false};  // system objects exist
  std::atomic<std::int64_t> log_streams{0};
  std::atomic<std::int64_t> store_tasks{0};  // of store_threads
};

// One request. Kept alive by whoever will answer it.
struct Call {
  using Handler = void (*)(const std::shared_ptr<Call>&);
  Core& core;
  std::shared_ptr<http::Exchange> exchange;
  RequestInfo info;
  const api::schema::Resource* resource = nullptr;
  const Strategy* strategy = nullptr;
  Handler handler = nullptr;  // what the route leads to
  UserInfo user;
  Output output;
  std::int64_t now_unix_ms = 0;
  std::int64_t started_ms = 0;
  bool dry_run = false;
  std::vector<std::string> warnings;
  // What the answer shows of an object; null: the object itself. (Scale is a view of what is stored.)
  json::Value (*present)(const json::Value& served) = nullptr;

  Call(Core& c, std::shared_ptr<http::Exchange> e) : core(c), exchange(std::move(e)) {}
  const http::Request& request() const { return exchange->request(); }
  Context context();
  api::GroupResource group_resource() const;
  std::string key() const;
};
using CallPtr = std::shared_ptr<Call>;

// --- answers (respond.cc) ------------------------------------------------------------------------
void respond_status(const CallPtr& call, const api::Status& status);
void respond_json(const CallPtr& call, int code, const json::Value& value);
// A stored object in the shape the client asked for; raw bytes when that is enough.
void respond_entry(const CallPtr& call, int code, const store::EntryPtr& entry);
// The same for an object that is not in the store (dry runs, deleted ones).
void respond_object(const CallPtr& call, int code, const json::Value& object);
// Counts the request and sends.
void respond_raw(const CallPtr& call, http::Response response);
void respond_success(const CallPtr& call, const std::string& uid);
// 201 with a bare Status: what bindings and evictions are answered with.
void respond_created(const CallPtr& call);

// From the store's vocabulary to the API's.
api::Status status_of_store_error(const Error& error);

// --- writes (commit.cc) --------------------------------------------------------------------------
// What one attempt wants: either commit `txn` and then `done`, or nothing more (already answered).
struct Attempt {
  bool answered = false;
  store::Txn txn;
  std::function<void(const store::TxnResult&)> done;  // on the store's thread: only answer
  // Called when a compare failed; true: plan again; false: it has answered.
  std::function<bool(const store::TxnResult&)> conflict;
};
using Planner = std::function<Attempt()>;
// Plans, commits, plans again on conflict (bounded). The first plan runs at once, on this thread.
void run_write(const CallPtr& call, Planner planner, int attempts = 32);

// --- verbs ---------------------------------------------------------------------------------------
void handle_get(const CallPtr& call);
void handle_list(const CallPtr& call);
void handle_watch(const CallPtr& call);
void handle_create(const CallPtr& call);
void handle_update(const CallPtr& call);
void handle_patch(const CallPtr& call);
void handle_delete(const CallPtr& call);
void handle_delete_collection(const CallPtr& call);

// --- subresources --------------------------------------------------------------------------------
void handle_scale(const CallPtr& call);
void handle_binding(const CallPtr& call);
void handle_eviction(const CallPtr& call);
void handle_finalize(const CallPtr& call);
void handle_log(const CallPtr& call);
void handle_self_subject_review(const CallPtr& call);

}  // namespace coxswain::registry
