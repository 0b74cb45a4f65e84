// The schema table: what every API type looks like, generated from api/openapi.yaml by
// tools/apigen. Documents on the server are checked, defaulted, patched, printed and decoded from
// protobuf by walking it; there is no per-kind code below the strategies.
//
// Everything here is constant data with static lifetime; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace coxswain::api::schema {

struct Type;

enum class Kind : std::uint8_t {
  kString,
  kBool,
  kInt32,
  kInt64,
  kDouble,
  kBytes,      // base64 text in JSON
  kTime,       // RFC 3339, seconds
  kMicroTime,  // RFC 3339, microseconds
  kDuration,   // Go duration text, "1m30s"
  kQuantity,   // resource.Quantity: text, numbers accepted
  kIntOrString,
  kAny,     // RawExtension, JSON, FieldsV1: any value (see Field::any)
  kStruct,  // Field::type says which
};

enum class Container : std::uint8_t { kOne, kList, kMap, kMapOfList };  // map keys are strings

enum class ListType : std::uint8_t { kAtomic, kSet, kMap };

// How kAny is carried in protobuf and what JSON it admits.
enum class AnyKind : std::uint8_t {
  kNone,
  kRawExtension,  // message { bytes raw = 1 }, an embedded API object
  kFieldsV1,      // message { bytes Raw = 1 }
  kJson,          // apiextensions JSON: message { bytes raw = 1 }
  kJsonSchemaPropsOrArray,
  kJsonSchemaPropsOrBool,
  kJsonSchemaPropsOrStringArray,
};

struct Field {
  std::string_view name;  // JSON name; inlined structs are flattened
  Kind kind = Kind::kString;
  Container container = Container::kOne;
  const Type* type = nullptr;  // kStruct (and the JsonSchemaProps* any kinds)
  AnyKind any = AnyKind::kNone;
  bool required = false;           // always present in answers ("required" in OpenAPI)
  bool nullable = false;           // a Go pointer: absent and zero differ
  bool patch_merge = false;        // patchStrategy: merge
  bool patch_retain_keys = false;  // patchStrategy: retainKeys
  std::string_view patch_merge_key;
  ListType list_type = ListType::kAtomic;
  std::span<const std::string_view> list_map_keys;
  bool map_atomic = false;                   // x-kubernetes-map-type: atomic (struct or map)
  std::string_view default_json;             // static default, JSON text; empty: none
  std::span<const std::string_view> values;  // known values of a string enumeration; not exhaustive
  std::int32_t protobuf_number = 0;          // 0: not in protobuf
  std::int32_t protobuf_inline = 0;          // number of the inlined message that holds it; 0: direct
  std::string_view description;
  std::string_view feature_gate;  // fields behind a gate that is not GA; empty: none
};

struct Type {
  std::string_view name;  // OpenAPI definition name, "io.k8s.api.core.v1.PodSpec"
  std::string_view description;
  std::span<const Field> fields;           // in declaration order
  std::span<const std::uint16_t> by_name;  // indexes into `fields`, sorted by name
  bool map_atomic = false;

  const Field* find(std::string_view json_name) const;  // binary search; nullptr: no such field
};

struct PrinterColumn {
  std::string_view name;    // "READY"; metadata of the Table answer keeps its case
  std::string_view type;    // "string", "integer", "date"
  std::string_view format;  // "name" for the first one
  std::string_view description;
  std::string_view json_path;  // ".spec.replicas"; empty: computed by the kind's strategy
  std::int32_t priority = 0;   // >0: only with -o wide
};

struct Resource {
  std::string_view group;  // "" is core
  std::string_view version;
  std::string_view kind;
  std::string_view list_kind;  // "PodList"
  std::string_view plural;
  std::string_view singular;
  std::span<const std::string_view> short_names;
  std::span<const std::string_view> categories;
  bool namespaced = true;
  std::span<const std::string_view> verbs;            // "create", "delete", ... as in discovery
  std::span<const std::string_view> subresources;     // "status", "scale", ...
  std::span<const std::string_view> field_selectors;  // besides metadata.name/namespace
  std::span<const PrinterColumn> columns;
  bool served = false;             // x-resource.served: has behaviour behind it
  std::string_view storage_group;  // kinds with two groups share a store prefix (events)
  const Type* type = nullptr;
};

struct Catalogue {
  std::span<const Type* const> types;   // sorted by name
  std::span<const Resource> resources;  // sorted by group, version, plural
};

const Catalogue& catalogue();
const Type* find_type(std::string_view openapi_name);
const Resource* find_resource(std::string_view group, std::string_view version, std::string_view plural);
const Resource* find_kind(std::string_view group, std::string_view version, std::string_view kind);

}  // namespace coxswain::api::schema
