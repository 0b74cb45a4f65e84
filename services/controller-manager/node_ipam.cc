// Gives every node its own range of pod addresses out of the cluster's.
#include <arpa/inet.h>

#include <set>

#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"
#include "services/controller-manager/context.h"
#include "services/controller-manager/node_ipam.h"

namespace coxswain::controllers {

Result<std::string> free_pod_cidr(const std::string& cluster_cidr, int node_mask,
                                  const std::set<std::string>& used) {
  const auto slash = cluster_cidr.find('/');
  in_addr address{};
  const auto mask = slash == std::string::npos ? std::nullopt : parse_int64(cluster_cidr.substr(slash + 1));
  if (!mask || *mask < 1 || *mask > node_mask || node_mask > 30 ||
      inet_pton(AF_INET, cluster_cidr.substr(0, slash).c_str(), &address) != 1) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "--cluster-cidr must be an IPv4 range like 10.244.0.0/16, got \"" + cluster_cidr + "\"");
  }
  const std::uint32_t base = ntohl(address.s_addr) & ~((1ULL << (32 - *mask)) - 1);
  const std::uint64_t count = 1ULL << (node_mask - *mask);
  for (std::uint64_t i = 0; i < count; ++i) {
    in_addr candidate{htonl(base + static_cast<std::uint32_t>(i << (32 - node_mask)))};
    char text[INET_ADDRSTRLEN] = {};
    inet_ntop(AF_INET, &candidate, text, sizeof(text));
    std::string cidr = std::string(text) + "/" + std::to_string(node_mask);
    if (!used.count(cidr)) return cidr;
  }
  return make_error(ErrorCode::kResourceExhausted, "no pod range is left in " + cluster_cidr);
}

namespace {

using api::core::v1::Node;
using client::ReconcileResult;
using client::Requeue;

class State {
 public:
  explicit State(Context& context) : context_(context), nodes_(context.informers.get<Node>().lister()) {}

  ReconcileResult reconcile(const std::string& name) {
    const auto node = nodes_.get("", name);
    if (!node) {
      given_.erase(name);
      return Requeue::none();
    }
    if (!node->spec.podCIDR.empty()) {
      given_.erase(name);
      return Requeue::none();
    }
    std::set<std::string> used;
    for (const auto& other : nodes_.list()) used.insert(other->spec.podCIDR);
    for (const auto& [other, cidr] : given_) {
      if (other != name) used.insert(cidr);
    }
    const auto cidr =
        free_pod_cidr(context_.settings.cluster_cidr, context_.settings.node_cidr_mask_size, used);
    if (!cidr.ok()) {
      context_.events.record_as("cidrAllocator", {client::ref_to(*node), client::EventType::kWarning,
                                                  "CIDRNotAvailable", cidr.error().message});
      return Requeue::after(30'000);
    }
    given_[name] = *cidr;  // until the cache shows it
    auto body = json::Value::object(
        {{"spec", json::Value::object({{"podCIDR", *cidr}, {"podCIDRs", json::Value::array({*cidr})}})}});
    body["metadata"].set("resourceVersion", node->metadata.resourceVersion);
    const auto done = context_.client.patch<Node>("", name, client::PatchType::kMerge, body);
    if (!done.ok()) return ignore_not_found(done.error());
    log_info("pod range assigned", {{"node", name}, {"cidr", *cidr}});
    return Requeue::none();
  }

 private:
  Context& context_;
  const client::Lister<Node>& nodes_;
  std::map<std::string, std::string> given_;  // the only worker's
};

}  // namespace

std::unique_ptr<Loop> make_node_ipam(Context& context) {
  auto loop = std::make_unique<ControllerLoop<State>>(
      client::ControllerOptions{.name = "node-ipam", .workers = 1}, std::make_unique<State>(context));
  loop->controller().watch(context.informers.get<Node>());
  return loop;
}

}  // namespace coxswain::controllers
