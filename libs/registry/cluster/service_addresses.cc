#include "libs/registry/cluster/service_addresses.h"

#include <algorithm>
#include <map>
#include <set>

#include "libs/common/base/strings.h"

namespace coxswain::registry {
namespace {

bool uses_cluster_ip(const std::string& type) { return type != "ExternalName"; }
bool uses_node_ports(const json::Value& spec) {
  const std::string type = spec.get_string("type", "ClusterIP");
  return type == "NodePort" || type == "LoadBalancer";
}
// Those that nobody asked for by number. Without this a balancer keeps what it has, and gets what it names.
bool wants_node_ports(const json::Value& spec) {
  return spec.get_string("type") == "NodePort" || spec.get_bool("allocateLoadBalancerNodePorts", true);
}

std::string cluster_ip_claim(const std::string& ip) { return "clusterip/" + ip; }
std::string node_port_claim(const std::string& protocol, std::int64_t port) {
  return "nodeport/" + protocol + "/" + std::to_string(port);
}

bool owned(const json::Value* old, const std::string& claim) {
  if (old == nullptr) return false;
  std::vector<std::string> claims;
  service_claims(*old, claims);
  return std::find(claims.begin(), claims.end(), claim) != claims.end();
}

// Where a search starts: spread, so that parallel creators rarely meet; derived from the object, not
// from chance, so that the function stays pure.
std::uint32_t start_of(const json::Value& service, std::uint32_t span) {
  return span == 0 ? 0 : fnv1a_32(service.get_string_path({"metadata", "uid"})) % span;
}

void refuse(Causes& out, std::string field, const std::string& value, const std::string& why) {
  out.push_back({"FieldValueInvalid", "Invalid value: " + value + ": " + why, std::move(field)});
}

// The lower band is left for addresses that users choose (KEP-3070): min(max(16, size/16), 256).
std::uint32_t reserved_band(std::uint32_t size) {
  if (size < 32) return 0;
  return std::min<std::uint32_t>(std::max<std::uint32_t>(16, size / 16), 256);
}

std::string pick_cluster_ip(const Ipv4Range& range, const json::Value& service, const ClaimTaken& taken) {
  const std::uint32_t usable = range.size() - 2;  // neither network nor broadcast
  const std::uint32_t band = reserved_band(usable);
  const std::uint32_t span = usable - band;
  const std::uint32_t start = start_of(service, span);
  const auto free_in = [&](std::uint32_t first, std::uint32_t count, std::uint32_t from) -> std::string {
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string ip = format_ipv4(range.base + 1 + first + (from + i) % count);
      if (!taken(cluster_ip_claim(ip))) return ip;
    }
    return {};
  };
  std::string ip = free_in(band, span, start);
  if (ip.empty() && band > 0) ip = free_in(0, band, 0);
  return ip;
}

void drop_cluster_ip(json::Value& spec) {
  for (const char* key : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}) spec.erase(key);
}

// What a cluster of one family cannot give.
void check_families(const json::Value& spec, Causes& out) {
  const json::Value* families = spec.find("ipFamilies");
  std::size_t index = 0;
  if (families != nullptr && families->is_array()) {
    for (const json::Value& family : families->as_array()) {
      const std::string at = "spec.ipFamilies[" + std::to_string(index++) + "]";
      if (family == json::Value("IPv6")) refuse(out, at, "\"IPv6\"", "not configured on this cluster");
    }
  }
  if (spec.get_string("ipFamilyPolicy") == "RequireDualStack") {
    refuse(out, "spec.ipFamilyPolicy", "\"RequireDualStack\"",
           "this cluster is not configured for dual-stack services");
  }
}

std::string first_ip(const json::Value* spec) {
  const json::Value* list = spec == nullptr ? nullptr : spec->find("clusterIPs");
  if (list == nullptr || !list->is_array() || list->as_array().empty()) return {};
  const json::Value& first = list->as_array().front();
  return first.is_string() ? first.as_string() : std::string();
}

