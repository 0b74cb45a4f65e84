// Every namespace gets a ServiceAccount "default" and the cluster's CA as ConfigMap kube-root-ca.crt.
#include "services/controller-manager/context.h"

namespace coxswain::controllers {
namespace {

using api::core::v1::ConfigMap;
using api::core::v1::Namespace;
using api::core::v1::ServiceAccount;
using client::ReconcileResult;
using client::Requeue;

constexpr const char* kRootCa = "kube-root-ca.crt";

class State {
 public:
  explicit State(Context& context)
      : context_(context),
        namespaces_(context.informers.get<Namespace>().lister()),
        accounts_(context.informers.get<ServiceAccount>().lister()),
        maps_(context.informers.get<ConfigMap>().lister()) {}

  ReconcileResult reconcile(const std::string& ns) {
    const auto object = namespaces_.get("", ns);
    if (!object || object->metadata.deletionTimestamp || object->status.phase == "Terminating")
      return Requeue::none();
    if (!accounts_.get(ns, "default")) {
      ServiceAccount account;
      account.metadata.name = "default";
      account.metadata.namespace_ = ns;
      const auto done = context_.client.create(account);
      if (!done.ok() && !settled(done.error())) return done.error();
    }
    if (context_.settings.root_ca_pem.empty()) return Requeue::none();
    const std::map<std::string, std::string> wanted{{"ca.crt", context_.settings.root_ca_pem}};
    const auto map = maps_.get(ns, kRootCa);
    if (map && map->data == wanted) return Requeue::none();
    ConfigMap fresh;
    if (map) fresh = *map;
    fresh.metadata.name = kRootCa;
    fresh.metadata.namespace_ = ns;
    fresh.metadata.annotations["kubernetes.io/description"] =
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints "
        "such as the "
        "internal service IP or kubernetes.default.svc.";
    fresh.data = wanted;
    const auto done = map ? context_.client.update(fresh) : context_.client.create(fresh);
    if (!done.ok() && !settled(done.error())) return done.error();
    return Requeue::none();
  }

 private:
  static bool settled(const api::Status& status) {
    return client::is_already_exists(status) || client::is_namespace_terminating(status) ||
           client::is_not_found(status);
  }

  Context& context_;
  const client::Lister<Namespace>& namespaces_;
  const client::Lister<ServiceAccount>& accounts_;
  const client::Lister<ConfigMap>& maps_;
};

}  // namespace

std::unique_ptr<Loop> make_service_account(Context& context) {
  // Only the two names that matter are watched, not every ConfigMap of the cluster.
  auto& accounts = context.informers.get<ServiceAccount>({.field_selector = "metadata.name=default"});
  auto& maps = context.informers.get<ConfigMap>({.field_selector = std::string("metadata.name=") + kRootCa});
  auto loop = std::make_unique<ControllerLoop<State>>(client::ControllerOptions{.name = "serviceaccount"},
                                                      std::make_unique<State>(context));
  auto& controller = loop->controller();
  controller.watch(context.informers.get<Namespace>());
  controller.watch<ServiceAccount>(
      accounts, [](const ServiceAccount& a) { return std::vector{a.metadata.namespace_}; });
  controller.watch<ConfigMap>(maps, [](const ConfigMap& m) { return std::vector{m.metadata.namespace_}; });
  return loop;
}

}  // namespace coxswain::controllers
