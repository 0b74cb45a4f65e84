// Client-side apply: the patch that takes the live object to what the user wrote.
//
// Three inputs, as in kubectl's apply: what was applied last (the annotation
// kubectl.kubernetes.io/last-applied-configuration), what is applied now, and what is there. Fields
// that were applied before and are gone now are deleted; fields that others own stay.
#pragma once

#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"

namespace coxswain::cli {

inline constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

// The object with the annotation that remembers it.
json::Value with_last_applied(json::Value object);

// `type` null: a kind that the catalogue does not know; the patch is then a JSON merge patch, else a
// strategic merge patch. Null when nothing is to do.
json::Value three_way_patch(const json::Value& last_applied, const json::Value& wanted,
                            const json::Value& live, const api::schema::Type* type);

}  // namespace coxswain::cli
