// metav1.Status as an error value: what every failing API call answers with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/common/base/result.h"
#include "libs/common/json/json.h"

namespace coxswain::api {

struct StatusCause {
  std::string reason;  // FieldValueRequired, FieldValueInvalid, FieldValueForbidden, ...
  std::string message;
  std::string field;  // "spec.containers[0].name"
};

struct Status {
  int code = 500;
  std::string reason = "InternalError";
  std::string message;
  // details
  std::string group;
  std::string kind;  // the plural resource for NotFound and friends, the kind for Invalid
  std::string name;
  std::string uid;
  std::vector<StatusCause> causes;
  std::int32_t retry_after_seconds = 0;
  std::string continue_token;  // metadata.continue: how to go on with an expired list

  json::Value to_json() const;                        // the Failure object that clients see
  static Status from_json(const json::Value& value);  // tolerant
};

template <typename T>
using ApiResult = Result<T, Status>;

struct GroupResource {
  std::string group;
  std::string resource;
  std::string qualified() const { return group.empty() ? resource : resource + "." + group; }
};
struct GroupKind {
  std::string group;
  std::string kind;
  std::string qualified() const { return group.empty() ? kind : kind + "." + group; }
};

// Constructors with Kubernetes' codes, reasons and message forms.
Status bad_request(std::string message);   // 400 BadRequest
Status unauthorized(std::string message);  // 401
Status forbidden(const GroupResource& resource, const std::string& name, const std::string& why);  // 403
Status not_found(const GroupResource& resource, const std::string& name);  // 404, `pods "x" not found`
Status not_built(const std::string& what);  // 404, a part of the API that is not there yet
Status page_not_found();                    // 404, unknown path
Status method_not_allowed(const GroupResource& resource, const std::string& verb);  // 405
Status not_acceptable(const std::string& accepted);                                 // 406
Status already_exists(const GroupResource& resource, const std::string& name);      // 409 AlreadyExists
Status conflict(const GroupResource& resource, const std::string& name, const std::string& why);  // 409
Status expired(std::string message);                          // 410 Expired
Status request_too_large(std::string message);                // 413
Status unsupported_media_type(const std::string& supported);  // 415
Status invalid(const GroupKind& kind, const std::string& name, std::vector<StatusCause> causes);  // 422
Status too_many_requests(std::string message, int retry_after_seconds);                           // 429
Status internal_error(std::string message);                                                       // 500
// retry_after_seconds > 0 says that nothing happened: clients ask again by themselves, writes too.
Status service_unavailable(std::string message, int retry_after_seconds = 0);  // 503
Status timeout(std::string message, int retry_after_seconds = 0);              // 504
// 504: a revision that this server has not reached in the time that it waits for one.
Status resource_version_too_large(std::int64_t wanted, std::int64_t current);
Status insufficient_storage(std::string message);  // 507

}  // namespace coxswain::api
