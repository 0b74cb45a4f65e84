// How a pod resolves names: dnsConfig and hostAliases.
#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

// The limits of the resolver in C libraries.
constexpr std::size_t kMaxNameservers = 3;
constexpr std::size_t kMaxSearches = 32;
constexpr std::size_t kMaxSearchBytes = 2048;

// A subdomain whose labels may hold, and begin with, underscores.
bool search_domain(std::string_view text) {
  if (text.size() > 253) return false;
  std::string plain(text);
  for (char& c : plain) c = c == '_' ? 'a' : c;
  return check_dns1123_subdomain(plain).empty();
}

void validate_searches(const json::Value& config, const std::string& path, FieldErrors& errors) {
  const json::Array& searches = list_at(config, "searches");
  if (searches.size() > kMaxSearches)
    errors.invalid(path, json::Value(searches), "must not have more than 32 search paths");
  std::size_t bytes = searches.empty() ? 0 : searches.size() - 1;
  for (const json::Value& search : searches) bytes += search.is_string() ? search.as_string().size() : 0;
  if (bytes > kMaxSearchBytes) {
    errors.invalid(path, json::Value(searches),
                   "must not have more than 2048 characters (including spaces) in the search list");
  }
  for (std::size_t i = 0; i < searches.size(); ++i) {
    if (!searches[i].is_string() || searches[i].as_string() == ".") continue;
    std::string search = searches[i].as_string();
    if (!search.empty() && search.back() == '.') search.pop_back();
    if (!search_domain(search)) {
      errors.invalid(indexed(path, i), search,
                     "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
                     "'-' or '.', and must start and end with an alphanumeric character (e.g. "
                     "'example.com', regex used for validation is "
                     "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
    }
  }
}

void validate_config(const json::Value& config, const std::string& path, FieldErrors& errors) {
  const json::Array& servers = list_at(config, "nameservers");
  if (servers.size() > kMaxNameservers) {
    errors.invalid(path + ".nameservers", json::Value(servers), "must not have more than 3 nameservers");
  }
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (servers[i].is_string())
      errors.invalid_each(indexed(path + ".nameservers", i), servers[i], check_ip(servers[i].as_string()));
  }
  validate_searches(config, path + ".searches", errors);
  std::size_t index = 0;
  for (const json::Value& option : list_at(config, "options")) {
    const std::string at = indexed(path + ".options", index++);
    if (option.get_string("name").empty()) errors.required(at, "must not be empty");
  }
}

}  // namespace

void validate_pod_dns(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  const std::string at = path + ".dnsConfig";
  const json::Value* config = object_at(spec, "dnsConfig");
  if (spec.get_string("dnsPolicy") == "None") {
    if (config == nullptr) return errors.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
    if (list_at(*config, "nameservers").empty()) {
      return errors.required(at + ".nameservers",
                             "must provide at least one DNS nameserver when `dnsPolicy` is None");
    }
  }
  if (config != nullptr) validate_config(*config, at, errors);
}

}  // namespace coxswain::api
