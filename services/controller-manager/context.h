// What every controller is given, and the few things they share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/types/meta_v1.h"
#include "libs/client/controller.h"
#include "libs/client/event_recorder.h"
#include "libs/client/selector.h"
#include "libs/common/base/clock.h"
#include "services/controller-manager/pod_view.h"

namespace coxswain::controllers {

struct Settings {
  std::string cluster_cidr = "10.244.0.0/16";
  int node_cidr_mask_size = 24;
  std::int64_t node_monitor_grace_ms = 50'000;
  std::int64_t node_monitor_period_ms = 5'000;
  std::int64_t terminated_pod_threshold = 12'500;
  std::string root_ca_pem;  // published as kube-root-ca.crt; "" publishes nothing
};

struct Context {
  client::ApiClient& client;
  client::InformerSet& informers;
  client::EventRecorder& events;
  const Settings& settings;
  Clock& clock;
};

// A running part of the manager: owns its queues and threads.
class Loop {
 public:
  virtual ~Loop() = default;
  virtual void start() = 0;  // the informers are synced
  virtual void stop() = 0;   // joins
};

// Most loops are one Controller; this holds it with the state its reconcile uses.
template <typename State>
class ControllerLoop : public Loop {
 public:
  ControllerLoop(client::ControllerOptions options, std::unique_ptr<State> state)
      : state_(std::move(state)), controller_(std::move(options), [s = state_.get()](const std::string& key) {
          return s->reconcile(key);
        }) {}
  client::Controller& controller() { return controller_; }
  State& state() { return *state_; }
  void start() override { controller_.start(); }
  void stop() override { controller_.stop(); }

 private:
  std::unique_ptr<State> state_;
  client::Controller controller_;
};

// Which objects an owner has: its own that still match, orphans to adopt, its own to let go.
struct Claim {
  std::vector<std::size_t> owned;
  std::vector<std::size_t> adopt;  // not in `owned` until adopted
  std::vector<std::size_t> release;
};
struct Claimable {
  const std::vector<api::meta::v1::OwnerReference>* owners;
  const client::Labels* labels;
  bool deleting;
};
Claim plan_claim(const std::string& owner_uid, bool owner_deleting,
                 const api::meta::v1::LabelSelector& selector, const std::vector<Claimable>& objects);

json::Value owner_reference_json(std::string_view api_version, std::string_view kind, std::string_view name,
                                 std::string_view uid);
// Bodies for a strategic merge patch of metadata.ownerReferences; the uid guards against a namesake.
json::Value adopt_patch(const json::Value& owner, const std::string& object_uid);
json::Value release_patch(const std::string& owner_uid, const std::string& object_uid);

// Already gone, or as it should be: not an error for a level-triggered loop.
client::ReconcileResult ignore_not_found(const api::Status& status);

std::unique_ptr<Loop> make_replicaset(Context& context);
std::unique_ptr<Loop> make_deployment(Context& context);
std::unique_ptr<Loop> make_endpoints(Context& context);
std::unique_ptr<Loop> make_service_account(Context& context);
std::unique_ptr<Loop> make_namespace(Context& context);
std::unique_ptr<Loop> make_garbage_collector(Context& context);
std::unique_ptr<Loop> make_node_ipam(Context& context);
std::unique_ptr<Loop> make_node_lifecycle(Context& context);
std::unique_ptr<Loop> make_pod_gc(Context& context);

}  // namespace coxswain::controllers
