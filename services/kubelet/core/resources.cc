#include "services/kubelet/core/resources.h"

#include <algorithm>

#include "libs/api/meta/quantity.h"
#include "services/kubelet/core/status.h"

namespace coxswain::kubelet {
namespace {

constexpr std::int64_t kPeriodUs = 100'000;
constexpr std::int64_t kMinQuotaUs = 1'000;
constexpr std::int64_t kMaxShares = 262'144;

}  // namespace

std::optional<std::int64_t> quantity_milli(const std::string& text) {
  const auto quantity = api::Quantity::parse(text);
  if (!quantity.ok()) return std::nullopt;
  return quantity->milli_value();
}

std::optional<std::int64_t> resource_milli(const std::map<std::string, std::string>& list,
                                           const std::string& name) {
  const auto it = list.find(name);
  return it == list.end() ? std::nullopt : quantity_milli(it->second);
}

namespace {
std::optional<std::int64_t> request_or_limit(const v1::Container& c, const std::string& name) {
  const auto request = resource_milli(c.resources.requests, name);
  return request ? request : resource_milli(c.resources.limits, name);
}

int oom_score(const v1::Pod& pod, const v1::Container& c, const NodeCapacity& node) {
  const std::string qos = qos_class(pod);
  if (pod.spec.priorityClassName == "system-node-critical" || qos == "Guaranteed") return -997;
  if (qos == "BestEffort") return 1000;
  const std::int64_t request = request_or_limit(c, "memory").value_or(0) / 1000;
  const std::int64_t score = 1000 - 1000 * request / std::max<std::int64_t>(node.memory_bytes, 1);
  return static_cast<int>(std::clamp<std::int64_t>(score, 3, 999));
}
}  // namespace

ResourceSettings resource_settings(const v1::Pod& pod, const v1::Container& c, const NodeCapacity& node) {
  ResourceSettings out;
  const std::int64_t cpu = request_or_limit(c, "cpu").value_or(0);
  out.cpu_shares = std::clamp<std::int64_t>(cpu * 1024 / 1000, 2, kMaxShares);
  if (const auto limit = resource_milli(c.resources.limits, "cpu"); limit && *limit > 0) {
    out.cpu_period_us = kPeriodUs;
    out.cpu_quota_us = std::max(kMinQuotaUs, *limit * kPeriodUs / 1000);
  }
  if (const auto limit = resource_milli(c.resources.limits, "memory"); limit && *limit > 0) {
    out.memory_bytes = *limit / 1000;
  }
  out.oom_score_adj = std::max(oom_score(pod, c, node), node.lowest_oom_score_adj);
  return out;
}

std::optional<std::string> resource_field(const v1::Container& c, const std::string& resource,
                                          const std::string& divisor, const NodeCapacity& node) {
  const auto dot = resource.find('.');
  if (dot == std::string::npos) return std::nullopt;
  const std::string list = resource.substr(0, dot);
  const std::string name = resource.substr(dot + 1);
  if ((list != "limits" && list != "requests") ||
      (name != "cpu" && name != "memory" && name != "ephemeral-storage")) {
    return std::nullopt;
  }
  auto value = resource_milli(list == "limits" ? c.resources.limits : c.resources.requests, name);
  if (!value && list == "requests") value = resource_milli(c.resources.limits, name);
  if (!value && list == "limits") {  // no limit: what the node has
    value = name == "cpu" ? node.milli_cpu : name == "memory" ? node.memory_bytes * 1000 : 0;
  }
  const std::int64_t by = quantity_milli(divisor.empty() || divisor == "0" ? "1" : divisor).value_or(1000);
  const std::int64_t v = value.value_or(0);
  return std::to_string((v + by - 1) / std::max<std::int64_t>(by, 1));
}

}  // namespace coxswain::kubelet
