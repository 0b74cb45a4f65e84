// The one idiom of every control loop: watches map objects to keys, workers reconcile keys.
//
//   Controller controller({.name = "replicaset", .workers = 2}, [&](const std::string& key) ->
//   ReconcileResult {
//     ...; return Requeue::none();
//   });
//   controller.watch(informers.get<ReplicaSet>());                      // its own key
//   controller.watch<Pod>(informers.get<Pod>(), [](const Pod& pod) { return owner_keys(pod); });
//
// reconcile is level-triggered: it reads the listers and the world and moves the world one step. It
// is never called twice at once for one key. An error is logged and tried again with back-off.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "libs/api/meta/status.h"
#include "libs/client/informer.h"
#include "libs/client/work_queue.h"

namespace coxswain::client {

struct Requeue {
  std::int64_t after_ms = -1;  // < 0: only when something changes
  static Requeue none() { return {}; }
  static Requeue after(std::int64_t ms) { return {ms}; }
};
using ReconcileResult = api::ApiResult<Requeue>;
using ReconcileFunction = std::function<ReconcileResult(const std::string& key)>;

struct ControllerOptions {
  std::string name;
  int workers = 1;
  WorkQueueOptions queue;
};

class Controller {
 public:
  Controller(ControllerOptions options, ReconcileFunction reconcile, Clock& clock = system_clock());
  ~Controller();

  template <typename T>
  void watch(Informer<T>& informer) {
    informer.add_handler([this](const Change<T>& change) { enqueue(key_of(*change.object)); });
  }
  // The mapper sees the new state, and on an update the old one too (labels or owners may have moved).
  template <typename T>
  void watch(Informer<T>& informer, std::function<std::vector<std::string>(const T&)> mapper) {
    informer.add_handler([this, mapper = std::move(mapper)](const Change<T>& change) {
      for (const auto& key : mapper(*change.object)) enqueue(key);
      if (!change.old_object) return;
      for (const auto& key : mapper(*change.old_object)) enqueue(key);
    });
  }

  void enqueue(const std::string& key) { queue_.add(key); }
  void enqueue_after(const std::string& key, std::int64_t ms) { queue_.add_after(key, ms); }
  WorkQueue& queue() { return queue_; }
  const std::string& name() const { return options_.name; }

  void start();  // spawns the workers; the informers are synced by then
  void stop();   // waits for the calls in progress
  // One key on the calling thread, for tests: false when none was due.
  bool process_one(std::stop_token stop);

 private:
  const ControllerOptions options_;
  const ReconcileFunction reconcile_;
  WorkQueue queue_;
  std::vector<std::jthread> workers_;
};

}  // namespace coxswain::client
