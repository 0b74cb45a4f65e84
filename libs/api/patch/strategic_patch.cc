#include <algorithm>

#include "libs/api/patch/patch.h"

namespace coxswain::api {
namespace {

constexpr std::string_view kPatch = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kOrderPrefix = "$setElementOrder/";
constexpr std::string_view kDeletePrefix = "$deleteFromPrimitiveList/";

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

Status unprocessable(std::string message) {
  Status status;
  status.code = 422;
  status.reason = "Invalid";
  status.message = std::move(message);
  return status;
}

Status no_merge_key(const json::Value& element, std::string_view key) {
  return unprocessable("map: " + json::write(element) +
                       " does not contain declared merge key: " + std::string(key));
}
Status bad_order() { return bad_request("invalid patch format of setElementOrder list"); }

// How a member of an object merges.
struct Meta {
  const schema::Type* type = nullptr;  // of the element, when it is a struct
  bool merge = false;
  std::string_view key;
};

// `type` describes the object itself; maps of structs pass their element type on.
Meta meta_of(const schema::Type* type, std::string_view member) {
  const schema::Field* field = type == nullptr ? nullptr : type->find(member);
  if (field == nullptr) return {};
  Meta meta;
  if (field->kind == schema::Kind::kStruct && field->container != schema::Container::kMap)
    meta.type = field->type;
  meta.merge = field->patch_merge && field->container == schema::Container::kList;
  meta.key = field->patch_merge_key;
  return meta;
}

// Nulls mean nothing in what is new, and directives are never stored. False: drop the value itself.
bool clean(json::Value& value) {
  if (value.is_object()) {
    if (value.find(kPatch) != nullptr) return false;
    std::vector<std::string> drop;
    for (json::Member& member : value.as_object()) {
      const bool directive = member.first == kRetainKeys || starts_with(member.first, kOrderPrefix) ||
                             starts_with(member.first, kDeletePrefix);
      if (directive || member.second.is_null() || !clean(member.second)) drop.push_back(member.first);
    }
    for (const std::string& key : drop) value.erase(key);
  } else if (value.is_array()) {
    json::Array& items = value.as_array();
    items.erase(std::remove_if(items.begin(), items.end(), [](json::Value& item) { return !clean(item); }),
                items.end());
  }
  return true;
}

bool holds_objects(const json::Value& a, const json::Value& b) {
  const json::Array& items = a.as_array().empty() ? b.as_array() : a.as_array();
  return !items.empty() && items[0].is_object();
}

ApiResult<void> require_keys(const json::Array& items, std::string_view key) {
  if (key.empty()) return {};
  for (const json::Value& item : items) {
    if (!item.is_object())
      return unprocessable("expected a map, but received a " + std::string(json::to_string(item.type())));
    if (item.find(key) == nullptr) return no_merge_key(item, key);
  }
  return {};
}

// Position of the element that `value` names: equal, or with an equal merge key. -1: none.
std::ptrdiff_t index_of(const json::Array& items, const json::Value& value, std::string_view key) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (key.empty()) {
      if (items[i] == value) return static_cast<std::ptrdiff_t>(i);
      continue;
    }
    const json::Value* left = items[i].find(key);
    const json::Value* right = value.find(key);
    if (left != nullptr && right != nullptr && *left == *right) return static_cast<std::ptrdiff_t>(i);
  }
  return -1;
}

void sort_by(json::Array& items, const json::Array& order, std::string_view key) {
  std::vector<std::pair<std::ptrdiff_t, json::Value>> keyed;
  keyed.reserve(items.size());
  for (json::Value& item : items) {
    const std::ptrdiff_t at = index_of(order, item, key);
    keyed.emplace_back(at, std::move(item));
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = std::move(keyed[i].second);
}

// Elements that the patch names stand in its order, the others in the server's; the two are zipped so
// that a server-only element stays before those that followed it on the server.
json::Array ordered(json::Array merged, const json::Array& patch_order, const json::Array& server_order,
                    std::string_view key) {
  json::Array named;
  json::Array others;
  for (json::Value& item : merged) {
    (index_of(patch_order, item, key) >= 0 ? named : others).push_back(std::move(item));
  }
  sort_by(named, patch_order, key);
  sort_by(others, server_order, key);
  json::Array out;
  out.reserve(named.size() + others.size());
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < others.size() || j < named.size()) {
    bool take_other = j == named.size();
    if (!take_other && i < others.size()) {
      const std::ptrdiff_t left = index_of(server_order, others[i], key);
      const std::ptrdiff_t right = index_of(server_order, named[j], key);
      take_other = left >= 0 && right >= 0 && left < right;
    }
    out.push_back(std::move(take_other ? others[i++] : named[j++]));
  }
  return out;
}

ApiResult<void> merge_object(json::Value& original, const json::Value& patch, const schema::Type* type);

