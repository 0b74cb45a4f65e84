// Publishes the addresses behind every Service that has a selector: EndpointSlices for kube-proxy and
// DNS, and the legacy Endpoints object with the same content.
#include "libs/common/log/log.h"
#include "services/controller-manager/context.h"
#include "services/controller-manager/endpoints_mirror.h"

namespace coxswain::controllers {
namespace {

using api::core::v1::Node;
using client::ReconcileResult;
using client::Requeue;

constexpr const char* kServiceName = "kubernetes.io/service-name";
constexpr const char* kManagedByLabel = "endpointslice.kubernetes.io/managed-by";

class State {
 public:
  explicit State(Context& context)
      : context_(context),
        services_(context.informers.get<Service>().lister()),
        pods_(context.informers.get<PodView>().lister()),
        nodes_(context.informers.get<Node>().lister()),
        slices_(context.informers.get<EndpointSlice>().lister()),
        endpoints_(context.informers.get<Endpoints>().lister()) {}
  ReconcileResult reconcile(const std::string& key);

 private:
  std::vector<PodPointer> matching_pods(const Service& service) const;
  std::map<std::string, std::string> zones(const std::vector<PodPointer>& pods) const;
  std::vector<EndpointSlice> slices_of(const std::string& key, std::string_view manager) const;
  ReconcileResult remove_all(const std::string& key, std::string_view manager);
  ReconcileResult mirror(const std::string& key);
  ReconcileResult publish(const Service& service);
  ReconcileResult write_slices(const std::string& ns, const SlicePlan& plan);
  ReconcileResult write_legacy(const Service& service, std::vector<api::core::v1::EndpointSubset> subsets);

