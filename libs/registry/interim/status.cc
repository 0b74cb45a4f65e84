// metav1.Status: wording and JSON form.
#include "libs/api/meta/status.h"

namespace coxswain::api {
namespace {

Status make(int code, std::string reason, std::string message) {
  Status status;
  status.code = code;
  status.reason = std::move(reason);
  status.message = std::move(message);
  return status;
}

Status about(int code, std::string reason, std::string message, const GroupResource& resource, const std::string& name) {
  Status status = make(code, std::move(reason), std::move(message));
  status.group = resource.group;
  status.kind = resource.resource;
  status.name = name;
  return status;
}

}  // namespace

json::Value Status::to_json() const {
  json::Value out = json::Value::object({{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", json::Value::object()},
                                         {"status", "Failure"}, {"message", message}, {"reason", reason}});
  json::Value details = json::Value::object();
  if (!name.empty()) details.set("name", name);
  if (!group.empty()) details.set("group", group);
  if (!kind.empty()) details.set("kind", kind);
  if (!uid.empty()) details.set("uid", uid);
  for (const StatusCause& cause : causes) {
    json::Value item = json::Value::object({{"reason", cause.reason}, {"message", cause.message}});
    if (!cause.field.empty()) item.set("field", cause.field);
    details["causes"].push_back(std::move(item));
  }
  if (retry_after_seconds > 0) details.set("retryAfterSeconds", retry_after_seconds);
  if (!details.as_object().empty()) out.set("details", std::move(details));
  out.set("code", code);
  return out;
}

Status Status::from_json(const json::Value& value) {
  Status status = make(static_cast<int>(value.get_int("code", 500)), value.get_string("reason"), value.get_string("message"));
  if (const json::Value* details = value.find("details")) {
    status.group = details->get_string("group");
    status.kind = details->get_string("kind");
    status.name = details->get_string("name");
    status.uid = details->get_string("uid");
    status.retry_after_seconds = static_cast<std::int32_t>(details->get_int("retryAfterSeconds"));
    const json::Value* causes = details->find("causes");
    if (causes != nullptr && causes->is_array()) {
      for (const json::Value& cause : causes->as_array()) {
        status.causes.push_back({cause.get_string("reason"), cause.get_string("message"), cause.get_string("field")});
      }
    }
  }
  return status;
}

Status bad_request(std::string message) { return make(400, "BadRequest", std::move(message)); }
Status unauthorized(std::string message) { return make(401, "Unauthorized", std::move(message)); }
Status forbidden(const GroupResource& r, const std::string& name, const std::string& why) {
  const std::string subject = name.empty() ? "" : " \"" + name + "\"";
  return about(403, "Forbidden", r.qualified() + subject + " is forbidden: " + why, r, name);
}
Status not_found(const GroupResource& r, const std::string& name) {
  return about(404, "NotFound", r.qualified() + " \"" + name + "\" not found", r, name);
}
Status page_not_found() { return make(404, "NotFound", "the server could not find the requested resource"); }
Status method_not_allowed(const GroupResource& r, const std::string& verb) {
  return about(405, "MethodNotAllowed", verb + " is not supported on resources of kind \"" + r.qualified() + "\"", r, "");
}
Status not_acceptable(const std::string& accepted) {
  return make(406, "NotAcceptable", "only the following media types are accepted: " + accepted);
}
Status already_exists(const GroupResource& r, const std::string& name) {
  return about(409, "AlreadyExists", r.qualified() + " \"" + name + "\" already exists", r, name);
}
Status conflict(const GroupResource& r, const std::string& name, const std::string& why) {
  return about(409, "Conflict", "Operation cannot be fulfilled on " + r.qualified() + " \"" + name + "\": " + why, r, name);
}
Status expired(std::string message) { return make(410, "Expired", std::move(message)); }
Status request_too_large(std::string message) { return make(413, "RequestEntityTooLarge", std::move(message)); }
Status unsupported_media_type(const std::string& supported) {
  return make(415, "UnsupportedMediaType",
              "the body of the request was in an unknown format - accepted media types include: " + supported);
}
Status invalid(const GroupKind& kind, const std::string& name, std::vector<StatusCause> causes) {
  std::string message = kind.qualified() + " \"" + name + "\" is invalid: ";
  if (causes.size() > 1) message += "[";
  for (std::size_t i = 0; i < causes.size(); ++i) {
    if (i > 0) message += ", ";
    message += causes[i].field + ": " + causes[i].message;
  }
  if (causes.size() > 1) message += "]";
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
Status internal_error(std::string message) { return make(500, "InternalError", "Internal error occurred: " + std::move(message)); }
Status service_unavailable(std::string message) { return make(503, "ServiceUnavailable", std::move(message)); }
Status timeout(std::string message, int retry_after_seconds) {
  Status status = make(504, "Timeout", std::move(message));
  status.retry_after_seconds = retry_after_seconds;
  return status;
}
Status insufficient_storage(std::string message) { return make(507, "InsufficientStorage", std::move(message)); }

}  // namespace coxswain::api
