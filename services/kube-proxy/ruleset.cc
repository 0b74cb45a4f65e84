#include "services/kube-proxy/ruleset.h"

namespace coxswain::proxy {
namespace {

// The parts that every ruleset has: hooks, and the shared maps. Priorities: rejects look at traffic
// before destination NAT would, as upstream's nftables mode does. Node ports are not served on loopback, as
// in that mode: a packet from 127.0.0.1 cannot leave for a pod.
constexpr const char* kSkeleton = R"(
add map ip coxswain service_ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip coxswain service_nodeports { type inet_proto . inet_service : verdict ; }
add map ip coxswain no_endpoint_ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip coxswain no_endpoint_nodeports { type inet_proto . inet_service : verdict ; }
add chain ip coxswain mark_masquerade
add chain ip coxswain reject_service
add chain ip coxswain drop_service
add chain ip coxswain services
add chain ip coxswain no_endpoints
add chain ip coxswain nat_prerouting { type nat hook prerouting priority -100 ; }
add chain ip coxswain nat_output { type nat hook output priority -100 ; }
add chain ip coxswain nat_postrouting { type nat hook postrouting priority 100 ; }
add chain ip coxswain filter_input { type filter hook input priority -110 ; }
add chain ip coxswain filter_forward { type filter hook forward priority -110 ; }
add chain ip coxswain filter_output { type filter hook output priority -110 ; }
add rule ip coxswain mark_masquerade meta mark set meta mark or 0x4000
add rule ip coxswain reject_service meta l4proto tcp reject with tcp reset
add rule ip coxswain reject_service reject
add rule ip coxswain drop_service drop
add rule ip coxswain services ip daddr . meta l4proto . th dport vmap @service_ips
add rule ip coxswain services ip daddr != 127.0.0.0/8 fib daddr type local meta l4proto . th dport vmap @service_nodeports
add rule ip coxswain no_endpoints ip daddr . meta l4proto . th dport vmap @no_endpoint_ips
add rule ip coxswain no_endpoints ip daddr != 127.0.0.0/8 fib daddr type local meta l4proto . th dport vmap @no_endpoint_nodeports
add rule ip coxswain nat_prerouting jump services
add rule ip coxswain nat_output jump services
add rule ip coxswain nat_postrouting meta mark and 0x4000 == 0x4000 meta mark set meta mark xor 0x4000 masquerade
add rule ip coxswain filter_input ct state new jump no_endpoints
add rule ip coxswain filter_forward ct state new jump no_endpoints
add rule ip coxswain filter_output ct state new jump no_endpoints
)";

const std::string kPrefix = std::string(kTable) + " ";

void add_element(std::string& out, const std::string& map, const std::string& key,
                 const std::string& verdict) {
  out += "add element " + kPrefix + map + " { " + key + " : " + verdict + " }\n";
}

void delete_element(std::string& out, const std::string& map, const std::string& key) {
  out += "delete element " + kPrefix + map + " { " + key + " }\n";
}

void add_rules(std::string& out, const std::string& chain, const std::vector<std::string>& rules) {
  for (const std::string& rule : rules) out += "add rule " + kPrefix + chain + " " + rule + "\n";
}

}  // namespace

std::string render_full(const Ruleset& wanted) {
  // "add" first, so that "delete" finds a table; all in one transaction, so that nobody sees the gap.
  std::string out =
      std::string("add table ") + kTable + "\ndelete table " + kTable + "\nadd table " + kTable + kSkeleton;
  return out + render_update({}, wanted);
}

// Order matters inside a transaction: what is referred to must exist, what is deleted must be unused.
std::string render_update(const Ruleset& current, const Ruleset& wanted) {
  std::string out;
  for (const auto& [name, body] : wanted.sets) {
    const auto old = current.sets.find(name);
    if (old == current.sets.end()) out += "add set " + kPrefix + name + " { " + body + " }\n";
  }
  for (const auto& [name, rules] : wanted.chains) {
    if (!current.chains.contains(name)) out += "add chain " + kPrefix + name + "\n";
  }
  for (const auto& [name, rules] : wanted.chains) {
    const auto old = current.chains.find(name);
    if (old != current.chains.end()) {
      if (old->second == rules) continue;
      out += "flush chain " + kPrefix + name + "\n";
    }
    add_rules(out, name, rules);
  }
  for (const auto& [name, elements] : current.maps) {
    const auto next = wanted.maps.find(name);
    for (const auto& [key, verdict] : elements) {
      const bool stays =
          next != wanted.maps.end() && next->second.contains(key) && next->second.at(key) == verdict;
      if (!stays) delete_element(out, name, key);
    }
  }
  for (const auto& [name, elements] : wanted.maps) {
    const auto old = current.maps.find(name);
    for (const auto& [key, verdict] : elements) {
      const bool there =
          old != current.maps.end() && old->second.contains(key) && old->second.at(key) == verdict;
      if (!there) add_element(out, name, key, verdict);
    }
  }
  for (const auto& [name, rules] : current.chains) {
    if (!wanted.chains.contains(name)) out += "flush chain " + kPrefix + name + "\n";
  }
  for (const auto& [name, rules] : current.chains) {
    if (!wanted.chains.contains(name)) out += "delete chain " + kPrefix + name + "\n";
  }
  for (const auto& [name, body] : current.sets) {
    if (!wanted.sets.contains(name)) out += "delete set " + kPrefix + name + "\n";
  }
  return out;
}

}  // namespace coxswain::proxy
