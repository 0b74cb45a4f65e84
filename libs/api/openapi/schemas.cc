#include "libs/api/openapi/schemas.h"

namespace coxswain::api::openapi {
namespace {

using schema::Container;
using schema::Field;
using schema::Kind;
using schema::Type;

json::Value scalar_schema(const Field& field, Dialect dialect) {
  switch (field.kind) {
    case Kind::kString:
    case Kind::kDuration:
      return json::Value::object({{"type", "string"}});
    case Kind::kBool:
      return json::Value::object({{"type", "boolean"}});
    case Kind::kInt32:
      return json::Value::object({{"type", "integer"}, {"format", "int32"}});
    case Kind::kInt64:
      return json::Value::object({{"type", "integer"}, {"format", "int64"}});
    case Kind::kDouble:
      return json::Value::object({{"type", "number"}, {"format", "double"}});
    case Kind::kBytes:
      return json::Value::object({{"type", "string"}, {"format", "byte"}});
    case Kind::kTime:
      return reference_to("io.k8s.apimachinery.pkg.apis.meta.v1.Time", dialect);
    case Kind::kMicroTime:
      return reference_to("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", dialect);
    case Kind::kQuantity:
      return reference_to("io.k8s.apimachinery.pkg.api.resource.Quantity", dialect);
    case Kind::kIntOrString:
      return reference_to("io.k8s.apimachinery.pkg.util.intstr.IntOrString", dialect);
    case Kind::kAny:
      return json::Value::object({{"type", "object"}});
    case Kind::kStruct:
      return reference_to(field.type->name, dialect);
  }
  return {};
}

// In v3 a $ref stands alone; what is said beside it goes next to an allOf.
json::Value wrap_reference(json::Value schema, Dialect dialect) {
  if (dialect == Dialect::kV2 || schema.find("$ref") == nullptr) return schema;
  json::Value out = json::Value::object();
  out.set("allOf", json::Value::array({std::move(schema)}));
  return out;
}

json::Value field_schema(const Field& field, Dialect dialect) {
  json::Value element = scalar_schema(field, dialect);
  json::Value out;
  switch (field.container) {
    case Container::kOne:
      out = wrap_reference(std::move(element), dialect);
      break;
    case Container::kList:
      out = json::Value::object({{"type", "array"}});
      out.set("items", wrap_reference(std::move(element), dialect));
      break;
    case Container::kMap:
      out = json::Value::object({{"type", "object"}});
      out.set("additionalProperties", wrap_reference(std::move(element), dialect));
      break;
    case Container::kMapOfList: {
      json::Value list = json::Value::object({{"type", "array"}});
      list.set("items", std::move(element));
      out = json::Value::object({{"type", "object"}});
      out.set("additionalProperties", std::move(list));
      break;
    }
  }
  // kubectl explain shows the type's description below the field's: once is enough. Before 1.27 it read v2 and did not.
  const bool repeated = dialect == Dialect::kV3 && field.container != Container::kMap && field.type != nullptr &&
                        field.type->description == field.description;
  if (!field.description.empty() && !repeated) out.set("description", field.description);
  if (!field.default_json.empty()) {
    if (auto value = json::parse(field.default_json); value.ok()) out.set("default", *value);
  }
  if (!field.values.empty() && field.container == Container::kOne) {
    json::Value values = json::Value::array();
    for (const std::string_view value : field.values) values.push_back(value);
    out.set("enum", std::move(values));
  }
  if (field.patch_merge || field.patch_retain_keys) {
    out.set("x-kubernetes-patch-strategy",
            field.patch_merge ? (field.patch_retain_keys ? "merge,retainKeys" : "merge") : "retainKeys");
  }
  if (!field.patch_merge_key.empty()) out.set("x-kubernetes-patch-merge-key", field.patch_merge_key);
  if (field.container == Container::kList) {
    static constexpr const char* kNames[] = {"atomic", "set", "map"};
    out.set("x-kubernetes-list-type", kNames[static_cast<int>(field.list_type)]);
  }
  if (!field.list_map_keys.empty()) {
    json::Value keys = json::Value::array();
    for (const std::string_view key : field.list_map_keys) keys.push_back(key);
    out.set("x-kubernetes-list-map-keys", std::move(keys));
  }
  if (field.map_atomic) out.set("x-kubernetes-map-type", "atomic");
  return out;
}

void reach(const Type* type, std::set<const Type*>& out) {
  if (type == nullptr || !out.insert(type).second) return;
  for (const Field& field : type->fields) {
    if (field.kind == Kind::kStruct) reach(field.type, out);
  }
}

}  // namespace

std::set<const Type*> reachable(const std::vector<const Type*>& roots) {
  std::set<const Type*> out;
  for (const Type* root : roots) reach(root, out);
  return out;
}

json::Value reference_to(std::string_view type_name, Dialect dialect) {
  const char* prefix = dialect == Dialect::kV3 ? "#/components/schemas/" : "#/definitions/";
  return json::Value::object({{"$ref", prefix + std::string(type_name)}});
}

json::Value group_version_kind(std::string_view group, std::string_view version, std::string_view kind) {
  return json::Value::object({{"group", group}, {"version", version}, {"kind", kind}});
}

json::Value schema_of(const Type& type, Dialect dialect) {
  json::Value out = json::Value::object();
  if (!type.description.empty()) out.set("description", type.description);
  out.set("type", "object");
  json::Value required = json::Value::array();
  json::Value properties = json::Value::object();
  for (const Field& field : type.fields) {
    if (field.required) required.push_back(field.name);
    properties.set(field.name, field_schema(field, dialect));
  }
  if (!required.as_array().empty()) out.set("required", std::move(required));
  if (!properties.as_object().empty()) out.set("properties", std::move(properties));
  if (type.map_atomic) out.set("x-kubernetes-map-type", "atomic");
  return out;
}

std::string list_type_name(const schema::Resource& resource) {
  const std::string_view name = resource.type->name;
  return std::string(name.substr(0, name.rfind('.') + 1)) + std::string(resource.list_kind);
}

json::Value list_schema_of(const schema::Resource& resource, Dialect dialect) {
  json::Value items = json::Value::object({{"type", "array"}});
  items.set("items", wrap_reference(reference_to(resource.type->name, dialect), dialect));
  items.set("description", "The objects of this page.");
  json::Value properties = json::Value::object();
  properties.set("apiVersion", json::Value::object({{"type", "string"}}));
  properties.set("items", std::move(items));
  properties.set("kind", json::Value::object({{"type", "string"}}));
  properties.set(
      "metadata",
      wrap_reference(reference_to("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta", dialect), dialect));
  json::Value out = json::Value::object({{"description", std::string(resource.list_kind) + " is a list of " +
                                                             std::string(resource.kind) + " objects."},
                                         {"type", "object"}});
  out.set("required", json::Value::array({"items"}));
  out.set("properties", std::move(properties));
  out.set("x-kubernetes-group-version-kind",
          json::Value::array({group_version_kind(resource.group, resource.version, resource.list_kind)}));
  return out;
}

}  // namespace coxswain::api::openapi
