// What the server serves, asked from it: resources to delete in namespaces, kinds that may own objects.
#pragma once

#include <string>
#include <vector>

#include "libs/client/api_client.h"

namespace coxswain::controllers {

struct ServedResource {
  std::string group;
  std::string version;
  std::string kind;
  std::string plural;
  bool namespaced = true;
  bool deletable = false;  // verbs get, list, watch, delete
  client::ResourceInfo info() const { return {group, version, kind, plural, namespaced}; }
  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
};

// One version per group (the preferred one). An error when any part could not be read: whoever acts
// on "nothing is left" must not act on half a list.
inline api::ApiResult<std::vector<ServedResource>> discover(client::ApiClient& client) {
  std::vector<std::pair<std::string, std::string>> versions{{"", "v1"}};
  auto groups = client.raw("GET", "/apis");
  if (!groups.ok()) return std::move(groups).error();
  if (const auto* list = groups->find("groups"); list != nullptr && list->is_array()) {
    for (const auto& group : list->as_array()) {
      versions.emplace_back(group.get_string("name"), group.get_string_path({"preferredVersion", "version"}));
    }
  }
  std::vector<ServedResource> out;
  for (const auto& [group, version] : versions) {
    auto resources = client.raw("GET", group.empty() ? "/api/v1" : "/apis/" + group + "/" + version);
    if (!resources.ok()) return std::move(resources).error();
    const auto* list = resources->find("resources");
    if (list == nullptr || !list->is_array()) continue;
    for (const auto& resource : list->as_array()) {
      ServedResource served{group, version, resource.get_string("kind"), resource.get_string("name"),
                            resource.get_bool("namespaced")};
      if (served.plural.find('/') != std::string::npos) continue;  // a subresource
      int found = 0;
      if (const auto* verbs = resource.find("verbs"); verbs != nullptr && verbs->is_array()) {
        for (const auto& verb : verbs->as_array()) {
          if (!verb.is_string()) continue;
          const std::string& v = verb.as_string();
          found += v == "get" || v == "list" || v == "watch" || v == "delete";
        }
      }
      served.deletable = found == 4;
      out.push_back(std::move(served));
    }
  }
  return out;
}

}  // namespace coxswain::controllers
