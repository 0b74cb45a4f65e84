#include "libs/api/meta/status.h"

#include <catch2/catch.hpp>

using namespace coxswain::api;

TEST_CASE("status constructors use Kubernetes' words") {
  struct Case {
    Status status;
    int code;
    const char* reason;
    const char* message;
  };
  const GroupResource pods{"", "pods"};
  const GroupResource deployments{"apps", "deployments"};
  const GroupKind deployment{"apps", "Deployment"};
  const StatusCause negative{"FieldValueInvalid", "Invalid value: -1: must be greater than or equal to 0",
                             "spec.replicas"};
  const StatusCause required{"FieldValueRequired", "Required value", "spec.selector"};
  const Case cases[] = {
      {not_found(pods, "x"), 404, "NotFound", "pods \"x\" not found"},
      {not_found(deployments, "x"), 404, "NotFound", "deployments.apps \"x\" not found"},
      {already_exists(deployments, "x"), 409, "AlreadyExists", "deployments.apps \"x\" already exists"},
      {conflict(pods, "x", "changed"), 409, "Conflict",
       "Operation cannot be fulfilled on pods \"x\": changed"},
      {forbidden(pods, "", "no"), 403, "Forbidden", "pods is forbidden: no"},
      {invalid(deployment, "x", {negative}), 422, "Invalid",
       "Deployment.apps \"x\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to "
       "0"},
      {invalid(deployment, "x", {required, required, negative}), 422, "Invalid",
       "Deployment.apps \"x\" is invalid: [spec.selector: Required value, spec.replicas: Invalid value: -1: "
       "must "
       "be greater than or equal to 0]"},
      {internal_error("boom"), 500, "InternalError", "Internal error occurred: boom"},
  };
  for (const Case& c : cases) {
    CHECK(c.status.code == c.code);
    CHECK(c.status.reason == c.reason);
    CHECK(c.status.message == c.message);
    const Status again = Status::from_json(c.status.to_json());
    CHECK(again.code == c.code);
    CHECK(again.message == c.message);
    CHECK(again.causes.size() == c.status.causes.size());
    CHECK(again.kind == c.status.kind);
  }
}