// clusterIP and clusterIPs[0] are one thing: the one that the user changed counts.
std::string wanted_ip(const json::Value* old, const json::Value& spec, Causes& out) {
  const std::string single = spec.get_string("clusterIP");
  const std::string listed = first_ip(&spec);
  if (single.empty() || listed.empty() || single == listed) return single.empty() ? listed : single;
  if (old == nullptr) {
    refuse(out, "spec.clusterIPs", "[\"" + listed + "\"]", "first value must match `clusterIP`");
    return single;
  }
  return single == old->get_string_path({"spec", "clusterIP"}) ? listed : single;
}

void allocate_cluster_ip(const Context& context, const json::Value* old, json::Value& service,
                         const ClaimTaken& taken, Causes& out) {
  json::Value& spec = service["spec"];
  if (!uses_cluster_ip(spec.get_string("type", "ClusterIP"))) {
    // What the type before left behind goes; what was asked for stays, for the validation to refuse.
    const bool was_used = old != nullptr && uses_cluster_ip(old->get_string_path({"spec", "type"}));
    if (was_used || spec.get_string("clusterIP").empty()) drop_cluster_ip(spec);
    return;
  }
  check_families(spec, out);
  std::string ip = wanted_ip(old, spec, out);
  if (!out.empty()) return;
  const std::string old_ip = old == nullptr ? "" : old->get_string_path({"spec", "clusterIP"});
  if (ip.empty() && !old_ip.empty()) ip = old_ip;
  const std::optional<Ipv4Range> range = parse_ipv4_range(context.settings->service_cluster_ip_range);
  if (ip.empty()) {
    ip = range ? pick_cluster_ip(*range, service, taken) : std::string();
    if (ip.empty()) {
      return refuse(out, "spec.clusterIPs", "[]", "failed to allocate IP: range is full");
    }
  } else if (ip != "None" && ip != old_ip) {
    const std::optional<std::uint32_t> parsed = parse_ipv4(ip);
    const std::string shown = "[\"" + ip + "\"]";
    if (!parsed) {
      out.push_back({"FieldValueInvalid",
                     "Invalid value: \"" + ip + "\": must be a valid IP address, (e.g. 10.9.8.7)",
                     "spec.clusterIPs[0]"});
      return;
    }
    if (!range || !range->contains(*parsed) || *parsed == range->base ||
        *parsed == range->base + range->size() - 1) {
      return refuse(out, "spec.clusterIPs", shown,
                    "failed to allocate IP " + ip + ": the provided IP (" + ip +
                        ") is not in the valid range. The range of valid IPs is " +
                        context.settings->service_cluster_ip_range);
    }
    if (taken(cluster_ip_claim(ip)) && !owned(old, cluster_ip_claim(ip))) {
      return refuse(out, "spec.clusterIPs", shown,
                    "failed to allocate IP " + ip + ": provided IP is already allocated");
    }
  }
  spec.set("clusterIP", ip);
  spec.set("clusterIPs", json::Value::array({ip}));
  if (spec.find("ipFamilies") == nullptr) spec.set("ipFamilies", json::Value::array({"IPv4"}));
  if (spec.get_string("ipFamilyPolicy").empty()) spec.set("ipFamilyPolicy", "SingleStack");
}

// Hands out node ports to one Service. Each protocol's search goes on where it stopped: what was busy once
// stays so for the rest of the request.
class NodePorts {
 public:
  NodePorts(const Context& context, const json::Value* old, const json::Value& service,
            const ClaimTaken& taken)
      : first_(context.settings->node_port_first),
        count_(context.settings->node_port_last - first_ + 1),
        start_(start_of(service, static_cast<std::uint32_t>(count_))),
        taken_(taken) {
    std::vector<std::string> claims;
    if (old != nullptr) service_claims(*old, claims);
    owned_.insert(claims.begin(), claims.end());
  }

  bool in_range(std::int64_t number) const { return number >= first_ && number < first_ + count_; }
  std::string range() const { return std::to_string(first_) + "-" + std::to_string(first_ + count_ - 1); }

