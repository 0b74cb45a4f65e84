// Table answers (meta.k8s.io/v1): what kubectl prints. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {

// api::human_duration since an RFC 3339 text; "<unknown>" when absent or malformed.
std::string human_age(const json::Value* timestamp, std::int64_t now_unix_ms);

// `.spec.replicas`, `.spec.containers[*].name`, `.metadata.labels['app']`; several values are joined by
// commas. null when absent.
json::Value evaluate_json_path(const json::Value& object, std::string_view path);

json::Value table_column_definitions(const api::schema::Resource& resource);
// One row. `include_object`: "Metadata" (default), "Object" or "None".
json::Value table_row(const api::schema::Resource& resource, const Strategy& strategy,
                      const json::Value& object, std::string_view include_object, std::int64_t now_unix_ms);
json::Value partial_metadata(const json::Value& object);

}  // namespace coxswain::registry
