// The grammars of names, labels and ports. Each function returns what is wrong with `text` in
// Kubernetes' words, nothing when it is fine. Pure.
// Source: RFC 1123, RFC 1035, RFC 6335 and the object names page of the Kubernetes documentation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coxswain::api {

using NameErrors = std::vector<std::string>;

NameErrors check_dns1123_label(std::string_view text);      // 63: namespaces, containers
NameErrors check_dns1123_subdomain(std::string_view text);  // 253: most names
NameErrors check_dns1035_label(std::string_view text);      // 63: services
NameErrors check_path_segment(std::string_view text);       // events, RBAC
NameErrors check_qualified_name(std::string_view text);     // label keys, finalizers
NameErrors check_annotation_key(std::string_view text);     // a qualified name, ignoring case
NameErrors check_label_value(std::string_view text);
NameErrors check_env_var_name(std::string_view text);    // relaxed: printable ASCII without '='
NameErrors check_config_map_key(std::string_view text);  // 253, [-._a-zA-Z0-9]
NameErrors check_port_name(std::string_view text);       // 15, at least one letter
NameErrors check_port_number(std::int64_t port);         // 1-65535
NameErrors check_ip(std::string_view text);              // IPv4 or IPv6
bool is_ipv4(std::string_view text);
bool is_ipv6(std::string_view text);

}  // namespace coxswain::api
