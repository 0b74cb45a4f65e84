#include "services/controller-manager/pod_view.h"

#include <algorithm>

#include "libs/client/codec.h"
#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"

namespace coxswain::controllers {
namespace {

const json::Array& array_at(const json::Value& value, std::initializer_list<std::string_view> path) {
  static const json::Array kEmpty;
  const auto* found = value.find_path(path);
  return found != nullptr && found->is_array() ? found->as_array() : kEmpty;
}

std::int64_t time_at(const json::Value& value, std::string_view key) {
  std::int64_t ms = 0;
  return parse_rfc3339(value.get_string(key), &ms) ? ms : 0;
}

void read_metadata(const json::Value& value, PodView& pod) {
  PodMeta& meta = pod.metadata;
  meta.namespace_ = value.get_string("namespace");
  meta.name = value.get_string("name");
  meta.uid = value.get_string("uid");
  meta.resourceVersion = value.get_string("resourceVersion");
  meta.created_ms = time_at(value, "creationTimestamp");
  meta.deleting = value.find("deletionTimestamp") != nullptr;
  if (const auto* labels = value.find("labels"); labels != nullptr && labels->is_object()) {
    for (const auto& [key, text] : labels->as_object()) {
      if (text.is_string()) meta.labels.emplace(key, text.as_string());
    }
  }
  for (const auto& owner : array_at(value, {"ownerReferences"})) {
    from_json(owner, meta.ownerReferences.emplace_back());
  }
  const auto cost = value.get_string_path({"annotations", "controller.kubernetes.io/pod-deletion-cost"});
  pod.deletion_cost = parse_int64(cost).value_or(0);
}

}  // namespace

void from_json(const json::Value& value, PodView& pod) {
  if (const auto* metadata = value.find("metadata")) read_metadata(*metadata, pod);
  if (const auto* spec = value.find("spec")) {
    pod.node = spec->get_string("nodeName");
    pod.hostname = spec->get_string("hostname");
    pod.subdomain = spec->get_string("subdomain");
    for (const auto& toleration : array_at(*spec, {"tolerations"})) {
      from_json(toleration, pod.tolerations.emplace_back());
    }
    for (const auto& container : array_at(*spec, {"containers"})) {
      for (const auto& port : array_at(container, {"ports"})) {
        const std::string name = port.get_string("name");
        if (name.empty()) continue;
        pod.named_ports.push_back({name, port.get_string("protocol", "TCP"),
                                   static_cast<std::int32_t>(port.get_int("containerPort"))});
      }
    }
  }
  const auto* status = value.find("status");
  if (status == nullptr) return;
  pod.phase = status->get_string("phase");
  for (const auto& ip : array_at(*status, {"podIPs"})) pod.ips.push_back(ip.get_string("ip"));
  if (pod.ips.empty() && !status->get_string("podIP").empty()) pod.ips.push_back(status->get_string("podIP"));
  for (const auto& condition : array_at(*status, {"conditions"})) {
    if (condition.get_string("type") != "Ready") continue;
    pod.ready = condition.get_string("status") == "True";
    pod.ready_since_ms = time_at(condition, "lastTransitionTime");
  }
  for (const auto& container : array_at(*status, {"containerStatuses"})) {
    pod.restarts = std::max(pod.restarts, static_cast<std::int32_t>(container.get_int("restartCount")));
  }
}

}  // namespace coxswain::controllers
