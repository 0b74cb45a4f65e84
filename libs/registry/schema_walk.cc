// Unknown fields, static defaults and type checks of a document against the schema table.
#include <algorithm>

#include "libs/api/meta/quantity.h"
#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
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

// Texts with more than one spelling are kept in one: times in UTC with "Z", quantities in their canonical
// form. What cannot be read stays, for the checks to name.
void canonicalize(schema::Kind kind, json::Value& value) {
  if (kind == schema::Kind::kQuantity) {
    if (!value.is_string() && !value.is_number()) return;
    const auto quantity = api::Quantity::parse(value.is_string() ? value.as_string() : json::write(value));
    if (quantity.ok()) value = quantity->to_string();
    return;
  }
  if (!value.is_string()) return;
  std::string& text = value.as_string();
  std::int64_t unix_ms = 0;
  if (kind == schema::Kind::kTime) {
    constexpr std::size_t kCanonicalSize = 20;  // 2006-01-02T15:04:05Z
    if (text.size() == kCanonicalSize && text.back() == 'Z') return;
    if (parse_rfc3339(text, &unix_ms)) text = format_rfc3339(unix_ms);
    return;
  }
  constexpr std::size_t kCanonicalSize = 27;  // 2006-01-02T15:04:05.000000Z
  if (text.size() == kCanonicalSize && text.back() == 'Z') return;
  if (!parse_rfc3339(text, &unix_ms)) return;
  // UTC by another name keeps its microseconds; other zones are rare, and moved by milliseconds.
  const std::size_t zone = text.size() - 6;
  if (text.size() == kCanonicalSize + 5 && text.substr(zone) == "+00:00")
    text = text.substr(0, zone) + "Z";
  else
    text = format_rfc3339_micro(unix_ms);
}

bool has_spellings(schema::Kind kind) {
  return kind == schema::Kind::kQuantity || kind == schema::Kind::kTime || kind == schema::Kind::kMicroTime;
}

void canonicalize_all(const schema::Field& field, json::Value& value) {
  if (field.container == schema::Container::kOne) return canonicalize(field.kind, value);
  if (field.container == schema::Container::kList && value.is_array()) {
    for (json::Value& item : value.as_array()) canonicalize(field.kind, item);
  } else if (field.container == schema::Container::kMap && value.is_object()) {
    for (json::Member& member : value.as_object()) canonicalize(field.kind, member.second);
  }
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
    if (value != nullptr && has_spellings(field.kind)) canonicalize_all(field, *value);
    if (value == nullptr || field.kind != schema::Kind::kStruct || field.type == nullptr) continue;
    for_each_struct(field, *value, {},
                    [&](json::Value& item, const std::string&) { defaults_at(*field.type, item); });
  }
}

// "io.k8s.api.core.v1.Container" -> "Container"
std::string short_name(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return std::string(dot == std::string_view::npos ? name : name.substr(dot + 1));
}

// The type of a field as Go's decoder, whose words clients know, calls it.
std::string go_type(const schema::Field& field, bool element) {
  std::string one;
  switch (field.kind) {
    case schema::Kind::kBool:
      one = "bool";
      break;
    case schema::Kind::kInt32:
      one = "int32";
      break;
    case schema::Kind::kInt64:
      one = "int64";
      break;
    case schema::Kind::kDouble:
      one = "float64";
      break;
    case schema::Kind::kBytes:
      one = "[]uint8";
      break;
    case schema::Kind::kStruct:
      one = field.type == nullptr ? "object" : "v1." + short_name(field.type->name);
      break;
    default:
      one = "string";
  }
  if (element || field.container == schema::Container::kOne) return one;
  if (field.container == schema::Container::kList) return "[]" + one;
  return "map[string]" + (field.container == schema::Container::kMapOfList ? "[]" + one : one);
}

const char* go_kind(const json::Value& value) {
  switch (value.type()) {
    case json::Type::kBool:
      return "bool";
    case json::Type::kString:
      return "string";
    case json::Type::kArray:
      return "array";
    case json::Type::kObject:
      return "object";
    default:
      return "number";
  }
}

