// OpenAPI documents (v2 and v3), made from the served resources of the catalogue. Pure. The documents
// are large and rarely asked for: make them on demand, keep them compressed or not at all.
//
// What clients rely on: kubectl explain follows paths -> x-kubernetes-group-version-kind -> schema;
// kubectl apply looks for the `fieldValidation` and `dryRun` parameters and the patch keys.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"

namespace coxswain::api::openapi {

// "api/v1", "apis/apps/v1": the key of a group version in /openapi/v3.
std::string group_version_path(std::string_view group, std::string_view version);

// /openapi/v3/api/v1, /openapi/v3/apis/GROUP/VERSION. Null when nothing is served there.
json::Value openapi_v3(const std::vector<const schema::Resource*>& resources, std::string_view group,
                       std::string_view version);

// /openapi/v3: links with a content hash, so that clients may cache each document for good.
json::Value openapi_v3_root(const std::vector<const schema::Resource*>& resources);

// /openapi/v2; gnostic.h has its protobuf form, which Go clients ask for.
json::Value openapi_v2(const std::vector<const schema::Resource*>& resources);

}  // namespace coxswain::api::openapi