// Everything below looks for each of `changes` among all of both.
ApiResult<void> check_work(std::size_t changes, std::size_t present) {
  if (changes * (changes + present) <= kMaxMergeWork) return {};
  return request_too_large("the patch changes too many members of one object or list");
}

// Objects with a merge key: directives first, then element by element. No ordering yet.
ApiResult<void> merge_elements(json::Array& original, const json::Array& patch, const Meta& meta) {
  bool replace = false;
  json::Array kept;
  for (const json::Value& item : patch) {
    if (!item.is_object())
      return unprocessable("expected a map, but received a " + std::string(json::to_string(item.type())));
    const json::Value* directive = item.find(kPatch);
    if (directive == nullptr) {
      kept.push_back(item);
    } else if (*directive == json::Value("delete")) {
      if (item.find(meta.key) == nullptr) return no_merge_key(item, meta.key);
      for (std::ptrdiff_t at; (at = index_of(original, item, meta.key)) >= 0;)
        original.erase(original.begin() + at);
    } else if (*directive == json::Value("replace")) {
      replace = true;
    } else {
      return unprocessable("unknown patch type: " + json::write(*directive) +
                           " in map: " + json::write(item));
    }
  }
  if (replace) {
    original.clear();
    for (json::Value& item : kept) {
      clean(item);
      original.push_back(std::move(item));
    }
    return {};
  }
  for (json::Value& item : kept) {
    if (item.find(meta.key) == nullptr) return no_merge_key(item, meta.key);
    const std::ptrdiff_t at = index_of(original, item, meta.key);
    if (at >= 0) {
      COX_RETURN_IF_ERROR(merge_object(original[static_cast<std::size_t>(at)], item, meta.type));
    } else {
      clean(item);
      original.push_back(std::move(item));
    }
  }
  return {};
}

json::Array without_duplicates(const json::Array& a, const json::Array& b) {
  json::Array out;
  for (const json::Array* items : {&a, &b}) {
    for (const json::Value& item : *items) {
      if (index_of(out, item, {}) < 0) out.push_back(item);
    }
  }
  return out;
}

// `order` overrides the patch's own order ($setElementOrder).
ApiResult<void> merge_list(json::Value& original, const json::Value& patch, const Meta& meta,
                           const json::Array* order) {
  json::Array& items = original.as_array();
  const std::size_t changes = patch.as_array().size() + (order == nullptr ? 0 : order->size());
  COX_RETURN_IF_ERROR(check_work(changes, items.size()));
  const bool objects = holds_objects(original, patch);
  if (objects && meta.key.empty()) return unprocessable("cannot merge lists without merge key");
  if (objects) COX_RETURN_IF_ERROR(require_keys(items, meta.key));
  const json::Array server_order = items;
  if (objects) {
    COX_RETURN_IF_ERROR(merge_elements(items, patch.as_array(), meta));
    COX_RETURN_IF_ERROR(require_keys(items, meta.key));
  } else {
    items = without_duplicates(server_order, patch.as_array());
  }
  items = ordered(std::move(items), order != nullptr ? *order : patch.as_array(), server_order,
                  objects ? meta.key : std::string_view());
  return {};
}

// The patch list must be a sub-sequence of the order list.
ApiResult<void> check_order(const json::Value* patch, const json::Array& order, std::string_view key) {
  COX_RETURN_IF_ERROR(require_keys(order, key));
  if (patch == nullptr || order.empty()) return {};
  std::size_t at = 0;
  for (const json::Value& item : patch->as_array()) {
    if (item.find(kPatch) != nullptr) continue;
    if (!key.empty() && item.find(key) == nullptr) return no_merge_key(item, key);
    while (at < order.size() && index_of({order[at]}, item, key) < 0) ++at;
    if (at++ >= order.size()) {
      return unprocessable("The order in patch list:\n" + json::write(*patch) +
                           "\n doesn't match $setElementOrder list:\n" + json::write(json::Value(order)));
    }
  }
  return {};
}

ApiResult<void> apply_order(json::Value& original, const json::Value& patch, const json::Member& directive,
                            const schema::Type* type, std::vector<std::string>& done) {
  if (!directive.second.is_array()) return bad_order();
  const std::string name = directive.first.substr(kOrderPrefix.size());
  const json::Array& order = directive.second.as_array();
  json::Value* list = original.find(name);
  const json::Value* change = patch.find(name);
  if (change != nullptr && change->is_null()) return {};
  if ((list != nullptr && !list->is_array()) || (change != nullptr && !change->is_array()))
    return bad_order();
  const Meta meta = meta_of(type, name);
  COX_RETURN_IF_ERROR(check_work(order.size(), (list == nullptr ? 0 : list->as_array().size()) +
                                                   (change == nullptr ? 0 : change->as_array().size())));
  COX_RETURN_IF_ERROR(check_order(change, order, meta.key));
  if (list == nullptr && change == nullptr) return {};
  done.push_back(name);
  if (change == nullptr) {
    COX_RETURN_IF_ERROR(require_keys(list->as_array(), meta.key));
    const json::Array server_order = list->as_array();
    list->as_array() = ordered(server_order, order, server_order, meta.key);
    return {};
  }
  if (list != nullptr && meta.merge) return merge_list(*list, *change, meta, &order);
  json::Value fresh = *change;
  clean(fresh);
  COX_RETURN_IF_ERROR(require_keys(fresh.as_array(), meta.key));
  fresh.as_array() = ordered(fresh.as_array(), order, {}, meta.key);
  original.set(name, std::move(fresh));
  return {};
}

