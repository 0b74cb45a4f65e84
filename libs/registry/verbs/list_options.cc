#include "libs/registry/verbs/list_options.h"

#include "libs/common/base/strings.h"
#include "libs/common/json/json.h"

namespace coxswain::registry {
namespace {

api::Status invalid_option(std::string reason, std::string field, std::string message) {
  std::vector<api::StatusCause> causes;
  causes.push_back({std::move(reason), std::move(message), std::move(field)});
  return api::invalid({"meta.k8s.io", "ListOptions"}, "", std::move(causes));
}

api::ApiResult<void> parse_match(const http::Request& request, bool is_watch, ListOptions& options) {
  const std::string_view match = request.query_value("resourceVersionMatch");
  const bool initial_events = request.has_query("sendInitialEvents");
  if (match.empty()) {
    if (is_watch && initial_events) {
      return invalid_option(
          "FieldValueForbidden", "resourceVersionMatch",
          "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    return {};
  }
  if (is_watch && !initial_events) {
    return invalid_option(
        "FieldValueForbidden", "resourceVersionMatch",
        "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  }
  if (match != "Exact" && match != "NotOlderThan") {
    return invalid_option(
        "FieldValueNotSupported", "resourceVersionMatch",
        "Unsupported value: \"" + std::string(match) + "\": supported values: \"Exact\", \"NotOlderThan\"");
  }
  if (is_watch) return {};
  if (!options.revision_set) {
    return invalid_option("FieldValueForbidden", "resourceVersionMatch",
                          "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
  }
  if (match == "Exact" && options.revision == 0) {
    return invalid_option("FieldValueForbidden", "resourceVersionMatch",
                          "Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"");
  }
  if (request.has_query("continue") && !request.query_value("continue").empty()) {
    return invalid_option("FieldValueForbidden", "resourceVersionMatch",
                          "Forbidden: resourceVersionMatch is forbidden when continue is provided");
  }
  options.exact = match == "Exact";
  return {};
}

api::ApiResult<void> parse_continue(std::string_view token, ListOptions& options) {
  const auto bad = [] {
    return api::bad_request("continue key is not valid: the token was not issued by this server");
  };
  const std::optional<std::string> text = base64url_decode(token);
  if (!text) return bad();
  const Result<json::Value> value = json::parse(*text);
  if (!value.ok() || !value->is_object()) return bad();
  const json::Value* revision = value->find("rv");
  const json::Value* start = value->find("start");
  if (revision == nullptr || revision->type() != json::Type::kInt || start == nullptr ||
      !start->is_string() || value->get_string("v") != "meta.k8s.io/v1" ||
      start->as_string().rfind("/registry/", 0) != 0) {
    return bad();
  }
  options.continued = true;
  options.continue_revision = revision->as_int() < 0 ? 0 : revision->as_int();
  options.continue_after = start->as_string();
  return {};
}

}  // namespace

api::ApiResult<ListOptions> parse_list_options(const http::Request& request, bool is_watch) {
  ListOptions options;
  const std::string_view revision = request.query_value("resourceVersion");
  if (!revision.empty()) {
    const std::optional<std::int64_t> parsed = parse_int64(revision);
    if (!parsed || *parsed < 0) {
      return invalid_option(
          "FieldValueInvalid", "resourceVersion",
          "Invalid value: \"" + std::string(revision) + "\": must be a resource version of this server or 0");
    }
    options.revision = *parsed;
    options.revision_set = true;
  }
  COX_RETURN_IF_ERROR(parse_match(request, is_watch, options));
  if (const std::string_view limit = request.query_value("limit"); !limit.empty()) {
    const std::optional<std::int64_t> parsed = parse_int64(limit);
    if (!parsed || *parsed < 0) return api::bad_request("limit must be a non-negative integer");
    options.limit = static_cast<std::size_t>(*parsed);
  }
  // A page at a given revision is a page of that very revision, unless asked for otherwise.
  if (!is_watch && options.limit != 0 && options.revision != 0 &&
      request.query_value("resourceVersionMatch").empty()) {
    options.exact = true;
  }
  if (const std::string_view token = request.query_value("continue"); !token.empty() && !is_watch) {
    if (options.revision_set && options.revision != 0) {
      return api::bad_request("specifying resource version is not allowed when using continue");
    }
    COX_RETURN_IF_ERROR(parse_continue(token, options));
  }
  return options;
}

std::string make_continue_token(store::Revision revision, std::string_view after_key) {
  return base64url_encode(
      json::write(json::Value::object({{"v", "meta.k8s.io/v1"}, {"rv", revision}, {"start", after_key}})));
}

}  // namespace coxswain::registry
