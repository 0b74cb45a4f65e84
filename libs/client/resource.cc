#include "libs/client/resource.h"

#include "libs/common/base/strings.h"

namespace coxswain::client {

std::string ResourceInfo::api_version() const {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

std::string ResourceInfo::path(std::string_view ns, std::string_view name,
                               std::string_view subresource) const {
  std::string out = group.empty() ? "/api/" + std::string(version)
                                  : "/apis/" + std::string(group) + "/" + std::string(version);
  if (namespaced && !ns.empty()) out += "/namespaces/" + url_encode(ns);
  out += "/" + std::string(plural);
  if (!name.empty()) out += "/" + url_encode(name);
  if (!subresource.empty()) out += "/" + std::string(subresource);
  return out;
}

std::string object_key(std::string_view ns, std::string_view name) {
  return ns.empty() ? std::string(name) : std::string(ns) + "/" + std::string(name);
}

NamespacedName split_key(std::string_view key) {
  const std::size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

}  // namespace coxswain::client
