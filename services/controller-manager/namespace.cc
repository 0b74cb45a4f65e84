// Empties a namespace that is being deleted, says what holds it up, then lets it go.
#include "services/controller-manager/context.h"
#include "services/controller-manager/discovery.h"

namespace coxswain::controllers {
namespace {

using api::core::v1::Namespace;
using client::ReconcileResult;
using client::Requeue;

// What one look at the content found.
struct Content {
  std::map<std::string, int> remaining;   // "pods." -> how many
  std::map<std::string, int> finalizers;  // finalizer -> objects that wait for it
  std::vector<std::string> failures;
  std::string discovery_failure;
};

json::Value condition(const char* type, bool bad, const char* bad_reason, const char* good_reason,
                      std::string message, const std::string& now) {
  return json::Value::object({{"type", type},
                              {"status", bad ? "True" : "False"},
                              {"reason", bad ? bad_reason : good_reason},
                              {"message", std::move(message)},
                              {"lastTransitionTime", now}});
}

std::string count_text(const std::map<std::string, int>& counts, const char* suffix) {
  std::string out;
  for (const auto& [name, count] : counts) {
    out += (out.empty() ? "" : ", ") + name + suffix + std::to_string(count) + " resource instances";
  }
  return out;
}

class State {
 public:
  explicit State(Context& context)
      : context_(context), namespaces_(context.informers.get<Namespace>().lister()) {}

  ReconcileResult reconcile(const std::string& name) {
    const auto ns = namespaces_.get("", name);
    if (!ns || !ns->metadata.deletionTimestamp) return Requeue::none();
    const auto resources = discover(context_.client);
    if (!resources.ok()) {
      Content unknown;
      unknown.discovery_failure = resources.error().message;
      if (!client::is_connection_error(resources.error())) static_cast<void>(write_conditions(*ns, unknown));
      return resources.error();
    }
    const Content content = empty(name, *resources);
    if (content.remaining.empty() && content.failures.empty()) return finalize(*ns);
    auto status = write_conditions(*ns, content);
    if (!status.ok()) return ignore_not_found(status.error());
    return Requeue::after(content.finalizers.empty() ? 500 : 2'000);
  }

 private:
  Content empty(const std::string& ns, const std::vector<ServedResource>& resources) {
    Content content;
    for (const auto& resource : resources) {
      // Two groups serve events over one storage: one of them is enough.
      if (!resource.namespaced || !resource.deletable || resource.group == "events.k8s.io") continue;
      const std::string label = resource.plural + "." + resource.group;
      auto listed =
          context_.client.for_each(resource.info(), ns, {.metadata_only = true},
                                   [&](json::Value item) { remove(resource, ns, item, label, content); });
      if (!listed.ok()) content.failures.push_back(label + ": " + listed.error().message);
    }
    return content;
  }

  void remove(const ServedResource& resource, const std::string& ns, const json::Value& item,
              const std::string& label, Content& content) {
    const auto* metadata = item.find("metadata");
    if (metadata == nullptr) return;
    ++content.remaining[label];
    if (const auto* finalizers = metadata->find("finalizers");
        finalizers != nullptr && finalizers->is_array()) {
      for (const auto& finalizer : finalizers->as_array()) {
        if (finalizer.is_string()) ++content.finalizers[finalizer.as_string()];
      }
    }
    if (metadata->find("deletionTimestamp") != nullptr) return;  // on its way
    client::DeleteOptions options;
    options.propagation_policy = "Background";
    options.precondition_uid = metadata->get_string("uid");
    const auto removed =
        context_.client.remove_json(resource.info(), ns, metadata->get_string("name"), options);
    if (!removed.ok() && !client::is_not_found(removed.error())) {
      content.failures.push_back(label + ": " + removed.error().message);
    }
  }

  ReconcileResult finalize(const Namespace& ns) {
    Namespace update = ns;
    std::erase(update.spec.finalizers, "kubernetes");
    const client::ResourceInfo info = client::resource_of<Namespace>();
    auto body = to_json(update);
    body.set("apiVersion", "v1");
    body.set("kind", "Namespace");
    auto done = context_.client.raw("PUT", info.path("", ns.metadata.name, "finalize"), json::write(body));
    if (!done.ok()) return ignore_not_found(done.error());
    return Requeue::none();
  }

  ReconcileResult write_conditions(const Namespace& ns, const Content& content) {
    const std::string now = format_rfc3339(context_.clock.unix_ms());
    std::string failures;
    for (const auto& failure : content.failures) failures += (failures.empty() ? "" : "; ") + failure;
    auto conditions = json::Value::array(
        {condition("NamespaceDeletionDiscoveryFailure", !content.discovery_failure.empty(), "DiscoveryFailed",
                   "ResourcesDiscovered",
                   content.discovery_failure.empty()
                       ? "All resources successfully discovered"
                       : "Discovery failed for some groups: " + content.discovery_failure,
                   now),
         condition("NamespaceDeletionGroupVersionParsingFailure", false, "GroupVersionParsingFailed",
                   "ParsedGroupVersions", "All legacy kube types successfully parsed", now),
         condition("NamespaceDeletionContentFailure", !content.failures.empty(), "ContentDeletionFailed",
                   "ContentDeleted",
                   content.failures.empty()
                       ? "All content successfully deleted, may be waiting on finalization"
                       : "Failed to delete all resource types: " + failures,
                   now),
         condition("NamespaceContentRemaining", !content.remaining.empty(), "SomeResourcesRemain",
                   "ContentRemoved",
                   content.remaining.empty()
                       ? "All content successfully removed"
                       : "Some resources are remaining: " + count_text(content.remaining, " has "),
                   now),
         condition("NamespaceFinalizersRemaining", !content.finalizers.empty(), "SomeFinalizersRemain",
                   "ContentHasNoFinalizers",
                   content.finalizers.empty() ? "All content-preserving finalizers finished"
                                              : "Some content in the namespace has finalizers remaining: " +
                                                    count_text(content.finalizers, " in "),
                   now)});
    for (auto& wanted : conditions.as_array()) {
      for (const auto& old : ns.status.conditions) {
        if (old.type != wanted.get_string("type") || old.status != wanted.get_string("status")) continue;
        wanted.set("lastTransitionTime", format_rfc3339(old.lastTransitionTime.unix_ms));
      }
    }
    bool same = ns.status.conditions.size() == conditions.as_array().size();
    for (std::size_t i = 0; same && i < ns.status.conditions.size(); ++i) {
      same = to_json(ns.status.conditions[i]) == conditions.as_array()[i];
    }
    if (same) return Requeue::none();
    auto body = json::Value::object(
        {{"status", json::Value::object({{"phase", "Terminating"}, {"conditions", std::move(conditions)}})}});
    auto done =
        context_.client.patch<Namespace>("", ns.metadata.name, client::PatchType::kMerge, body, "status");
    if (!done.ok()) return std::move(done).error();
    return Requeue::none();
  }

  Context& context_;
  const client::Lister<Namespace>& namespaces_;
};

}  // namespace

std::unique_ptr<Loop> make_namespace(Context& context) {
  auto loop = std::make_unique<ControllerLoop<State>>(
      client::ControllerOptions{
          .name = "namespace", .workers = 2, .queue = {.backoff_min_ms = 100, .backoff_max_ms = 10'000}},
      std::make_unique<State>(context));
  loop->controller().watch(context.informers.get<Namespace>());
  return loop;
}

}  // namespace coxswain::controllers
