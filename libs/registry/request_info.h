// The Kubernetes URL grammar: which resource, object and action a request means.
// /api/v1/..., /apis/GROUP/VERSION/..., [namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE...]]; the old
// /watch/ prefix is understood. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/http/server.h"

namespace coxswain::registry {

struct RequestInfo {
  bool is_resource = false;  // under /api/VERSION or /apis/GROUP/VERSION, with a resource
  std::string verb;          // get list watch create update patch delete deletecollection
  std::string group;
  std::string version;
  std::string ns;  // empty: cluster-scoped or all namespaces
  std::string resource;
  std::string name;
  std::string subresource;  // "status"; deeper paths keep their slashes: "proxy/a/b"
};

// `is_resource` is false for anything else, malformed escapes included.
RequestInfo parse_request_info(const http::Request& request);

// "true", "1", "" -> true (a bare `?watch`), as Kubernetes reads booleans in queries.
bool query_bool(const http::Request& request, std::string_view key);

}  // namespace coxswain::registry
