#include "cli/discovery.h"

#include <algorithm>

#include "cli/suggest.h"
#include "libs/common/base/strings.h"

namespace coxswain::cli {
namespace {

constexpr std::string_view kAggregated =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

std::vector<std::string> string_list(const json::Value* value) {
  std::vector<std::string> out;
  if (value == nullptr || !value->is_array()) return out;
  for (const json::Value& item : value->as_array()) {
    if (item.is_string()) out.push_back(item.as_string());
  }
  return out;
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
  for (const std::string& item : list) {
    if (item == text) return true;
  }
  return false;
}

ResourceKind parse_resource(const std::string& group, const std::string& version,
                            const json::Value& resource) {
  ResourceKind kind;
  kind.group = group;
  kind.version = version;
  kind.plural = resource.get_string("resource");
  kind.singular = resource.get_string("singularResource");
  kind.kind = resource.get_string_path({"responseKind", "kind"});
  kind.namespaced = resource.get_string("scope") == "Namespaced";
  kind.short_names = string_list(resource.find("shortNames"));
  kind.categories = string_list(resource.find("categories"));
  kind.listable = contains(string_list(resource.find("verbs")), "list");
  if (const json::Value* subs = resource.find("subresources"); subs != nullptr && subs->is_array()) {
    for (const json::Value& sub : subs->as_array())
      kind.subresources.push_back(sub.get_string("subresource"));
  }
  return kind;
}

bool matches_name(const ResourceKind& kind, std::string_view name) {
  return kind.plural == name || kind.singular == name || to_lower(kind.kind) == to_lower(name) ||
         contains(kind.short_names, name);
}

}  // namespace

std::string ResourceKind::qualified_singular() const {
  const std::string name = singular.empty() ? to_lower(kind) : singular;
  return group.empty() ? name : name + "." + group;
}

void Discovery::add_groups(const json::Value& document) {
  const json::Value* groups = document.find("items");
  if (groups == nullptr || !groups->is_array()) return;
  for (const json::Value& group : groups->as_array()) {
    const std::string group_name = group.get_string_path({"metadata", "name"});
    const json::Value* versions = group.find("versions");
    if (versions == nullptr || !versions->is_array()) continue;
    for (const json::Value& version : versions->as_array()) {
      const json::Value* resources = version.find("resources");
      if (resources == nullptr || !resources->is_array()) continue;
      for (const json::Value& resource : resources->as_array()) {
        kinds_.push_back(parse_resource(group_name, version.get_string("version"), resource));
      }
    }
  }
}

Discovery Discovery::from_documents(const json::Value& core, const json::Value& groups) {
  Discovery discovery;
  discovery.add_groups(core);
  discovery.add_groups(groups);
  return discovery;
}

api::ApiResult<Discovery> Discovery::load(client::ApiClient& client) {
  COX_ASSIGN_OR_RETURN(const json::Value core,
                       client.raw("GET", "/api", {}, "application/json", kAggregated));
  COX_ASSIGN_OR_RETURN(const json::Value groups,
                       client.raw("GET", "/apis", {}, "application/json", kAggregated));
  return from_documents(core, groups);
}

const ResourceKind* Discovery::find(std::string_view name) const {
  for (const ResourceKind& kind : kinds_) {
    if (matches_name(kind, name)) return &kind;
  }
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const std::string_view rest = name.substr(dot + 1);
  for (const ResourceKind& kind : kinds_) {
    if (!matches_name(kind, name.substr(0, dot))) continue;
    if (rest == kind.group || rest == kind.version + "." + kind.group ||
        (kind.group.empty() && rest == kind.version)) {
      return &kind;
    }
  }
  return nullptr;
}

const ResourceKind* Discovery::find_kind(std::string_view api_version, std::string_view kind_name) const {
  for (const ResourceKind& kind : kinds_) {
    if (kind.kind == kind_name && kind.info().api_version() == api_version) return &kind;
  }
  return nullptr;
}

std::vector<const ResourceKind*> Discovery::category(std::string_view name) const {
  std::vector<const ResourceKind*> out;
  for (const ResourceKind& kind : kinds_) {
    if (kind.listable && contains(kind.categories, name)) out.push_back(&kind);
  }
  return out;
}

namespace {

Error unknown_kind(const Discovery& discovery, const std::string& name) {
  std::vector<std::string> names;
  for (const ResourceKind& kind : discovery.kinds()) {
    names.push_back(kind.plural);
    names.push_back(kind.singular);
  }
  const std::string meant = suggest(to_lower(name), names);
  return make_error(ErrorCode::kInvalidArgument,
                    "the server doesn't have a resource type \"" + name + "\"" +
                        (meant.empty() ? "" : "; did you mean \"" + meant + "\"?") +
                        (meant.empty() ? "; " : " ") + "`coxctl api-resources` lists those it has");
}

}  // namespace

Result<std::vector<Target>> parse_targets(const Discovery& discovery, const std::vector<std::string>& words) {
  if (words.empty()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "say which resource: for example `pods`, `pod NAME`, `deployment/NAME`");
  }
  std::vector<Target> targets;
  if (words[0].find('/') != std::string::npos) {
    for (const std::string& word : words) {
      const std::size_t slash = word.find('/');
      if (slash == std::string::npos || slash + 1 == word.size()) {
        return make_error(
            ErrorCode::kInvalidArgument,
            "there is no need to mix forms: write TYPE/NAME for every object, not '" + word + "'");
      }
      const ResourceKind* kind = discovery.find(std::string_view(word).substr(0, slash));
      if (kind == nullptr) return unknown_kind(discovery, word.substr(0, slash));
      targets.push_back({kind, word.substr(slash + 1)});
    }
    return targets;
  }
  std::vector<const ResourceKind*> kinds;
  for (const std::string& name : split(words[0], ',')) {
    const auto members = discovery.category(name);
    if (!members.empty()) {
      kinds.insert(kinds.end(), members.begin(), members.end());
    } else if (const ResourceKind* kind = discovery.find(name)) {
      kinds.push_back(kind);
    } else {
      return unknown_kind(discovery, name);
    }
  }
  for (const ResourceKind* kind : kinds) {
    if (words.size() == 1) targets.push_back({kind, ""});
    for (std::size_t i = 1; i < words.size(); ++i) targets.push_back({kind, words[i]});
  }
  return targets;
}

}  // namespace coxswain::cli
