#include "libs/api/openapi/discovery.h"

#include <algorithm>

namespace coxswain::api::openapi {
namespace {

using schema::Resource;
using Resources = std::vector<const Resource*>;

json::Value strings(std::span<const std::string_view> list) {
  json::Value out = json::Value::array();
  for (const std::string_view item : list) out.push_back(item);
  return out;
}

std::string group_version(std::string_view group, std::string_view version) {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

// Groups other than core, by name.
std::vector<std::string_view> groups_of(const Resources& resources) {
  std::vector<std::string_view> groups;
  for (const Resource* resource : resources) {
    if (!resource->group.empty() &&
        std::find(groups.begin(), groups.end(), resource->group) == groups.end()) {
      groups.push_back(resource->group);
    }
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}

// Versions of a group, newest first as the catalogue has only stable ones.
std::vector<std::string_view> versions_of(const Resources& resources, std::string_view group) {
  std::vector<std::string_view> versions;
  for (const Resource* resource : resources) {
    if (resource->group == group &&
        std::find(versions.begin(), versions.end(), resource->version) == versions.end()) {
      versions.push_back(resource->version);
    }
  }
  std::sort(versions.rbegin(), versions.rend());
  return versions;
}

json::Value group_entry(const Resources& resources, std::string_view group) {
  json::Value versions = json::Value::array();
  for (const std::string_view version : versions_of(resources, group)) {
    versions.push_back(
        json::Value::object({{"groupVersion", group_version(group, version)}, {"version", version}}));
  }
  json::Value entry = json::Value::object({{"name", group}});
  const json::Value preferred = versions.as_array().front();
  entry.set("versions", std::move(versions));
  entry.set("preferredVersion", preferred);
  return entry;
}

json::Value resource_entry(const Resource& resource) {
  json::Value entry = json::Value::object({{"name", resource.plural},
                                           {"singularName", resource.singular},
                                           {"namespaced", resource.namespaced},
                                           {"kind", resource.kind},
                                           {"verbs", strings(resource.verbs)}});
  if (!resource.short_names.empty()) entry.set("shortNames", strings(resource.short_names));
  if (!resource.categories.empty()) entry.set("categories", strings(resource.categories));
  return entry;
}

json::Value subresource_entry(const Resource& resource, std::string_view name) {
  const SubresourceInfo info = subresource_info(resource, name);
  json::Value entry = json::Value::object({{"name", std::string(resource.plural) + "/" + std::string(name)},
                                           {"singularName", ""},
                                           {"namespaced", resource.namespaced}});
  if (info.group != resource.group || info.version != resource.version) {
    entry.set("group", info.group);
    entry.set("version", info.version);
  }
  entry.set("kind", info.kind);
  entry.set("verbs", strings(info.verbs));
  return entry;
}

json::Value response_kind(std::string_view group, std::string_view version, std::string_view kind) {
  return json::Value::object({{"group", group}, {"version", version}, {"kind", kind}});
}

json::Value aggregated_resource(const Resource& resource) {
  json::Value entry =
      json::Value::object({{"resource", resource.plural},
                           {"responseKind", response_kind(resource.group, resource.version, resource.kind)},
                           {"scope", resource.namespaced ? "Namespaced" : "Cluster"},
                           {"singularResource", resource.singular},
                           {"verbs", strings(resource.verbs)}});
  if (!resource.short_names.empty()) entry.set("shortNames", strings(resource.short_names));
  if (!resource.categories.empty()) entry.set("categories", strings(resource.categories));
  json::Value subresources = json::Value::array();
  for (const std::string_view name : resource.subresources) {
    const SubresourceInfo info = subresource_info(resource, name);
    subresources.push_back(
        json::Value::object({{"subresource", name},
                             {"responseKind", response_kind(info.group, info.version, info.kind)},
                             {"verbs", strings(info.verbs)}}));
  }
  if (!subresources.as_array().empty()) entry.set("subresources", std::move(subresources));
  return entry;
}

json::Value aggregated_group(const Resources& resources, std::string_view group) {
  json::Value versions = json::Value::array();
  for (const std::string_view version : versions_of(resources, group)) {
    json::Value list = json::Value::array();
    for (const Resource* resource : resources) {
      if (resource->group == group && resource->version == version)
        list.push_back(aggregated_resource(*resource));
    }
    json::Value entry = json::Value::object({{"version", version}});
    entry.set("resources", std::move(list));
    entry.set("freshness", "Current");
    versions.push_back(std::move(entry));
  }
  json::Value out = json::Value::object();
  out["metadata"] = json::Value::object({{"creationTimestamp", json::Value()}});
  if (!group.empty()) out["metadata"].set("name", group);
  out.set("versions", std::move(versions));
  return out;
}

}  // namespace

Resources served_resources() {
  Resources out;
  for (const Resource& resource : schema::catalogue().resources) {
    if (resource.served) out.push_back(&resource);
  }
  return out;
}

json::Value api_versions(std::string_view server_address) {
  json::Value out = json::Value::object({{"kind", "APIVersions"}});
  out.set("versions", json::Value::array({"v1"}));
  out.set("serverAddressByClientCIDRs",
          json::Value::array(
              {json::Value::object({{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", server_address}})}));
  return out;
}

json::Value api_group_list(const Resources& resources) {
  json::Value groups = json::Value::array();
  for (const std::string_view group : groups_of(resources)) groups.push_back(group_entry(resources, group));
  json::Value out = json::Value::object({{"kind", "APIGroupList"}, {"apiVersion", "v1"}});
  out.set("groups", std::move(groups));
  return out;
}

json::Value api_group(const Resources& resources, std::string_view group) {
  if (group.empty() || versions_of(resources, group).empty()) return {};
  json::Value out = json::Value::object({{"kind", "APIGroup"}, {"apiVersion", "v1"}});
  const json::Value entry = group_entry(resources, group);
  for (const auto& [key, value] : entry.as_object()) out.set(key, value);
  return out;
}

json::Value api_resource_list(const Resources& resources, std::string_view group, std::string_view version) {
  json::Value list = json::Value::array();
  for (const Resource* resource : resources) {
    if (resource->group != group || resource->version != version) continue;
    list.push_back(resource_entry(*resource));
    for (const std::string_view name : resource->subresources)
      list.push_back(subresource_entry(*resource, name));
  }
  if (list.as_array().empty()) return {};
  json::Value out = json::Value::object({{"kind", "APIResourceList"}, {"apiVersion", "v1"}});
  out.set("groupVersion", group_version(group, version));
  out.set("resources", std::move(list));
  return out;
}

json::Value aggregated_discovery(const Resources& resources, bool core) {
  json::Value items = json::Value::array();
  if (core) {
    items.push_back(aggregated_group(resources, ""));
  } else {
    for (const std::string_view group : groups_of(resources))
      items.push_back(aggregated_group(resources, group));
  }
  json::Value out =
      json::Value::object({{"kind", "APIGroupDiscoveryList"}, {"apiVersion", "apidiscovery.k8s.io/v2"}});
  out["metadata"] = json::Value::object();
  out.set("items", std::move(items));
  return out;
}

SubresourceInfo subresource_info(const Resource& resource, std::string_view subresource) {
  if (subresource == "scale") return {"Scale", "autoscaling", "v1", {"get", "patch", "update"}};
  if (subresource == "binding") return {"Binding", "", "v1", {"create"}};
  if (subresource == "eviction") return {"Eviction", "policy", "v1", {"create"}};
  if (subresource == "token") return {"TokenRequest", "authentication.k8s.io", "v1", {"create"}};
  if (subresource == "log") return {resource.kind, resource.group, resource.version, {"get"}};
  if (subresource == "finalize") return {resource.kind, resource.group, resource.version, {"update"}};
  if (subresource == "exec") return {"PodExecOptions", "", "v1", {"create", "get"}};
  if (subresource == "attach") return {"PodAttachOptions", "", "v1", {"create", "get"}};
  if (subresource == "portforward") return {"PodPortForwardOptions", "", "v1", {"create", "get"}};
  return {resource.kind, resource.group, resource.version, {"get", "patch", "update"}};
}

}  // namespace coxswain::api::openapi
