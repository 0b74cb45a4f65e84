#include "libs/registry/request_info.h"

#include "libs/common/base/strings.h"

namespace coxswain::registry {
namespace {

bool split_path(std::string_view path, std::vector<std::string>& out) {
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.find('%') == std::string_view::npos) {
      out.emplace_back(part);
    } else {
      std::optional<std::string> decoded = url_decode(part);
      if (!decoded) return false;
      out.push_back(std::move(*decoded));
    }
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return true;
}

std::string verb_of(const http::Request& request, const RequestInfo& info, bool watch_path) {
  const std::string& method = request.method;
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return info.name.empty() ? "deletecollection" : "delete";
  if (method != "GET" && method != "HEAD") return to_lower(method);
  if (watch_path) return "watch";
  if (!info.name.empty()) return "get";
  return query_bool(request, "watch") ? "watch" : "list";
}

}  // namespace

bool query_bool(const http::Request& request, std::string_view key) {
  if (!request.has_query(key)) return false;
  const std::string_view value = request.query_value(key);
  return value != "false" && value != "0";
}

RequestInfo parse_request_info(const http::Request& request) {
  RequestInfo info;
  std::vector<std::string> parts;
  if (!split_path(request.path, parts) || parts.size() < 2) return info;
  std::size_t at = 0;
  if (parts[0] == "api") {
    info.version = parts[1];
    at = 2;
  } else if (parts[0] == "apis" && parts.size() >= 3) {
    info.group = parts[1];
    info.version = parts[2];
    at = 3;
  } else {
    return info;
  }
  bool watch_path = false;
  if (at < parts.size() && parts[at] == "watch") {
    watch_path = true;
    ++at;
  }
  const std::size_t left = parts.size() - at;
  if (left == 0) return info;
  const bool namespace_itself =
      left >= 3 && parts[at] == "namespaces" && (parts[at + 2] == "status" || parts[at + 2] == "finalize");
  if (parts[at] == "namespaces" && left >= 3 && !namespace_itself) {
    info.ns = parts[at + 1];
    at += 2;
  }
  info.resource = parts[at++];
  if (at < parts.size()) info.name = parts[at++];
  for (; at < parts.size(); ++at) {
    if (!info.subresource.empty()) info.subresource += '/';
    info.subresource += parts[at];
  }
  // A namespace is its own namespace in Kubernetes' eyes only for authorisation; not for storage.
  info.is_resource = true;
  info.verb = verb_of(request, info, watch_path);
  return info;
}

}  // namespace coxswain::registry
