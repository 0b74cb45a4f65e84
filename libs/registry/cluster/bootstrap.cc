// What every cluster has from its first moment: four namespaces and the way to the API itself.
#include "libs/common/base/strings.h"
#include "libs/registry/cluster/service_addresses.h"
#include "libs/registry/core.h"
#include "libs/registry/registry.h"

namespace coxswain::registry {
namespace {

json::Value metadata(const char* name, const char* ns, bool mirrored = false) {
  json::Value value = json::Value::object({{"name", name}});
  if (ns != nullptr) value.set("namespace", ns);
  if (mirrored)
    value.set("labels", json::Value::object({{"endpointslice.kubernetes.io/skip-mirror", "true"}}));
  return value;
}

json::Value kubernetes_service(const std::string& cluster_ip, std::int32_t port) {
  json::Value meta = metadata("kubernetes", "default");
  meta.set("labels", json::Value::object({{"component", "apiserver"}, {"provider", "kubernetes"}}));
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

json::Value kubernetes_endpoints(const std::string& address, std::int32_t port) {
  return json::Value::object(
      {{"apiVersion", "v1"},
       {"kind", "Endpoints"},
       {"metadata", metadata("kubernetes", "default", true)},
       {"subsets", json::Value::array({json::Value::object(
                       {{"addresses", json::Value::array({json::Value::object({{"ip", address}})})},
                        {"ports", json::Value::array({json::Value::object(
                                      {{"name", "https"}, {"port", port}, {"protocol", "TCP"}})})}})})}});
}

json::Value kubernetes_slice(const std::string& address, std::int32_t port) {
  json::Value meta = metadata("kubernetes", "default");
  meta.set("labels", json::Value::object({{"kubernetes.io/service-name", "kubernetes"}}));
  return json::Value::object(
      {{"apiVersion", "discovery.k8s.io/v1"},
       {"kind", "EndpointSlice"},
       {"metadata", std::move(meta)},
       {"addressType", "IPv4"},
       {"endpoints",
        json::Value::array({json::Value::object({{"addresses", json::Value::array({address})},
                                                 {"conditions", json::Value::object({{"ready", true}})}})})},
       {"ports", json::Value::array(
                     {json::Value::object({{"name", "https"}, {"port", port}, {"protocol", "TCP"}})})}});
}

}  // namespace

Result<void> Registry::bootstrap() {
  const auto ensure = [this](const std::string& collection, const json::Value& object,
                             bool keep_current) -> Result<void> {
    const std::string name = object.get_string_path({"metadata", "name"});
    const Answer current = call("GET", collection + "/" + name);
    if (current.code == 200 && !keep_current) return {};
    const Answer answer = current.code == 200 ? call("PUT", collection + "/" + name, json::write(object))
                                              : call("POST", collection, json::write(object));
    if (answer.code >= 300) {
      return make_error(ErrorCode::kInternal,
                        "cannot make " + collection + "/" + name + ": " + std::string(trim(answer.body)));
    }
    return {};
  };
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    COX_RETURN_IF_ERROR(ensure("/api/v1/namespaces",
                               json::Value::object({{"apiVersion", "v1"},
                                                    {"kind", "Namespace"},
                                                    {"metadata", json::Value::object({{"name", name}})}}),
                               false));
  }
  const Options& options = core_->options;
  const std::optional<Ipv4Range> range = parse_ipv4_range(options.settings.service_cluster_ip_range);
  if (!range) {
    return make_error(ErrorCode::kInvalidArgument,
                      "--service-cluster-ip-range must be an IPv4 range like 10.96.0.0/16, not \"" +
                          options.settings.service_cluster_ip_range + "\"");
  }
  const std::string in_default = "/api/v1/namespaces/default";
  COX_RETURN_IF_ERROR(ensure(in_default + "/services",
                             kubernetes_service(format_ipv4(range->base + 1), options.advertise_port),
                             false));
  COX_RETURN_IF_ERROR(ensure(in_default + "/endpoints",
                             kubernetes_endpoints(options.advertise_address, options.advertise_port), true));
  COX_RETURN_IF_ERROR(ensure("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
                             kubernetes_slice(options.advertise_address, options.advertise_port), true));
  core_->bootstrapped = true;
  return {};
}

}  // namespace coxswain::registry
