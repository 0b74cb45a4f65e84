// The packet filter around the pod bridge, in an nftables table of our own (ip coxswain-kubelet) plus
// one accepting rule where Docker asks users to put theirs (DOCKER-USER).
#pragma once

#include <optional>
#include <string>

#include "libs/common/base/result.h"

namespace coxswain::kubelet {

inline constexpr const char* kBridge = "cox0";

// "10.244.3.0/24" -> "10.244.3.1". nullopt: not an IPv4 range that holds a pod.
std::optional<std::string> first_address(const std::string& cidr);

// Pods reach the world as the node, and each other and nodes as themselves. Idempotent.
Result<void> set_up_forwarding(const std::string& pod_cidr, const std::string& cluster_cidr);
std::string forwarding_ruleset(const std::string& pod_cidr, const std::string& cluster_cidr);

// Lets packets leave the bridge by the port they came from. Where bridged traffic passes the packet
// filter (br_netfilter), a pod that reaches itself through a Service needs it. Best effort, idempotent.
void allow_hairpin(const std::string& bridge);

}  // namespace coxswain::kubelet
