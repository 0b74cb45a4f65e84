#include "libs/registry/zero_structs.h"

namespace coxswain::registry {
namespace {

namespace schema = api::schema;

bool by_value_struct(const schema::Field& field) {
  return field.kind == schema::Kind::kStruct && field.type != nullptr && !field.nullable &&
         field.container == schema::Container::kOne;
}

void add_zero_scalar(const schema::Field& field, json::Value& object) {
  if (!field.required || field.nullable || field.container != schema::Container::kOne) return;
  switch (field.kind) {
    case schema::Kind::kString:
      object.set(field.name, "");
      return;
    case schema::Kind::kBool:
      object.set(field.name, false);
      return;
    case schema::Kind::kInt32:
    case schema::Kind::kInt64:
      object.set(field.name, 0);
      return;
    default:
      return;
  }
}

// By-value structs cannot contain themselves, so this ends.
json::Value zero_struct(const schema::Type& type) {
  json::Value object = json::Value::object();
  for (const schema::Field& field : type.fields) {
    if (by_value_struct(field))
      object.set(field.name, zero_struct(*field.type));
    else
      add_zero_scalar(field, object);
  }
  return object;
}

void visit_structs(const schema::Field& field, json::Value& value) {
  if (field.container == schema::Container::kOne) return add_zero_structs(*field.type, value);
  if (field.container == schema::Container::kList && value.is_array()) {
    for (json::Value& item : value.as_array()) add_zero_structs(*field.type, item);
  } else if (field.container == schema::Container::kMap && value.is_object()) {
    for (json::Member& member : value.as_object()) add_zero_structs(*field.type, member.second);
  }
}

}  // namespace

void add_zero_structs(const schema::Type& type, json::Value& object) {
  if (!object.is_object()) return;
  for (const schema::Field& field : type.fields) {
    if (field.kind != schema::Kind::kStruct || field.type == nullptr) continue;
    if (json::Value* value = object.find(field.name); value != nullptr && !value->is_null()) {
      visit_structs(field, *value);
    } else if (by_value_struct(field)) {
      object.set(field.name, zero_struct(*field.type));
    }
  }
}

}  // namespace coxswain::registry
