// The patch formats of libs/api/patch, by PATCH's content type.
#include "libs/api/patch/patch.h"
#include "libs/registry/library.h"

namespace coxswain::registry::library {

api::ApiResult<json::Value> patch(const api::schema::Type& type, PatchType kind, const json::Value& patch,
                                  const json::Value& current) {
  switch (kind) {
    case PatchType::kJson:
      return api::apply_json_patch(patch, current);
    case PatchType::kMerge:
      return api::apply_merge_patch(patch, current);
    case PatchType::kStrategic:
      break;
  }
  return api::apply_strategic_merge_patch(patch, current, &type);
}

}  // namespace coxswain::registry::library
