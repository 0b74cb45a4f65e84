// What every cluster has from its first moment: four namespaces and the way to the API itself.
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"
#include "libs/registry/cluster/server_endpoints.h"
#include "libs/registry/cluster/service_addresses.h"
#include "libs/registry/core.h"
#include "libs/registry/registry.h"

namespace coxswain::registry {
namespace {

constexpr int kAttempts = 5;
constexpr std::int64_t kRetryMs = 250;
constexpr std::int64_t kSayEveryMs = 5'000;

json::Value kubernetes_service(const std::string& cluster_ip, std::int32_t port) {
  json::Value meta = json::Value::object(
      {{"name", "kubernetes"},
       {"namespace", "default"},
       {"labels", json::Value::object({{"component", "apiserver"}, {"provider", "kubernetes"}})}});
  return json::Value::object(
      {{"apiVersion", "v1"},
       {"kind", "Service"},
       {"metadata", std::move(meta)},
       {"spec",
        json::Value::object(
            {{"type", "ClusterIP"},
             {"clusterIP", cluster_ip},
             {"sessionAffinity", "None"},
             {"ports",
              json::Value::array({json::Value::object(
                  {{"name", "https"}, {"protocol", "TCP"}, {"port", 443}, {"targetPort", port}})})}})}});
}

// One line at once, and then every 5 s, that says what is waited for.
class Patience {
 public:
  explicit Patience(Clock& clock) : clock_(clock), said_ms_(clock.now_ms() - kSayEveryMs) {}
  void look(const std::string& why) {
    if (clock_.now_ms() - said_ms_ < kSayEveryMs) return;
    said_ms_ = clock_.now_ms();
    log_info("waiting for the store", {{"reason", why}});
  }

 private:
  Clock& clock_;
  std::int64_t said_ms_;
};

void sleep_ms(std::int64_t ms, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, std::chrono::milliseconds(ms), [] { return false; });
}

}  // namespace

Result<void> Registry::make_system_objects(std::stop_token stop) {
  // Whatever a refusal says: another server may have made the object meanwhile, so look again.
  const auto ensure = [this, stop](const std::string& collection, const json::Value& object) -> Result<void> {
    const std::string target = collection + "/" + object.get_string_path({"metadata", "name"});
    Answer refused;
    for (int i = 0; i < kAttempts; ++i) {
      const Answer current = call("GET", target, {}, stop);
      if (current.code == 200) return {};
      if (current.code != 404) return refusal_of("cannot make " + target, current);
      refused = call("POST", collection, json::write(object), stop);
      if (refused.code < 300) return {};
    }
    return refusal_of("cannot make " + target, refused);
  };
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    COX_RETURN_IF_ERROR(ensure("/api/v1/namespaces",
                               json::Value::object({{"apiVersion", "v1"},
                                                    {"kind", "Namespace"},
                                                    {"metadata", json::Value::object({{"name", name}})}})));
  }
  const Options& options = core_->options;
  const std::optional<Ipv4Range> range = parse_ipv4_range(options.settings.service_cluster_ip_range);
  if (!range) {
    return make_error(ErrorCode::kInvalidArgument,
                      "--service-cluster-ip-range must be an IPv4 range like 10.96.0.0/16, not \"" +
                          options.settings.service_cluster_ip_range + "\"");
  }
  COX_RETURN_IF_ERROR(ensure("/api/v1/namespaces/default/services",
                             kubernetes_service(format_ipv4(range->base + 1), options.advertise_port)));
  return endpoints_->register_self(stop);
}

Result<void> Registry::bootstrap(std::stop_token stop) {
  Patience patience(core_->clock);
  while (true) {
    std::string why;
    if (const store::Stats stats = core_->store.stats(); stats.serving) {
      const Result<void> made = make_system_objects(stop);
      if (made.ok()) break;
      if (made.error().code != ErrorCode::kUnavailable) return made;
      why = made.error().message;
    } else {
      why = stats.not_serving_reason;
    }
    if (stop.stop_requested()) return make_error(ErrorCode::kCancelled, "stopped while it was starting");
    patience.look(why);
    sleep_ms(kRetryMs, stop);
  }
  core_->bootstrapped = true;
  endpoints_->start();
  return {};
}

}  // namespace coxswain::registry
