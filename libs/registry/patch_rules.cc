// The three patch formats: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes'
// strategic merge patch, which merges lists by the schema's merge keys.
// Source: kubernetes.io "Update API Objects in Place Using kubectl patch".
#include <algorithm>

#include "libs/common/base/strings.h"
#include "libs/registry/library.h"

namespace coxswain::registry::library {
namespace {

namespace schema = api::schema;

json::Value merge_patch(const json::Value& current, const json::Value& patch) {
  if (!patch.is_object()) return patch;
  json::Value out = current.is_object() ? current : json::Value::object();
  for (const json::Member& member : patch.as_object()) {
    if (member.second.is_null()) {
      out.erase(member.first);
      continue;
    }
    const json::Value* before = out.find(member.first);
    out.set(member.first, merge_patch(before == nullptr ? json::Value() : *before, member.second));
  }
  return out;
}

// --- JSON patch ----------------------------------------------------------------------------------

api::Status patch_error(const std::string& why) {
  api::Status status = api::bad_request(why);
  status.code = 422;
  status.reason = "Invalid";
  return status;
}

std::vector<std::string> pointer_parts(const std::string& pointer) {
  std::vector<std::string> parts = split(pointer, '/');
  parts.erase(parts.begin());
  for (std::string& part : parts) {
    for (std::size_t at = 0; (at = part.find('~', at)) != std::string::npos; ++at) {
      part.replace(at, 2, part.substr(at, 2) == "~1" ? "/" : "~");
    }
  }
  return parts;
}

json::Value* child_of(json::Value& parent, const std::string& part) {
  if (parent.is_object()) return parent.find(part);
  if (!parent.is_array()) return nullptr;
  const std::optional<std::uint64_t> index = parse_uint64(part);
  return index && *index < parent.as_array().size() ? &parent.as_array()[*index] : nullptr;
}

json::Value* walk(json::Value& root, const std::vector<std::string>& parts, std::size_t count) {
  json::Value* at = &root;
  for (std::size_t i = 0; i < count && at != nullptr; ++i) at = child_of(*at, parts[i]);
  return at;
}

bool add_at(json::Value& root, const std::string& pointer, json::Value value, bool replace) {
  if (pointer.empty()) {
    root = std::move(value);
    return true;
  }
  const std::vector<std::string> parts = pointer_parts(pointer);
  json::Value* parent = walk(root, parts, parts.size() - 1);
  if (parent == nullptr) return false;
  const std::string& last = parts.back();
  if (replace) {
    json::Value* target = child_of(*parent, last);
    if (target == nullptr) return false;
    *target = std::move(value);
    return true;
  }
  if (parent->is_object()) {
    parent->set(last, std::move(value));
    return true;
  }
  if (!parent->is_array()) return false;
  json::Array& array = parent->as_array();
  if (last == "-") {
    array.push_back(std::move(value));
    return true;
  }
  const std::optional<std::uint64_t> index = parse_uint64(last);
  if (!index || *index > array.size()) return false;
  array.insert(array.begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
  return true;
}

bool remove_at(json::Value& root, const std::string& pointer, json::Value* removed) {
  const std::vector<std::string> parts = pointer_parts(pointer);
  if (parts.empty()) return false;
  json::Value* parent = walk(root, parts, parts.size() - 1);
  json::Value* target = parent == nullptr ? nullptr : child_of(*parent, parts.back());
  if (target == nullptr) return false;
  if (removed != nullptr) *removed = *target;
  if (parent->is_object()) {
    parent->erase(parts.back());
  } else {
    parent->as_array().erase(parent->as_array().begin() + (target - parent->as_array().data()));
  }
  return true;
}

// "" or the reason why it does not apply.
std::string apply_operation(json::Value& root, const json::Value& operation) {
  const std::string op = operation.get_string("op");
  const std::string path = operation.get_string("path");
  const std::string from = operation.get_string("from");
  const json::Value* value = operation.find("value");
  if ((!path.empty() && path[0] != '/') || (!from.empty() && from[0] != '/')) return "a JSON pointer starts with '/': " + path;
  const std::string missing = op + " operation does not apply: doc is missing path: " + path;
  if (op == "add" || op == "replace") {
    if (value == nullptr) return op + " operation without a value";
    return add_at(root, path, *value, op == "replace") ? "" : missing;
  }
  if (op == "remove") return remove_at(root, path, nullptr) ? "" : missing;
  if (op == "test") {
    const std::vector<std::string> parts = path.empty() ? std::vector<std::string>() : pointer_parts(path);
    const json::Value* target = walk(root, parts, parts.size());
    const json::Value null;
    return (target == nullptr ? null : *target) == (value == nullptr ? null : *value)
               ? "" : "testing value " + path + " failed: test failed";
  }
  if (op == "move" || op == "copy") {
    json::Value moved;
    if (op == "move" ? !remove_at(root, from, &moved) : [&] {
          const std::vector<std::string> parts = pointer_parts(from);
          const json::Value* source = walk(root, parts, parts.size());
          if (source != nullptr) moved = *source;
          return source == nullptr;
        }()) return missing;
    return add_at(root, path, std::move(moved), false) ? "" : missing;
  }
  return "unknown operation \"" + op + "\"";
}

api::ApiResult<json::Value> json_patch(const json::Value& current, const json::Value& patch) {
  if (!patch.is_array()) return api::bad_request("a JSON patch must be an array of operations");
  if (patch.as_array().size() > 10'000) return api::request_too_large("a JSON patch may have at most 10000 operations");
  json::Value out = current;
  for (const json::Value& operation : patch.as_array()) {
    if (std::string error = apply_operation(out, operation); !error.empty()) return patch_error(error);
  }
  return out;
}

// --- strategic merge patch -----------------------------------------------------------------------

json::Value strategic(const schema::Type* type, const json::Value& current, const json::Value& patch);

json::Value without_directives(const json::Value& value) {
  if (value.is_array()) {
    json::Array out;
    for (const json::Value& item : value.as_array()) {
      if (item.is_object() && item.get_string("$patch") == "delete") continue;
      out.push_back(without_directives(item));
    }
    return out;
  }
  if (!value.is_object()) return value;
  json::Value out = json::Value::object();
  for (const json::Member& member : value.as_object()) {
    if (!member.first.empty() && member.first[0] == '$') continue;
    if (member.second.is_null()) continue;
    out.set(member.first, without_directives(member.second));
  }
  return out;
}

bool same_key(const json::Value& a, const json::Value& b, std::string_view key) {
  const json::Value* x = a.find(key);
  const json::Value* y = b.find(key);
  return x != nullptr && y != nullptr && *x == *y;
}

void reorder(json::Array& list, const json::Value& order, std::string_view key) {
  if (!order.is_array()) return;
  json::Array sorted;
  std::vector<bool> used(list.size());
  for (const json::Value& wanted : order.as_array()) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (used[i] || !(key.empty() ? list[i] == wanted : same_key(list[i], wanted, key))) continue;
      used[i] = true;
      sorted.push_back(list[i]);
      break;
    }
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!used[i]) sorted.push_back(list[i]);
  }
  list = std::move(sorted);
}

json::Value merge_list(const schema::Field& field, const json::Value& current, const json::Value& patch) {
  json::Array out = current.is_array() ? current.as_array() : json::Array();
  for (const json::Value& item : patch.as_array()) {
    if (item.is_object() && item.get_string("$patch") == "replace") return without_directives(patch);
  }
  for (const json::Value& item : patch.as_array()) {
    if (field.patch_merge_key.empty()) {
      if (std::find(out.begin(), out.end(), item) == out.end()) out.push_back(item);
      continue;
    }
    const auto at = std::find_if(out.begin(), out.end(),
                                 [&](const json::Value& existing) { return same_key(existing, item, field.patch_merge_key); });
    if (item.get_string("$patch") == "delete") {
      if (at != out.end()) out.erase(at);
    } else if (at != out.end()) {
      *at = strategic(field.type, *at, item);
    } else {
      out.push_back(without_directives(item));
    }
  }
  return out;
}

void apply_directives(const schema::Type* type, const json::Value& patch, json::Value& out) {
  for (const json::Member& member : patch.as_object()) {
    const std::size_t slash = member.first.find('/');
    if (slash == std::string::npos || member.first[0] != '$') continue;
    const std::string target = member.first.substr(slash + 1);
    json::Value* list = out.find(target);
    if (list == nullptr || !list->is_array() || !member.second.is_array()) continue;
    if (member.first.rfind("$deleteFromPrimitiveList/", 0) == 0) {
      for (const json::Value& gone : member.second.as_array()) {
        json::Array& array = list->as_array();
        array.erase(std::remove(array.begin(), array.end(), gone), array.end());
      }
    } else if (member.first.rfind("$setElementOrder/", 0) == 0) {
      const schema::Field* field = type == nullptr ? nullptr : type->find(target);
      reorder(list->as_array(), member.second, field == nullptr ? std::string_view() : field->patch_merge_key);
    }
  }
  const json::Value* keep = patch.find("$retainKeys");
  if (keep == nullptr || !keep->is_array()) return;
  std::vector<std::string> drop;
  for (const json::Member& member : out.as_object()) {
    const auto& kept = keep->as_array();
    if (std::find(kept.begin(), kept.end(), json::Value(member.first)) == kept.end()) drop.push_back(member.first);
  }
  for (const std::string& key : drop) out.erase(key);
}

json::Value strategic(const schema::Type* type, const json::Value& current, const json::Value& patch) {
  if (!patch.is_object()) return patch;
  const std::string directive = patch.get_string("$patch");
  if (directive == "replace") return without_directives(patch);
  if (directive == "delete") return json::Value::object();
  json::Value out = current.is_object() ? current : json::Value::object();
  for (const json::Member& member : patch.as_object()) {
    if (!member.first.empty() && member.first[0] == '$') continue;
    if (member.second.is_null()) {
      out.erase(member.first);
      continue;
    }
    const schema::Field* field = type == nullptr ? nullptr : type->find(member.first);
    const json::Value* before = out.find(member.first);
    const json::Value old = before == nullptr ? json::Value() : *before;
    if (member.second.is_array()) {
      const bool merges = field != nullptr && field->container == schema::Container::kList && field->patch_merge;
      out.set(member.first, merges ? merge_list(*field, old, member.second) : without_directives(member.second));
    } else if (member.second.is_object()) {
      const bool of_structs = field != nullptr && field->kind == schema::Kind::kStruct &&
                              field->container == schema::Container::kOne;
      out.set(member.first, strategic(of_structs ? field->type : nullptr, old, member.second));
    } else {
      out.set(member.first, member.second);
    }
  }
  apply_directives(type, patch, out);
  return out;
}

}  // namespace

api::ApiResult<json::Value> patch(const schema::Type& type, PatchType kind, const json::Value& patch,
                                  const json::Value& current) {
  if (kind == PatchType::kJson) return json_patch(current, patch);
  if (!patch.is_object()) return api::bad_request("the patch must be an object");
  return kind == PatchType::kMerge ? merge_patch(current, patch) : strategic(&type, current, patch);
}

}  // namespace coxswain::registry::library
