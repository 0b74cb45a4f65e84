// Cluster IPs and node ports of Services: claims and their allocation. Pure; plugged into the Service
// strategy (`claims`, `allocate`, and `prepare_update` for what a changed type releases).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/registry/strategy.h"

namespace coxswain::registry {

struct Ipv4Range {
  std::uint32_t base = 0;  // host order, network address
  int prefix_length = 0;
  std::uint32_t size() const { return prefix_length == 0 ? 0xffffffffu : 1u << (32 - prefix_length); }
  bool contains(std::uint32_t ip) const { return ip - base < size(); }
};
std::optional<std::uint32_t> parse_ipv4(std::string_view text);  // strict dotted quad
std::string format_ipv4(std::uint32_t ip);
std::optional<Ipv4Range> parse_ipv4_range(std::string_view cidr);

// "clusterip/10.96.0.10", "nodeport/TCP/30080".
void service_claims(const json::Value& service, std::vector<std::string>& out);

// Fills clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy, nodePort; on update keeps what the old
// object has where the new one leaves it out, and clears what its type does not use. Causes use
// Kubernetes' wording ("provided IP is already allocated").
void allocate_service_addresses(const Context& context, const json::Value* old, json::Value& service,
                                const ClaimTaken& taken, Causes& out);

}  // namespace coxswain::registry
