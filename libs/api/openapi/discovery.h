// Discovery documents, made from the served resources of the catalogue. Pure; the caller caches them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"

namespace coxswain::api::openapi {

// Served resources; a server may add more (custom resources) later.
std::vector<const schema::Resource*> served_resources();

// Legacy: /api, /apis, /apis/GROUP, /api/v1 and /apis/GROUP/VERSION. Null when there is no such group.
json::Value api_versions(std::string_view server_address);  // APIVersions
json::Value api_group_list(const std::vector<const schema::Resource*>& resources);
json::Value api_group(const std::vector<const schema::Resource*>& resources, std::string_view group);
json::Value api_resource_list(const std::vector<const schema::Resource*>& resources, std::string_view group,
                              std::string_view version);

// Aggregated (KEP-3352): apidiscovery.k8s.io/v2 APIGroupDiscoveryList, for /api (core) or /apis.
json::Value aggregated_discovery(const std::vector<const schema::Resource*>& resources, bool core);

// How a subresource presents itself: its kind, group and version, and verbs.
struct SubresourceInfo {
  std::string_view kind;
  std::string_view group;
  std::string_view version;
  std::vector<std::string_view> verbs;
};
SubresourceInfo subresource_info(const schema::Resource& resource, std::string_view subresource);

}  // namespace coxswain::api::openapi