// Where a value stands: the struct and the path of its field.
struct Place {
  const schema::Type& type;
  const schema::Field& field;
  std::string path;
  bool element = false;  // of a list or map
};

void mismatch(const Place& place, const json::Value& value, Causes& out) {
  std::string shown = go_kind(value);
  // A number that is one, but too large or broken, is shown.
  if (value.is_number() &&
      (place.field.kind == schema::Kind::kInt32 || place.field.kind == schema::Kind::kInt64))
    shown += " " + json::write(value);
  out.push_back({"FieldValueTypeInvalid",
                 "json: cannot unmarshal " + shown + " into Go struct field " + short_name(place.type.name) +
                     "." + place.path + " of type " + go_type(place.field, place.element),
                 place.path});
}

void unreadable(const Place& place, const std::string& why, Causes& out) {
  out.push_back({"FieldValueTypeInvalid", place.path + ": " + why, place.path});
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
      return value.is_string() || value.is_number();
    case schema::Kind::kIntOrString:
      return value.is_string() ||
             (value.type() == json::Type::kInt && value.as_int() >= INT32_MIN && value.as_int() <= INT32_MAX);
    case schema::Kind::kStruct:
      return value.is_object();
    case schema::Kind::kAny:
      return true;
    default:
      return value.is_string();
  }
}

// Texts that stand for something else.
void check_text(const Place& place, const json::Value& value, Causes& out) {
  switch (place.field.kind) {
    case schema::Kind::kQuantity: {
      const auto quantity = api::Quantity::parse(value.is_string() ? value.as_string() : json::write(value));
      if (!quantity.ok()) unreadable(place, quantity.error().message, out);
      return;
    }
    case schema::Kind::kTime:
    case schema::Kind::kMicroTime: {
      std::int64_t unix_ms = 0;
      if (value.as_string().empty() || parse_rfc3339(value.as_string(), &unix_ms)) return;
      return unreadable(
          place,
          "parsing time " + json::write(value) + " as \"2006-01-02T15:04:05Z07:00\": not an RFC 3339 time",
          out);
    }
    case schema::Kind::kBytes:
      if (!base64_decode(value.as_string())) unreadable(place, "illegal base64 data", out);
      return;
    default:
      return;
  }
}

void check_at(const schema::Type& type, const json::Value& object, const std::string& path, Causes& out);

void check_one(const Place& place, const json::Value& value, Causes& out) {
  if (!fits(place.field.kind, value)) return mismatch(place, value, out);
  check_text(place, value, out);
  if (place.field.kind == schema::Kind::kStruct && place.field.type != nullptr)
    check_at(*place.field.type, value, place.path, out);
}

// A null element is what its zero value would be: refused, as upstream's typed lists never hold one.
void check_list(const Place& place, const json::Value& value, Causes& out) {
  if (!value.is_array()) return mismatch(place, value, out);
  std::size_t index = 0;
  for (const json::Value& item : value.as_array()) {
    check_one({place.type, place.field, place.path + "[" + std::to_string(index++) + "]", true}, item, out);
  }
}

void check_map(const Place& place, const json::Value& value, Causes& out) {
  if (!value.is_object()) return mismatch(place, value, out);
  for (const json::Member& item : value.as_object()) {
    const std::string at = place.path + "[" + item.first + "]";
    if (place.field.container == schema::Container::kMap) {
      if (!item.second.is_null()) check_one({place.type, place.field, at, true}, item.second, out);
    } else {
      check_list({place.type, place.field, at, false}, item.second, out);
    }
  }
}

void check_at(const schema::Type& type, const json::Value& object, const std::string& path, Causes& out) {
  for (const json::Member& member : object.as_object()) {
    const schema::Field* field = type.find(member.first);
    if (field == nullptr || member.second.is_null()) continue;
    const Place place{type, *field, join_path(path, member.first)};
    if (field->container == schema::Container::kOne)
      check_one(place, member.second, out);
    else if (field->container == schema::Container::kList)
      check_list(place, member.second, out);
    else
      check_map(place, member.second, out);
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