ApiResult<void> apply_retain_keys(json::Value& original, const json::Value& patch) {
  const json::Value* keys = patch.find(kRetainKeys);
  if (keys == nullptr) return {};
  if (!keys->is_array()) return bad_request("invalid patch format of retainKeys");
  const auto retained = [&](const std::string& key) {
    return index_of(keys->as_array(), json::Value(key), {}) >= 0;
  };
  for (const json::Member& member : patch.as_object()) {
    if (member.second.is_null() || starts_with(member.first, "$")) continue;
    if (!retained(member.first)) return bad_request("invalid patch format of retainKeys");
  }
  std::vector<std::string> drop;
  for (const json::Member& member : original.as_object()) {
    if (!retained(member.first)) drop.push_back(member.first);
  }
  for (const std::string& key : drop) original.erase(key);
  return {};
}

ApiResult<void> delete_primitives(json::Value& original, const json::Member& directive) {
  if (!directive.second.is_array()) return bad_request("invalid patch format of primitive list");
  json::Value* list = original.find(std::string_view(directive.first).substr(kDeletePrefix.size()));
  if (list == nullptr || !list->is_array()) return {};
  json::Array& items = list->as_array();
  COX_RETURN_IF_ERROR(check_work(directive.second.as_array().size(), items.size()));
  items.erase(std::remove_if(items.begin(), items.end(),
                             [&](const json::Value& item) {
                               return index_of(directive.second.as_array(), item, {}) >= 0;
                             }),
              items.end());
  return {};
}

ApiResult<void> merge_member(json::Value& original, const json::Member& change, const schema::Type* type) {
  json::Value* before = original.find(change.first);
  const Meta meta = meta_of(type, change.first);
  if (before != nullptr && before->is_object() && change.second.is_object()) {
    return merge_object(*before, change.second, meta.type);
  }
  if (before != nullptr && before->is_array() && change.second.is_array() && meta.merge) {
    return merge_list(*before, change.second, meta, nullptr);
  }
  json::Value fresh = change.second;
  if (clean(fresh))
    original.set(change.first, std::move(fresh));
  else
    original.erase(change.first);
  return {};
}

ApiResult<void> merge_object(json::Value& original, const json::Value& patch, const schema::Type* type) {
  if (const json::Value* directive = patch.find(kPatch)) {
    if (*directive == json::Value("replace")) {
      original = patch;
      original.erase(kPatch);
      clean(original);
      return {};
    }
    if (*directive == json::Value("delete")) {
      original = json::Value::object();
      return {};
    }
    if (!(*directive == json::Value("merge"))) {
      return unprocessable("unknown patch type: " + json::write(*directive) +
                           " in map: " + json::write(patch));
    }
  }
  COX_RETURN_IF_ERROR(
      check_work(patch.as_object().size(), original.is_object() ? original.as_object().size() : 0));
  COX_RETURN_IF_ERROR(apply_retain_keys(original, patch));
  std::vector<std::string> done;
  for (const json::Member& member : patch.as_object()) {
    if (!starts_with(member.first, kOrderPrefix)) continue;
    // Deletions come first, so that the order is made of what stays.
    const std::string deletion = std::string(kDeletePrefix) + member.first.substr(kOrderPrefix.size());
    if (const json::Value* gone = patch.find(deletion)) {
      COX_RETURN_IF_ERROR(delete_primitives(original, json::Member{deletion, *gone}));
    }
    COX_RETURN_IF_ERROR(apply_order(original, patch, member, type, done));
  }
  for (const json::Member& member : patch.as_object()) {
    if (member.first == kPatch || member.first == kRetainKeys || starts_with(member.first, kOrderPrefix))
      continue;
    if (starts_with(member.first, kDeletePrefix)) {
      COX_RETURN_IF_ERROR(delete_primitives(original, member));
    } else if (member.second.is_null()) {
      original.erase(member.first);
    } else if (std::find(done.begin(), done.end(), member.first) == done.end()) {
      COX_RETURN_IF_ERROR(merge_member(original, member, type));
    }
  }
  return {};
}

}  // namespace

ApiResult<json::Value> apply_strategic_merge_patch(const json::Value& patch, json::Value document,
                                                   const schema::Type* type) {
  if (!patch.is_object()) return bad_request("a strategic merge patch must be a JSON object");
  if (!document.is_object()) document = json::Value::object();
  COX_RETURN_IF_ERROR(merge_object(document, patch, type));
  return document;
}

}  // namespace coxswain::api
