// Walks over documents by the schema table: unknown fields, defaults, checks, patches. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/api/meta/status.h"
#include "libs/api/schema/schema.h"
#include "libs/common/base/result.h"
#include "libs/common/json/json.h"
#include "libs/registry/media.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry::library {

// Removes fields that `type` does not have; their paths go to `unknown`.
void prune(const api::schema::Type& type, json::Value& object, std::vector<std::string>& unknown);
// Also brings times and quantities into their canonical spelling. Idempotent.
void set_defaults(const api::schema::Type& type, json::Value& object);
void check(const api::schema::Type& type, const json::Value& object, Causes& out);
void check_metadata(const api::schema::Resource& resource, const Strategy& strategy,
                    const json::Value& object, Causes& out);
api::ApiResult<json::Value> patch(const api::schema::Type& type, PatchType kind, const json::Value& patch,
                                  const json::Value& current);

}  // namespace coxswain::registry::library
