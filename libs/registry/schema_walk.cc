// Unknown fields, static defaults and type checks of a document against the schema table.
#include <algorithm>

#include "libs/registry/library.h"

namespace coxswain::registry::library {
namespace {

namespace schema = api::schema;

// Calls `visit(element, path)` for each value of a field that holds structs.
template <typename Value, typename Visit>
void for_each_struct(const schema::Field& field, Value& value, const std::string& path, const Visit& visit) {
  if (field.container == schema::Container::kOne) return visit(value, path);
  if (field.container == schema::Container::kList && value.is_array()) {
    std::size_t index = 0;
    for (auto& item : value.as_array()) visit(item, path + "[" + std::to_string(index++) + "]");
  } else if (field.container == schema::Container::kMap && value.is_object()) {
    for (auto& member : value.as_object()) visit(member.second, path + "." + member.first);
  }
}

std::string join_path(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

void prune_at(const schema::Type& type, json::Value& object, const std::string& path,
              std::vector<std::string>& unknown) {
  if (!object.is_object()) return;
  std::vector<std::string> drop;
  for (json::Member& member : object.as_object()) {
    const schema::Field* field = type.find(member.first);
    if (field == nullptr) {
      if (path.empty() && (member.first == "apiVersion" || member.first == "kind")) continue;
      unknown.push_back(join_path(path, member.first));
      drop.push_back(member.first);
      continue;
    }
    if (member.second.is_null()) {
      drop.push_back(member.first);
      continue;
    }
    if (field->kind != schema::Kind::kStruct || field->type == nullptr) continue;
    for_each_struct(
        *field, member.second, join_path(path, member.first),
        [&](json::Value& item, const std::string& at) { prune_at(*field->type, item, at, unknown); });
  }
  for (const std::string& key : drop) object.erase(key);
}

void defaults_at(const schema::Type& type, json::Value& object) {
  if (!object.is_object()) return;
  for (const schema::Field& field : type.fields) {
    json::Value* value = object.find(field.name);
    if ((value == nullptr || value->is_null()) && !field.default_json.empty()) {
      Result<json::Value> parsed = json::parse(field.default_json);
      if (parsed.ok()) object.set(field.name, std::move(*parsed));
      value = object.find(field.name);
    }
    if (value == nullptr || field.kind != schema::Kind::kStruct || field.type == nullptr) continue;
    for_each_struct(field, *value, {},
                    [&](json::Value& item, const std::string&) { defaults_at(*field.type, item); });
  }
}

const char* expected(schema::Kind kind) {
  switch (kind) {
    case schema::Kind::kBool:
      return "boolean";
    case schema::Kind::kInt32:
    case schema::Kind::kInt64:
      return "integer";
    case schema::Kind::kDouble:
      return "number";
    case schema::Kind::kQuantity:
    case schema::Kind::kIntOrString:
      return "string or number";
    case schema::Kind::kStruct:
      return "object";
    default:
      return "string";
  }
}

bool fits(schema::Kind kind, const json::Value& value) {
  switch (kind) {
    case schema::Kind::kBool:
      return value.is_bool();
    case schema::Kind::kInt32:
      return value.type() == json::Type::kInt && value.as_int() >= INT32_MIN && value.as_int() <= INT32_MAX;
    case schema::Kind::kInt64:
      return value.type() == json::Type::kInt;
    case schema::Kind::kDouble:
      return value.is_number();
    case schema::Kind::kQuantity:
    case schema::Kind::kIntOrString:
      return value.is_string() || value.is_number();
    case schema::Kind::kStruct:
      return value.is_object();
    case schema::Kind::kAny:
      return true;
    default:
      return value.is_string();
  }
}

void check_at(const schema::Type& type, const json::Value& object, const std::string& path, Causes& out);

void check_one(const schema::Field& field, const json::Value& value, const std::string& path, Causes& out) {
  if (!fits(field.kind, value)) {
    out.push_back({"FieldValueTypeInvalid",
                   "Invalid value: \"" + std::string(json::to_string(value.type())) + "\": must be of type " +
                       expected(field.kind),
                   path});
    return;
  }
  if (field.kind == schema::Kind::kStruct && field.type != nullptr) check_at(*field.type, value, path, out);
}

void check_at(const schema::Type& type, const json::Value& object, const std::string& path, Causes& out) {
  for (const json::Member& member : object.as_object()) {
    const schema::Field* field = type.find(member.first);
    if (field == nullptr || member.second.is_null()) continue;
    const std::string at = join_path(path, member.first);
    const json::Value& value = member.second;
    if (field->container == schema::Container::kOne) {
      check_one(*field, value, at, out);
    } else if (field->container == schema::Container::kList) {
      if (!value.is_array()) {
        out.push_back(
            {"FieldValueTypeInvalid",
             "Invalid value: \"" + std::string(json::to_string(value.type())) + "\": must be of type array",
             at});
        continue;
      }
      std::size_t index = 0;
      for (const json::Value& item : value.as_array())
        check_one(*field, item, at + "[" + std::to_string(index++) + "]", out);
    } else if (!value.is_object()) {
      out.push_back(
          {"FieldValueTypeInvalid",
           "Invalid value: \"" + std::string(json::to_string(value.type())) + "\": must be of type object",
           at});
    } else if (field->container == schema::Container::kMap) {
      for (const json::Member& item : value.as_object())
        check_one(*field, item.second, at + "[" + item.first + "]", out);
    }
  }
}

}  // namespace

void prune(const schema::Type& type, json::Value& object, std::vector<std::string>& unknown) {
  prune_at(type, object, {}, unknown);
}

void set_defaults(const schema::Type& type, json::Value& object) { defaults_at(type, object); }

void check(const schema::Type& type, const json::Value& object, Causes& out) {
  if (object.is_object()) check_at(type, object, {}, out);
}

}  // namespace coxswain::registry::library
