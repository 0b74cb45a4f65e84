// Addresses, Endpoints and EndpointSlices.
#include <arpa/inet.h>

#include <algorithm>
#include <set>

#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

constexpr std::size_t kMaxPorts = 20000;
constexpr std::size_t kMaxAddresses = 100;
constexpr std::size_t kMaxEndpoints = 1000;

struct Special {
  bool unspecified = false;
  bool loopback = false;
  bool link_local = false;
  bool multicast = false;  // link-local multicast
};

Special classify(const std::string& ip) {
  Special out;
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, ip.c_str(), &v4) == 1) {
    const std::uint32_t value = ntohl(v4.s_addr);
    out.unspecified = value == 0;
    out.loopback = value >> 24 == 127;
    out.link_local = value >> 16 == 0xA9FE;
    out.multicast = value >> 8 == 0xE00000;
  } else if (inet_pton(AF_INET6, ip.c_str(), &v6) == 1) {
    out.unspecified = IN6_IS_ADDR_UNSPECIFIED(&v6);
    out.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    out.link_local = IN6_IS_ADDR_LINKLOCAL(&v6);
    out.multicast = IN6_IS_ADDR_MC_LINKLOCAL(&v6);
  }
  return out;
}

// The API servers' own endpoints are where they listen: on a single machine that may be loopback. Their
// slices are `kubernetes` and, where ports differ, `kubernetes-PORT`.
bool may_be_special(const json::Value& object) {
  if (object.get_string_path({"metadata", "namespace"}) != "default") return false;
  const std::string name = object.get_string_path({"metadata", "name"});
  constexpr std::string_view kPrefix = "kubernetes-";
  return name == "kubernetes" || (name.starts_with(kPrefix) && parse_uint64(name.substr(kPrefix.size())));
}

void validate_address(const json::Value& address, bool special, const std::string& path,
                      FieldErrors& errors) {
  const std::string ip = address.get_string("ip");
  const NameErrors wrong = check_ip(ip);
  errors.invalid_each(path + ".ip", ip, wrong);
  if (const std::string host = address.get_string("hostname"); !host.empty())
    errors.invalid_each(path + ".hostname", host, check_dns1123_label(host));
  if (const json::Value* node = address.find("nodeName"); node != nullptr && node->is_string())
    errors.invalid_each(path + ".nodeName", *node, check_dns1123_subdomain(node->as_string()));
  if (wrong.empty() && !special) validate_non_special_ip(ip, path + ".ip", errors);
}

void validate_subset_port(const json::Value& port, bool need_name, const std::string& path,
                          FieldErrors& errors) {
  const std::string name = port.get_string("name");
  if (need_name && name.empty()) errors.required(path + ".name");
  if (!name.empty()) errors.invalid_each(path + ".name", name, check_dns1123_label(name));
  errors.port(path + ".port", port.get_int("port"));
  errors.one_of(path + ".protocol", port.get_string("protocol"), {"SCTP", "TCP", "UDP"});
  if (const json::Value* protocol = port.find("appProtocol"); protocol != nullptr && protocol->is_string())
    errors.invalid_each(path + ".appProtocol", *protocol, check_qualified_name(protocol->as_string()));
}

void validate_slice_address(const std::string& type, const std::string& address, bool special,
                            const std::string& path, FieldErrors& errors) {
  if (type == "FQDN") {
    if (address.find('.') == std::string::npos && !address.empty()) {
      errors.invalid(path, address, "should be a domain with at least two segments separated by dots");
    } else {
      errors.invalid_each(path, address, check_dns1123_subdomain(address));
    }
    return;
  }
  const bool fits = type == "IPv6" ? is_ipv6(address) : is_ipv4(address);
  if (type != "IPv4" && type != "IPv6") return;
  if (!fits)
    errors.invalid(path, address,
                   type == "IPv4" ? "must be a valid IPv4 address" : "must be a valid IPv6 address");
  if (!special && check_ip(address).empty()) validate_non_special_ip(address, path, errors);
}

