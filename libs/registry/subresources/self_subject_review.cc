// authentication.k8s.io/v1 SelfSubjectReview: who am I.
#include "libs/registry/verbs/write.h"

namespace coxswain::registry {

void handle_self_subject_review(const CallPtr& call) {
  const api::ApiResult<json::Value> body =
      read_side_body(call, "io.k8s.api.authentication.v1.SelfSubjectReview");
  if (!body.ok()) return respond_status(call, body.error());
  json::Array groups;
  for (const std::string& group : call->user.groups) groups.push_back(group);
  respond_json(
      call, 201,
      json::Value::object(
          {{"kind", "SelfSubjectReview"},
           {"apiVersion", "authentication.k8s.io/v1"},
           {"metadata", json::Value::object({{"creationTimestamp", format_rfc3339(call->now_unix_ms)}})},
           {"status",
            json::Value::object({{"userInfo", json::Value::object({{"username", call->user.name},
                                                                   {"groups", std::move(groups)}})}})}}));
}

}  // namespace coxswain::registry
