// The catalogue in memory, as read from api/openapi.yaml.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::apigen {

enum class Kind {
  kString,
  kBool,
  kInt32,
  kInt64,
  kDouble,
  kBytes,
  kTime,
  kMicroTime,
  kDuration,
  kQuantity,
  kIntOrString,
  kAny,
  kStruct
};
enum class Container { kOne, kList, kMap, kMapOfList };

struct Field {
  std::string name;
  Kind kind = Kind::kString;
  Container container = Container::kOne;
  std::string ref;                  // kStruct: the schema's name
  std::string any;                  // kAny: how protobuf carries it
  std::vector<std::string> values;  // known values
  bool required = false;
  bool pointer = false;
  std::string default_json;
  std::string patch_strategy;
  std::string patch_merge_key;
  std::string list_type;
  std::vector<std::string> list_map_keys;
  bool map_atomic = false;
  int protobuf = 0;
  int protobuf_inline = 0;  // numbers of the messages around it, a byte each, outermost highest
  std::string feature_gate;
  std::string description;
  int line = 0;
};

struct Column {
  std::string name, type, format, path, description;
  int priority = 0;
};

struct Resource {
  std::string group, version, kind, plural, singular, storage_group;
  bool namespaced = true;
  bool served = false;
  std::vector<std::string> short_names, categories, verbs, subresources, field_selectors;
  std::vector<Column> columns;
};

struct Schema {
  std::string name;  // "io.k8s.api.core.v1.Pod"
  std::string description;
  bool map_atomic = false;
  std::vector<Field> fields;
  std::vector<Resource> resources;  // kinds that this schema is the body of
  int line = 0;

  std::string package() const;  // "core"
  std::string version() const;  // "v1"
  std::string type() const;     // "Pod"
};

struct Catalogue {
  std::vector<Schema> schemas;  // sorted by name
  std::map<std::string, std::size_t> index;
  const Schema* find(const std::string& name) const;
};

// Reads and checks; the error says `file:line: what is wrong`.
Result<Catalogue> load_catalogue(const std::string& path);

// File contents by name, relative to the output folder.
using Files = std::map<std::string, std::string>;
void emit_schema(const Catalogue& catalogue, Files& files);
void emit_types(const Catalogue& catalogue, Files& files);

// A C++ string literal.
std::string quote(const std::string& text);

}  // namespace coxswain::apigen
