// What a client must know of a kind to address it, and the identity of one object.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace coxswain::client {

// Static data; usually taken from a generated struct with resource_of<T>(), or filled from discovery
// by callers that keep the strings alive.
struct ResourceInfo {
  std::string_view group;  // "" is core
  std::string_view version;
  std::string_view kind;
  std::string_view plural;
  bool namespaced = true;

  std::string api_version() const;  // "v1", "apps/v1"
  // "/api/v1/namespaces/a/pods/b/status". Empty ns: all namespaces (or cluster scope); empty name: the
  // collection. Segments are percent-encoded.
  std::string path(std::string_view ns, std::string_view name = {}, std::string_view subresource = {}) const;
};

// T has the generated constants kGroup, kVersion, kKind, kPlural, kNamespaced.
template <typename T>
constexpr ResourceInfo resource_of() {
  return {T::kGroup, T::kVersion, T::kKind, T::kPlural, T::kNamespaced};
}

// "ns/name", or "name" at cluster scope: the key of caches and work queues.
std::string object_key(std::string_view ns, std::string_view name);
struct NamespacedName {
  std::string ns;
  std::string name;
};
NamespacedName split_key(std::string_view key);

template <typename T>
std::string key_of(const T& object) {
  return object_key(object.metadata.namespace_, object.metadata.name);
}

}  // namespace coxswain::client
