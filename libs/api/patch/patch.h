// The three patch formats of the API, as pure functions over documents. A patch applies as a whole
// or not at all. Depth and size of what a patch can build are bounded.
#pragma once

#include "libs/api/meta/status.h"
#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"

namespace coxswain::api {

inline constexpr std::size_t kMaxPatchOperations = 10'000;
inline constexpr std::size_t kMaxPatchCopyBytes = 3 * 1024 * 1024;  // all `copy` operations together
inline constexpr std::size_t kMaxPatchedDepth = 100;
// Members or elements of a patch times those of what it meets: objects are searched linearly.
inline constexpr std::size_t kMaxMergeWork = 50'000'000;

// RFC 6902. 400: not a patch; 413: too many operations or too much copied; 422: it does not apply, a
// failed `test` included.
ApiResult<json::Value> apply_json_patch(const json::Value& patch, json::Value document);

// RFC 7386. The patch must be an object (400).
ApiResult<json::Value> apply_merge_patch(const json::Value& patch, json::Value document);

// Kubernetes' strategic merge patch: lists merge by the merge keys of `type` (null: nothing is known,
// lists are replaced), with the directives $patch (replace, delete), $retainKeys,
// $deleteFromPrimitiveList/F and $setElementOrder/F. 400: a directive is malformed; 422: an element
// lacks its merge key.
// Source: Kubernetes documentation, "Update API Objects in Place Using kubectl patch"; design proposal
// "preserve order in strategic merge patch".
ApiResult<json::Value> apply_strategic_merge_patch(const json::Value& patch, json::Value document,
                                                   const schema::Type* type);

}  // namespace coxswain::api