  // False: someone else's, or an earlier port's of this Service.
  bool take(const std::string& protocol, std::int64_t number) {
    const std::string claim = node_port_claim(protocol, number);
    if (mine_.count(claim) != 0 || (owned_.count(claim) == 0 && taken_(claim))) return false;
    mine_.insert(claim);
    return true;
  }
  // 0: the range is full.
  std::int64_t take_any(const std::string& protocol) {
    std::int64_t& tried = tried_[protocol];
    while (tried < count_) {
      const std::int64_t candidate = first_ + (start_ + tried++) % count_;
      if (take(protocol, candidate)) return candidate;
    }
    return 0;
  }

 private:
  const std::int64_t first_;
  const std::int64_t count_;
  const std::int64_t start_;
  const ClaimTaken& taken_;
  std::set<std::string> owned_;  // by the Service as it was
  std::set<std::string> mine_;   // by the Service as it will be
  std::map<std::string, std::int64_t> tried_;
};

// The node ports of the Service as it was, by protocol and port: "TCP/80".
using OldPorts = std::map<std::string, std::int64_t>;

std::string port_identity(const json::Value& port) {
  return port.get_string("protocol", "TCP") + "/" + std::to_string(port.get_int("port"));
}

OldPorts old_node_ports(const json::Value* old) {
  OldPorts out;
  const json::Value* ports = old == nullptr ? nullptr : old->find_path({"spec", "ports"});
  if (ports == nullptr || !ports->is_array()) return out;
  for (const json::Value& port : ports->as_array())
    out.emplace(port_identity(port), port.get_int("nodePort"));
  return out;
}

void allocate_node_port(json::Value& port, std::int64_t number, const std::string& field, NodePorts& range,
                        Causes& out) {
  const std::string protocol = port.get_string("protocol", "TCP");
  if (number == 0) {
    number = range.take_any(protocol);
    if (number == 0) return refuse(out, field, "0", "failed to allocate a nodePort: range is full");
  } else if (!range.in_range(number)) {
    return refuse(out, field, std::to_string(number),
                  "provided port is not in the valid range. The range of valid ports is " + range.range());
  } else if (!range.take(protocol, number)) {
    return refuse(out, field, std::to_string(number), "provided port is already allocated");
  }
  port.set("nodePort", number);
}

void allocate_node_ports(const Context& context, const json::Value* old, json::Value& service,
                         const ClaimTaken& taken, Causes& out) {
  json::Value& spec = service["spec"];
  json::Value* ports = spec.find("ports");
  if (ports == nullptr || !ports->is_array()) return;
  const bool wanted = uses_node_ports(spec);
  const bool old_wanted =
      old != nullptr && old->find("spec") != nullptr && uses_node_ports(*old->find("spec"));
  if (!wanted && !old_wanted) return;
  const OldPorts before = old_node_ports(old);
  NodePorts range(context, old, service, taken);
  std::size_t index = 0;
  for (json::Value& port : ports->as_array()) {
    const std::string field = "spec.ports[" + std::to_string(index++) + "].nodePort";
    const auto known = before.find(port_identity(port));
    const std::int64_t old_number = known == before.end() ? 0 : known->second;
    const std::int64_t number = port.get_int("nodePort");
    if (wanted) {
      const std::int64_t asked = number != 0 ? number : old_number;
      if (asked != 0 || wants_node_ports(spec)) allocate_node_port(port, asked, field, range, out);
    } else if (number == old_number) {
      // Left over from the type before: released. Asked for anew: the validation refuses it.
      port.erase("nodePort");
    }
  }
}

bool needs_health_check(const json::Value& spec) {
  return spec.get_string("type") == "LoadBalancer" && spec.get_string("externalTrafficPolicy") == "Local";
}