void validate_endpoint(const json::Value& endpoint, const std::string& type, bool special,
                       const std::string& path, FieldErrors& errors) {
  const json::Array& addresses = list_at(endpoint, "addresses");
  if (addresses.empty()) errors.required(path + ".addresses", "must contain at least 1 address");
  if (addresses.size() > kMaxAddresses) errors.too_many(path + ".addresses", addresses.size(), kMaxAddresses);
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (addresses[i].is_string())
      validate_slice_address(type, addresses[i].as_string(), special, indexed(path + ".addresses", i),
                             errors);
  }
  validate_labels(endpoint.find("deprecatedTopology"), path + ".deprecatedTopology", errors);
  if (const json::Value* node = endpoint.find("nodeName"); node != nullptr && node->is_string())
    errors.invalid_each(path + ".nodeName", *node, check_dns1123_subdomain(node->as_string()));
  if (const json::Value* host = endpoint.find("hostname"); host != nullptr && host->is_string())
    errors.invalid_each(path + ".hostname", *host, check_dns1123_label(host->as_string()));
  const json::Value* hints = object_at(endpoint, "hints");
  if (hints == nullptr) return;
  const json::Array& zones = list_at(*hints, "forZones");
  if (zones.size() > 8) errors.too_many(path + ".hints.forZones", zones.size(), 8);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < zones.size(); ++i) {
    const std::string at = indexed(path + ".hints.forZones", i) + ".name";
    const std::string name = zones[i].get_string("name");
    errors.invalid_each(at, name, check_label_value(name));
    if (!seen.insert(name).second) errors.duplicate(at, name);
  }
}

void validate_slice_ports(const json::Value& slice, FieldErrors& errors) {
  const json::Array& ports = list_at(slice, "ports");
  if (ports.size() > kMaxPorts) return errors.too_many("ports", ports.size(), kMaxPorts);
  std::set<std::string> names;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string at = indexed("ports", i);
    const std::string name = ports[i].get_string("name");
    if (!name.empty()) errors.invalid_each(at + ".name", name, check_dns1123_label(name));
    if (!names.insert(name).second) errors.duplicate(at + ".name", name);
    if (const std::optional<std::int64_t> number = int_at(ports[i], "port"))
      errors.port(at + ".port", *number);
    errors.one_of(at + ".protocol", ports[i].get_string("protocol"), {"SCTP", "TCP", "UDP"});
    if (const json::Value* app = ports[i].find("appProtocol"); app != nullptr && app->is_string())
      errors.invalid_each(at + ".appProtocol", *app, check_qualified_name(app->as_string()));
  }
}

}  // namespace

void validate_non_special_ip(const std::string& ip, const std::string& path, FieldErrors& errors) {
  const Special special = classify(ip);
  if (special.unspecified) errors.invalid(path, ip, "may not be unspecified (" + ip + ")");
  if (special.loopback) errors.invalid(path, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (special.link_local)
    errors.invalid(path, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (special.multicast)
    errors.invalid(path, ip, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

void validate_cidr(const std::string& cidr, const std::string& path, FieldErrors& errors) {
  const std::size_t slash = cidr.find('/');
  const std::string ip = cidr.substr(0, slash);
  const std::optional<std::uint64_t> length =
      slash == std::string::npos ? std::nullopt : parse_uint64(std::string_view(cidr).substr(slash + 1));
  if (length && ((is_ipv4(ip) && *length <= 32) || (is_ipv6(ip) && *length <= 128))) return;
  errors.invalid(path, cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
}

void validate_endpoints(const json::Value& object, FieldErrors& errors) {
  const bool special = may_be_special(object);
  std::size_t index = 0;
  for (const json::Value& subset : list_at(object, "subsets")) {
    const std::string at = indexed("subsets", index++);
    if (list_at(subset, "addresses").empty() && list_at(subset, "notReadyAddresses").empty())
      errors.required(at, "must specify `addresses` or `notReadyAddresses`");
    for (const char* list : {"addresses", "notReadyAddresses"}) {
      const json::Array& addresses = list_at(subset, list);
      for (std::size_t i = 0; i < addresses.size(); ++i)
        validate_address(addresses[i], special, indexed(at + "." + list, i), errors);
    }
    const json::Array& ports = list_at(subset, "ports");
    for (std::size_t i = 0; i < ports.size(); ++i)
      validate_subset_port(ports[i], ports.size() > 1, indexed(at + ".ports", i), errors);
  }
}

void validate_endpoint_slice(const json::Value* old, const json::Value& object, FieldErrors& errors) {
  const std::string type = object.get_string("addressType");
  errors.one_of("addressType", type, {"FQDN", "IPv4", "IPv6"});
  const bool special = may_be_special(object);
  const json::Array& endpoints = list_at(object, "endpoints");
  if (endpoints.size() > kMaxEndpoints) {
    errors.too_many("endpoints", endpoints.size(), kMaxEndpoints);
  } else {
    for (std::size_t i = 0; i < endpoints.size(); ++i)
      validate_endpoint(endpoints[i], type, special, indexed("endpoints", i), errors);
  }
  validate_slice_ports(object, errors);
  if (old != nullptr) errors.immutable("addressType", old->find("addressType"), object.find("addressType"));
}

}  // namespace coxswain::api
