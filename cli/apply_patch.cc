#include "cli/apply_patch.h"

#include <string>

namespace coxswain::cli {
namespace {

using api::schema::Container;
using api::schema::Field;
using api::schema::Type;

const Field* field_of(const Type* type, const std::string& name) {
  return type == nullptr ? nullptr : type->find(name);
}

bool merges_by_key(const Field* field) {
  return field != nullptr && field->container == Container::kList && field->patch_merge &&
         !field->patch_merge_key.empty();
}

const json::Value* find_by_key(const json::Value& list, std::string_view key, const json::Value& element) {
  const json::Value* wanted = element.find(key);
  if (wanted == nullptr || !list.is_array()) return nullptr;
  for (const json::Value& item : list.as_array()) {
    const json::Value* have = item.find(key);
    if (have != nullptr && *have == *wanted) return &item;
  }
  return nullptr;
}

json::Value diff(const json::Value& last, const json::Value& wanted, const json::Value& live,
                 const Type* type);

// A list of objects with a merge key: changed and new elements in full or in part, `$patch: delete`
// for elements that were applied before and are gone now.
json::Value diff_keyed_list(const json::Value& last, const json::Value& wanted, const json::Value& live,
                            const Field& field) {
  const std::string_view key = field.patch_merge_key;
  json::Value out = json::Value::array();
  for (const json::Value& element : wanted.as_array()) {
    const json::Value* there = find_by_key(live, key, element);
    if (there == nullptr) {
      out.push_back(element);
      continue;
    }
    const json::Value* before = find_by_key(last, key, element);
    json::Value change = diff(before == nullptr ? json::Value() : *before, element, *there, field.type);
    if (change.is_null()) continue;
    change.set(key, *element.find(key));
    out.push_back(std::move(change));
  }
  if (last.is_array()) {
    for (const json::Value& element : last.as_array()) {
      if (find_by_key(wanted, key, element) != nullptr || find_by_key(live, key, element) == nullptr)
        continue;
      json::Value removal = json::Value::object({{"$patch", "delete"}});
      removal.set(key, *element.find(key));
      out.push_back(std::move(removal));
    }
  }
  return out.as_array().empty() ? json::Value() : out;
}

// The change of one member; null when there is none.
json::Value diff_member(const json::Value& last, const json::Value& wanted, const json::Value& live,
                        const Field* field) {
  if (wanted.is_array() && live.is_array() && merges_by_key(field))
    return diff_keyed_list(last, wanted, live, *field);
  if (wanted.is_object() && live.is_object()) {
    const bool is_struct = field != nullptr && field->container == Container::kOne && field->type != nullptr;
    return diff(last, wanted, live, is_struct ? field->type : nullptr);
  }
  return wanted == live ? json::Value() : wanted;
}

json::Value diff(const json::Value& last, const json::Value& wanted, const json::Value& live,
                 const Type* type) {
  json::Value patch = json::Value::object();
  for (const auto& [name, value] : wanted.as_object()) {
    if (value.is_null()) continue;
    const json::Value* there = live.find(name);
    if (there == nullptr) {
      patch.set(name, value);
      continue;
    }
    const json::Value* before = last.find(name);
    json::Value change =
        diff_member(before == nullptr ? json::Value() : *before, value, *there, field_of(type, name));
    if (!change.is_null()) patch.set(name, std::move(change));
  }
  if (last.is_object()) {
    for (const auto& [name, value] : last.as_object()) {
      if (wanted.find(name) == nullptr && live.find(name) != nullptr) patch.set(name, json::Value());
    }
  }
  return patch.as_object().empty() ? json::Value() : patch;
}

}  // namespace

json::Value with_last_applied(json::Value object) {
  if (json::Value* annotations = object.find_path({"metadata", "annotations"}))
    annotations->erase(kLastApplied);
  std::string text = json::write(object) + "\n";
  object["metadata"]["annotations"].set(kLastApplied, std::move(text));
  return object;
}

json::Value three_way_patch(const json::Value& last_applied, const json::Value& wanted,
                            const json::Value& live, const api::schema::Type* type) {
  return diff(last_applied, wanted, live, type);
}

}  // namespace coxswain::cli
