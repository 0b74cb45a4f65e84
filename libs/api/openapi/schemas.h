// Types of the schema table as OpenAPI schemas; shared by the v2 and v3 documents.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"

namespace coxswain::api::openapi {

enum class Dialect { kV2, kV3 };

// The types that `roots` reach, themselves included, by name.
std::set<const schema::Type*> reachable(const std::vector<const schema::Type*>& roots);

json::Value schema_of(const schema::Type& type, Dialect dialect);
json::Value reference_to(std::string_view type_name, Dialect dialect);  // {"$ref": ...}
// "io.k8s.api.core.v1.PodList" for a type of a resource, and its schema.
std::string list_type_name(const schema::Resource& resource);
json::Value list_schema_of(const schema::Resource& resource, Dialect dialect);
// [{group, version, kind}], the value of x-kubernetes-group-version-kind.
json::Value group_version_kind(std::string_view group, std::string_view version, std::string_view kind);

}  // namespace coxswain::api::openapi