  Context& context_;
  const client::Lister<Service>& services_;
  const client::Lister<PodView>& pods_;
  const client::Lister<Node>& nodes_;
  const client::Lister<EndpointSlice>& slices_;
  const client::Lister<Endpoints>& endpoints_;
};

std::vector<PodPointer> State::matching_pods(const Service& service) const {
  std::vector<PodPointer> out;
  for (auto& pod : pods_.list(service.metadata.namespace_)) {
    if (client::labels_contain(pod->metadata.labels, service.spec.selector)) out.push_back(std::move(pod));
  }
  return out;
}

std::map<std::string, std::string> State::zones(const std::vector<PodPointer>& pods) const {
  std::map<std::string, std::string> out;
  for (const auto& pod : pods) {
    if (pod->node.empty() || out.count(pod->node)) continue;
    const auto node = nodes_.get("", pod->node);
    if (!node) continue;
    const auto zone = node->metadata.labels.find("topology.kubernetes.io/zone");
    if (zone != node->metadata.labels.end()) out[pod->node] = zone->second;
  }
  return out;
}

std::vector<EndpointSlice> State::slices_of(const std::string& key, std::string_view wanted) const {
  std::vector<EndpointSlice> out;
  for (const auto& slice : slices_.by_index("service", key)) {
    const auto manager = slice->metadata.labels.find(kManagedByLabel);
    if (manager != slice->metadata.labels.end() && manager->second == wanted) out.push_back(*slice);
  }
  return out;
}

// The Service is gone, or is no longer ours to publish.
ReconcileResult State::remove_all(const std::string& key, std::string_view manager) {
  for (const auto& slice : slices_of(key, manager)) {
    auto removed = context_.client.remove<EndpointSlice>(slice.metadata.namespace_, slice.metadata.name);
    if (!removed.ok() && !client::is_not_found(removed.error())) return std::move(removed).error();
  }
  return Requeue::none();
}

ReconcileResult State::write_slices(const std::string& ns, const SlicePlan& plan) {
  // Updates first: they free the addresses that new slices may carry.
  for (const auto& slice : plan.update) {
    auto done = context_.client.update(slice);
    if (!done.ok()) return std::move(done).error();
  }
  for (const auto& slice : plan.create) {
    auto done = context_.client.create(slice);
    if (!done.ok()) return std::move(done).error();
  }
  for (const auto& name : plan.remove) {
    auto done = context_.client.remove<EndpointSlice>(ns, name);
    if (!done.ok() && !client::is_not_found(done.error())) return std::move(done).error();
  }
  return Requeue::none();
}

ReconcileResult State::write_legacy(const Service& service,
                                    std::vector<api::core::v1::EndpointSubset> subsets) {
  Endpoints wanted;
  const auto existing = endpoints_.get(service.metadata.namespace_, service.metadata.name);
  if (existing) wanted.metadata = existing->metadata;
  wanted.metadata.name = service.metadata.name;
  wanted.metadata.namespace_ = service.metadata.namespace_;
  wanted.metadata.labels = service.metadata.labels;
  wanted.metadata.labels["endpoints.kubernetes.io/managed-by"] = "endpoint-controller";
  if (service.spec.clusterIP == "None") wanted.metadata.labels["service.kubernetes.io/headless"] = "";
  wanted.subsets = std::move(subsets);
  if (existing && to_json(*existing) == to_json(wanted)) return Requeue::none();
  auto done = existing ? context_.client.update(wanted) : context_.client.create(wanted);
  if (!done.ok()) return std::move(done).error();
  return Requeue::none();
}

// Endpoints that a user keeps for a Service without a selector.
ReconcileResult State::mirror(const std::string& key) {
  const auto endpoints = endpoints_.get(key);
  if (!endpoints || !wants_mirror(*endpoints)) return remove_all(key, kMirroredBy);
  return write_slices(endpoints->metadata.namespace_, plan_mirror(*endpoints, slices_of(key, kMirroredBy)));
}

ReconcileResult State::publish(const Service& service) {
  const std::string key = client::key_of(service);
  const auto pods = matching_pods(service);
  const auto groups = group_endpoints(service, pods, zones(pods));
  auto result =
      write_slices(service.metadata.namespace_, plan_slices(service, groups, slices_of(key, kManagedBy)));
  if (result.ok()) result = write_legacy(service, plan_subsets(service, groups));
  if (result.ok()) result = remove_all(key, kMirroredBy);  // of before it had a selector
  return result;
}

ReconcileResult State::reconcile(const std::string& key) {
  const auto service = services_.get(key);
  if (!service) {
    // The object's name is the Service's; a user's own Endpoints of a selector-less Service stay.
    const auto legacy = endpoints_.get(key);
    if (legacy && legacy->metadata.labels.count("endpoints.kubernetes.io/managed-by")) {
      auto removed = context_.client.remove<Endpoints>(legacy->metadata.namespace_, legacy->metadata.name);
      if (!removed.ok() && !client::is_not_found(removed.error())) return std::move(removed).error();
    }
    auto mirrored = remove_all(key, kMirroredBy);
    if (!mirrored.ok()) return mirrored;
    return remove_all(key, kManagedBy);
  }
  if (service->metadata.deletionTimestamp) return Requeue::none();
  if (service->spec.type == "ExternalName") return remove_all(key, kManagedBy);
  auto result = service->spec.selector.empty() ? mirror(key) : publish(*service);
  if (!result.ok() && client::is_namespace_terminating(result.error())) return Requeue::none();
  // A slice that we just wrote may not be in the cache: a conflict or a vanished slice means look again.
  if (!result.ok() && (client::is_not_found(result.error()) || client::is_already_exists(result.error()))) {
    return Requeue::after(100);
  }
  return result;
}

}  // namespace

std::unique_ptr<Loop> make_endpoints(Context& context) {
  auto& services = context.informers.get<Service>();
  auto& slices = context.informers.get<EndpointSlice>();
  slices.add_index("service", [](const EndpointSlice& slice) -> std::vector<std::string> {
    const auto label = slice.metadata.labels.find(kServiceName);
    if (label == slice.metadata.labels.end()) return {};
    return {client::object_key(slice.metadata.namespace_, label->second)};
  });
  auto loop = std::make_unique<ControllerLoop<State>>(
      client::ControllerOptions{.name = "endpoints", .workers = 2, .queue = {.backoff_max_ms = 10'000}},
      std::make_unique<State>(context));
  auto& controller = loop->controller();
  controller.watch(services);
  controller.watch<EndpointSlice>(slices, [](const EndpointSlice& slice) -> std::vector<std::string> {
    const auto label = slice.metadata.labels.find(kServiceName);
    if (label == slice.metadata.labels.end()) return {};
    return {client::object_key(slice.metadata.namespace_, label->second)};
  });
  controller.watch(context.informers.get<Endpoints>());
  const auto& lister = services.lister();
  controller.watch<PodView>(context.informers.get<PodView>(), [&lister](const PodView& pod) {
    std::vector<std::string> keys;
    for (const auto& service : lister.list(pod.metadata.namespace_)) {
      if (!service->spec.selector.empty() &&
          client::labels_contain(pod.metadata.labels, service->spec.selector)) {
        keys.push_back(client::key_of(*service));
      }
    }
    return keys;
  });
  return loop;
}

}  // namespace coxswain::controllers
