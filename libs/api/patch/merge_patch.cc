#include "libs/api/patch/patch.h"

namespace coxswain::api {
namespace {

void merge(const json::Value& patch, json::Value& target) {
  if (!target.is_object()) target = json::Value::object();
  for (const json::Member& member : patch.as_object()) {
    if (member.second.is_null()) {
      target.erase(member.first);
    } else if (member.second.is_object()) {
      merge(member.second, target[member.first]);
    } else {
      target.set(member.first, member.second);
    }
  }
}

}  // namespace

ApiResult<json::Value> apply_merge_patch(const json::Value& patch, json::Value document) {
  if (!patch.is_object()) return bad_request("a merge patch must be a JSON object");
  merge(patch, document);
  return document;
}

}  // namespace coxswain::api
