#include "libs/api/patch/patch.h"

namespace coxswain::api {
namespace {

ApiResult<void> merge(const json::Value& patch, json::Value& target) {
  if (!target.is_object()) target = json::Value::object();
  const std::size_t changes = patch.as_object().size();
  if (changes * (changes + target.as_object().size()) > kMaxMergeWork)
    return request_too_large("the patch changes too many members of one object");
  for (const json::Member& member : patch.as_object()) {
    if (member.second.is_null()) {
      target.erase(member.first);
    } else if (member.second.is_object()) {
      COX_RETURN_IF_ERROR(merge(member.second, target[member.first]));
    } else {
      target.set(member.first, member.second);
    }
  }
  return {};
}

}  // namespace

ApiResult<json::Value> apply_merge_patch(const json::Value& patch, json::Value document) {
  if (!patch.is_object()) return bad_request("a merge patch must be a JSON object");
  COX_RETURN_IF_ERROR(merge(patch, document));
  return document;
}

}  // namespace coxswain::api