void allocate_health_check(const Context& context, const json::Value* old, json::Value& service,
                           const ClaimTaken& taken, Causes& out) {
  json::Value& spec = service["spec"];
  const json::Value* old_spec = old == nullptr ? nullptr : old->find("spec");
  const std::int64_t before = old_spec == nullptr ? 0 : old_spec->get_int("healthCheckNodePort");
  std::int64_t number = spec.get_int("healthCheckNodePort");
  if (!needs_health_check(spec)) {
    if (number != 0 && number == before) spec.erase("healthCheckNodePort");  // left over
    return;
  }
  if (number == 0) number = before;
  const std::int64_t first = context.settings->node_port_first;
  const std::int64_t count = context.settings->node_port_last - first + 1;
  std::vector<std::string> mine;  // this object's own node ports
  service_claims(service, mine);
  const auto busy = [&](std::int64_t candidate) {
    const std::string claim = node_port_claim("TCP", candidate);
    const bool own_node_port = number == 0 && std::find(mine.begin(), mine.end(), claim) != mine.end();
    return own_node_port || (taken(claim) && !owned(old, claim));
  };
  if (number != 0 && number != before && busy(number)) {
    return refuse(out, "spec.healthCheckNodePort", std::to_string(number),
                  "provided port is already allocated");
  }
  const std::uint32_t start = start_of(service, static_cast<std::uint32_t>(count));
  for (std::int64_t i = 0; i < count && number == 0; ++i) {
    const std::int64_t candidate = first + (start + i) % count;
    if (!busy(candidate)) number = candidate;
  }
  spec.set("healthCheckNodePort", number);
}

}  // namespace

std::optional<std::uint32_t> parse_ipv4(std::string_view text) {
  const std::vector<std::string> parts = split(text, '.');
  if (parts.size() != 4) return std::nullopt;
  std::uint32_t ip = 0;
  for (const std::string& part : parts) {
    const std::optional<std::uint64_t> byte = parse_uint64(part);
    if (!byte || *byte > 255 || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return std::nullopt;
    ip = ip << 8 | static_cast<std::uint32_t>(*byte);
  }
  return ip;
}

std::string format_ipv4(std::uint32_t ip) {
  return std::to_string(ip >> 24) + "." + std::to_string(ip >> 16 & 255) + "." +
         std::to_string(ip >> 8 & 255) + "." + std::to_string(ip & 255);
}

std::optional<Ipv4Range> parse_ipv4_range(std::string_view cidr) {
  const std::size_t slash = cidr.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint32_t> base = parse_ipv4(cidr.substr(0, slash));
  const std::optional<std::uint64_t> length = parse_uint64(cidr.substr(slash + 1));
  if (!base || !length || *length < 8 || *length > 30) return std::nullopt;
  Ipv4Range range;
  range.prefix_length = static_cast<int>(*length);
  range.base = *base & ~(range.size() - 1);
  return range;
}

void service_claims(const json::Value& service, std::vector<std::string>& out) {
  const json::Value* spec = service.find("spec");
  if (spec == nullptr) return;
  const std::string ip = spec->get_string("clusterIP");
  if (!ip.empty() && ip != "None" && uses_cluster_ip(spec->get_string("type", "ClusterIP"))) {
    out.push_back(cluster_ip_claim(ip));
  }
  if (const std::int64_t check = spec->get_int("healthCheckNodePort"); check != 0)
    out.push_back(node_port_claim("TCP", check));
  const json::Value* ports = spec->find("ports");
  if (ports == nullptr || !ports->is_array() || !uses_node_ports(*spec)) return;
  for (const json::Value& port : ports->as_array()) {
    const std::int64_t number = port.get_int("nodePort");
    if (number == 0) continue;
    const std::string claim = node_port_claim(port.get_string("protocol", "TCP"), number);
    if (std::find(out.begin(), out.end(), claim) == out.end()) out.push_back(claim);
  }
}

void allocate_service_addresses(const Context& context, const json::Value* old, json::Value& service,
                                const ClaimTaken& taken, Causes& out) {
  allocate_cluster_ip(context, old, service, taken, out);
  allocate_node_ports(context, old, service, taken, out);
  allocate_health_check(context, old, service, taken, out);
}

}  // namespace coxswain::registry
