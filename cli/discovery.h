// Which kinds the server has: resolves what users type ("po", "deploy/web",
// "endpointslices.discovery.k8s.io").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/client/api_client.h"
#include "libs/common/json/json.h"

namespace coxswain::cli {

struct ResourceKind {
  std::string group;
  std::string version;
  std::string kind;
  std::string plural;
  std::string singular;
  std::vector<std::string> short_names;
  std::vector<std::string> categories;
  std::vector<std::string> subresources;
  bool namespaced = true;
  bool listable = false;

  client::ResourceInfo info() const { return {group, version, kind, plural, namespaced}; }
  // "deployment.apps", "pod": how messages name an object of this kind.
  std::string qualified_singular() const;
};

class Discovery {
 public:
  // One request: aggregated discovery of /api and /apis.
  static api::ApiResult<Discovery> load(client::ApiClient& client);
  // For tests: from the two documents.
  static Discovery from_documents(const json::Value& core, const json::Value& groups);

  // By plural, singular, short name or kind, with an optional ".group" or ".version.group".
  const ResourceKind* find(std::string_view name) const;
  const ResourceKind* find_kind(std::string_view api_version, std::string_view kind) const;
  // Members of a category such as "all".
  std::vector<const ResourceKind*> category(std::string_view name) const;
  const std::vector<ResourceKind>& kinds() const { return kinds_; }

 private:
  void add_groups(const json::Value& document);
  std::vector<ResourceKind> kinds_;
};

// One object, or all of a kind when `name` is empty.
struct Target {
  const ResourceKind* kind = nullptr;
  std::string name;
};

// `pods`, `pods a b`, `pod/a deploy/b`, `pods,services`. The error is for the user.
Result<std::vector<Target>> parse_targets(const Discovery& discovery, const std::vector<std::string>& words);

}  // namespace coxswain::cli
