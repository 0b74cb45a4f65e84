#include "libs/api/meta/status.h"

#include <algorithm>

namespace coxswain::api {
namespace {

Status make(int code, const char* reason, std::string message) {
  Status status;
  status.code = code;
  status.reason = reason;
  status.message = std::move(message);
  return status;
}

Status about(int code, const char* reason, const GroupResource& resource, const std::string& name,
             std::string message) {
  Status status = make(code, reason, std::move(message));
  status.group = resource.group;
  status.kind = resource.resource;
  status.name = name;
  return status;
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

}  // namespace

json::Value Status::to_json() const {
  json::Value out = json::Value::object(
      {{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", json::Value::object()}, {"status", "Failure"}});
  if (!continue_token.empty()) out["metadata"].set("continue", continue_token);
  if (!message.empty()) out.set("message", message);
  if (!reason.empty()) out.set("reason", reason);
  json::Value details = json::Value::object();
  if (!name.empty()) details.set("name", name);
  if (!group.empty()) details.set("group", group);
  if (!kind.empty()) details.set("kind", kind);
  if (!uid.empty()) details.set("uid", uid);
  if (!causes.empty()) {
    json::Value list = json::Value::array();
    for (const StatusCause& cause : causes) {
      json::Value item = json::Value::object();
      if (!cause.reason.empty()) item.set("reason", cause.reason);
      if (!cause.message.empty()) item.set("message", cause.message);
      if (!cause.field.empty()) item.set("field", cause.field);
      list.push_back(std::move(item));
    }
    details.set("causes", std::move(list));
  }
  if (retry_after_seconds > 0) details.set("retryAfterSeconds", static_cast<long>(retry_after_seconds));
  if (!details.as_object().empty()) out.set("details", std::move(details));
  out.set("code", code);
  return out;
}

Status Status::from_json(const json::Value& value) {
  Status status;
  status.code = static_cast<int>(value.get_int("code", 500));
  status.reason = value.get_string("reason");
  status.message = value.get_string("message");
  status.continue_token = value.get_string_path({"metadata", "continue"});
  const json::Value* details = value.find("details");
  if (details == nullptr) return status;
  status.name = details->get_string("name");
  status.group = details->get_string("group");
  status.kind = details->get_string("kind");
  status.uid = details->get_string("uid");
  status.retry_after_seconds = static_cast<std::int32_t>(details->get_int("retryAfterSeconds"));
  const json::Value* causes = details->find("causes");
  if (causes == nullptr || !causes->is_array()) return status;
  for (const json::Value& cause : causes->as_array()) {
    status.causes.push_back(
        {cause.get_string("reason"), cause.get_string("message"), cause.get_string("field")});
  }
  return status;
}

Status bad_request(std::string message) { return make(400, "BadRequest", std::move(message)); }

Status unauthorized(std::string message) {
  return make(401, "Unauthorized", message.empty() ? "not authorized" : std::move(message));
}

Status forbidden(const GroupResource& resource, const std::string& name, const std::string& why) {
  std::string message;
  if (resource.resource.empty())
    message = "forbidden: " + why;
  else if (name.empty())
    message = resource.qualified() + " is forbidden: " + why;
  else
    message = resource.qualified() + " " + quoted(name) + " is forbidden: " + why;
  return about(403, "Forbidden", resource, name, std::move(message));
}

Status not_found(const GroupResource& resource, const std::string& name) {
  return about(404, "NotFound", resource, name, resource.qualified() + " " + quoted(name) + " not found");
}

Status not_built(const std::string& what) {
  return make(404, "NotFound",
              "the server could not find the requested resource: " + what +
                  " is part of the Kubernetes API but not built yet in this release of Coxswain");
}

Status page_not_found() { return make(404, "NotFound", "the server could not find the requested resource"); }

Status method_not_allowed(const GroupResource& resource, const std::string& verb) {
  return about(405, "MethodNotAllowed", resource, "",
               verb + " is not supported on resources of kind " + quoted(resource.qualified()));
}

Status not_acceptable(const std::string& accepted) {
  return make(406, "NotAcceptable", "only the following media types are accepted: " + accepted);
}

Status already_exists(const GroupResource& resource, const std::string& name) {
  return about(409, "AlreadyExists", resource, name,
               resource.qualified() + " " + quoted(name) + " already exists");
}

Status conflict(const GroupResource& resource, const std::string& name, const std::string& why) {
  return about(409, "Conflict", resource, name,
               "Operation cannot be fulfilled on " + resource.qualified() + " " + quoted(name) + ": " + why);
}

Status expired(std::string message) { return make(410, "Expired", std::move(message)); }

Status request_too_large(std::string message) {
  return make(413, "RequestEntityTooLarge", "Request entity is too large: " + message);
}

Status unsupported_media_type(const std::string& supported) {
  return make(
      415, "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: " + supported);
}

Status invalid(const GroupKind& kind, const std::string& name, std::vector<StatusCause> causes) {
  // Equal messages are shown once, in the order of their first appearance.
  std::vector<std::string> parts;
  for (const StatusCause& cause : causes) {
    std::string part = cause.field.empty() ? cause.message : cause.field + ": " + cause.message;
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(std::move(part));
  }
  std::string message = kind.qualified() + " " + quoted(name) + " is invalid";
  if (parts.size() == 1) message += ": " + parts[0];
  if (parts.size() > 1) {
    message += ": [";
    for (std::size_t i = 0; i < parts.size(); ++i) message += (i == 0 ? "" : ", ") + parts[i];
    message += "]";
  }
  Status status = make(422, "Invalid", std::move(message));
  status.group = kind.group;
  status.kind = kind.kind;
  status.name = name;
  status.causes = std::move(causes);
  return status;
}

Status too_many_requests(std::string message, int retry_after_seconds) {
  Status status = make(429, "TooManyRequests", std::move(message));
  status.retry_after_seconds = retry_after_seconds;
  return status;
}

Status internal_error(std::string message) {
  Status status = make(500, "InternalError", "Internal error occurred: " + message);
  status.causes.push_back({"", std::move(message), ""});
  return status;
}

Status service_unavailable(std::string message, int retry_after_seconds) {
  Status status = make(503, "ServiceUnavailable", std::move(message));
  status.retry_after_seconds = retry_after_seconds;
  return status;
}

Status timeout(std::string message, int retry_after_seconds) {
  Status status = make(504, "Timeout", "Timeout: " + message);
  status.retry_after_seconds = retry_after_seconds;
  return status;
}

Status resource_version_too_large(std::int64_t wanted, std::int64_t current) {
  Status status = timeout(
      "Too large resource version: " + std::to_string(wanted) + ", current: " + std::to_string(current), 1);
  status.causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  return status;
}

Status insufficient_storage(std::string message) {
  return make(507, "InsufficientStorage", std::move(message));
}

}  // namespace coxswain::api
