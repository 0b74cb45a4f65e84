#include <algorithm>
#include <set>

#include <yaml-cpp/yaml.h>

#include "libs/common/base/strings.h"
#include "libs/common/json/json.h"
#include "tools/apigen/model.h"

namespace coxswain::apigen {
namespace {

// Thrown inside this file only; load_catalogue turns it into an Error.
struct BadCatalogue {
  int line;
  std::string message;
};

int line_of(const YAML::Node& node) { return node.Mark().line + 1; }

std::string text_of(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value ? value.as<std::string>() : "";
}

bool flag_of(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value && value.as<bool>();
}

std::vector<std::string> list_of(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value ? value.as<std::vector<std::string>>() : std::vector<std::string>();
}

void reject_unknown_keys(const YAML::Node& node, const std::set<std::string>& known) {
  for (const auto& entry : node) {
    const auto key = entry.first.as<std::string>();
    if (!known.contains(key)) throw BadCatalogue{line_of(entry.first), "unknown key '" + key + "'"};
  }
}

// The text at `key`, which must be one of `allowed` when it is there.
std::string choice_of(const YAML::Node& node, const char* key, const std::set<std::string>& allowed) {
  const YAML::Node value = node[key];
  if (!value) return "";
  const auto text = value.as<std::string>();
  if (!allowed.contains(text))
    throw BadCatalogue{line_of(value), std::string(key) + " cannot be '" + text + "'"};
  return text;
}

const std::string kRefPrefix = "#/components/schemas/";

Kind scalar_kind(const YAML::Node& node) {
  const std::string type = text_of(node, "type");
  const std::string format = text_of(node, "format");
  if (node["x-any"]) return Kind::kAny;
  if (type == "boolean") return Kind::kBool;
  if (type == "number") return Kind::kDouble;
  if (type == "integer") return format == "int64" ? Kind::kInt64 : Kind::kInt32;
  if (type != "string") throw BadCatalogue{line_of(node), "unknown type '" + type + "'"};
  static const std::map<std::string, Kind> kFormats = {{"", Kind::kString},
                                                       {"byte", Kind::kBytes},
                                                       {"date-time", Kind::kTime},
                                                       {"date-time-micro", Kind::kMicroTime},
                                                       {"duration", Kind::kDuration},
                                                       {"quantity", Kind::kQuantity},
                                                       {"int-or-string", Kind::kIntOrString}};
  const auto found = kFormats.find(format);
  if (found == kFormats.end()) throw BadCatalogue{line_of(node), "unknown format '" + format + "'"};
  return found->second;
}

// Fills kind, container, ref, any from a (possibly nested) schema expression.
void read_shape(const YAML::Node& node, Field& field) {
  const YAML::Node items = node["items"];
  const YAML::Node values = node["additionalProperties"];
  if (items || values) {
    const bool map_of_list = field.container == Container::kMap && items;
    if (field.container != Container::kOne && !map_of_list) {
      throw BadCatalogue{line_of(node), "containers nest no deeper than a map of lists"};
    }
    field.container = map_of_list ? Container::kMapOfList : items ? Container::kList : Container::kMap;
    read_shape(items ? items : values, field);
    return;
  }
  if (node["$ref"]) {
    const std::string ref = text_of(node, "$ref");
    if (!ref.starts_with(kRefPrefix)) throw BadCatalogue{line_of(node), "$ref must start with " + kRefPrefix};
    field.kind = Kind::kStruct;
    field.ref = ref.substr(kRefPrefix.size());
    return;
  }
  field.kind = scalar_kind(node);
  if (field.kind != Kind::kAny) return;
  field.any = choice_of(node, "x-any",
                        {"raw-extension", "fields-v1", "json", "json-schema-props-or-array",
                         "json-schema-props-or-bool", "json-schema-props-or-string-array"});
}

Field read_field(const std::string& name, const YAML::Node& node) {
  static const std::set<std::string> kKnown = {"type",
                                               "format",
                                               "$ref",
                                               "items",
                                               "additionalProperties",
                                               "description",
                                               "default",
                                               "x-any",
                                               "x-required",
                                               "x-pointer",
                                               "x-protobuf",
                                               "x-protobuf-inline",
                                               "x-kubernetes-patch-strategy",
                                               "x-kubernetes-patch-merge-key",
                                               "x-kubernetes-list-type",
                                               "x-kubernetes-list-map-keys",
                                               "x-kubernetes-map-type",
                                               "x-feature-gate"};
  reject_unknown_keys(node, kKnown);
  Field field;
  field.name = name;
  field.line = line_of(node);
  read_shape(node, field);
  field.required = flag_of(node, "x-required");
  field.pointer = flag_of(node, "x-pointer");
  field.patch_strategy =
      choice_of(node, "x-kubernetes-patch-strategy", {"merge", "retainKeys", "merge,retainKeys", "replace"});
  field.patch_merge_key = text_of(node, "x-kubernetes-patch-merge-key");
  field.list_type = choice_of(node, "x-kubernetes-list-type", {"atomic", "set", "map"});
  field.list_map_keys = list_of(node, "x-kubernetes-list-map-keys");
  field.map_atomic = choice_of(node, "x-kubernetes-map-type", {"atomic", "granular"}) == "atomic";
  field.feature_gate = text_of(node, "x-feature-gate");
  field.description = text_of(node, "description");
  if (node["x-protobuf"]) field.protobuf = node["x-protobuf"].as<int>();
  for (const auto& number : node["x-protobuf-inline"])
    field.protobuf_inline = field.protobuf_inline * 256 + number.as<int>();
  if (const YAML::Node value = node["default"]) {
    const bool quoted = value.Tag() == "!";
    field.default_json = quoted || field.kind == Kind::kString || field.kind == Kind::kStruct
                             ? json::write(json::Value(value.as<std::string>()))
                             : value.as<std::string>();
  }
  return field;
}

Resource read_resource(const YAML::Node& node) {
  static const std::set<std::string> kKnown = {
      "group",      "version", "kind",         "plural", "singular",       "scope",        "short",
      "categories", "verbs",   "subresources", "served", "fieldSelectors", "storageGroup", "columns"};
  reject_unknown_keys(node, kKnown);
  for (const char* key : {"version", "kind", "plural", "singular", "scope", "verbs"}) {
    if (!node[key]) throw BadCatalogue{line_of(node), std::string("x-resource needs '") + key + "'"};
  }
  Resource resource;
  resource.group = text_of(node, "group");
  resource.version = text_of(node, "version");
  resource.kind = text_of(node, "kind");
  resource.plural = text_of(node, "plural");
  resource.singular = text_of(node, "singular");
  resource.namespaced = choice_of(node, "scope", {"Namespaced", "Cluster"}) == "Namespaced";
  resource.served = flag_of(node, "served");
  resource.short_names = list_of(node, "short");
  resource.categories = list_of(node, "categories");
  resource.verbs = list_of(node, "verbs");
  resource.subresources = list_of(node, "subresources");
  resource.field_selectors = list_of(node, "fieldSelectors");
  resource.storage_group = node["storageGroup"] ? text_of(node, "storageGroup") : resource.group;
  for (const auto& column : node["columns"]) {
    Column c{text_of(column, "name"),        text_of(column, "type"),
             text_of(column, "format"),      text_of(column, "path"),
             text_of(column, "description"), column["priority"] ? column["priority"].as<int>() : 0};
    resource.columns.push_back(c);
  }
  return resource;
}

using Aliases = std::map<std::string, std::vector<std::string>>;

Schema read_schema(const std::string& name, const YAML::Node& node) {
  reject_unknown_keys(node, {"description", "x-resource", "type", "properties", "x-kubernetes-map-type"});
  Schema schema;
  schema.name = name;
  schema.description = text_of(node, "description");
  schema.map_atomic = choice_of(node, "x-kubernetes-map-type", {"atomic", "granular"}) == "atomic";
  std::set<std::string> seen;
  for (const auto& entry : node["properties"]) {
    const auto field_name = entry.first.as<std::string>();
    if (!seen.insert(field_name).second)
      throw BadCatalogue{line_of(entry.first), "field '" + field_name + "' stands twice"};
    schema.fields.push_back(read_field(field_name, entry.second));
  }
  if (const YAML::Node resource = node["x-resource"]) {
    if (resource.IsSequence()) {
      for (const auto& one : resource) schema.resources.push_back(read_resource(one));
    } else {
      schema.resources.push_back(read_resource(resource));
    }
  }
  return schema;
}

// References to string aliases become strings with known values; all others must resolve.
void resolve(Catalogue& catalogue, const Aliases& aliases) {
  for (Schema& schema : catalogue.schemas) {
    for (Field& field : schema.fields) {
      if (field.kind != Kind::kStruct) continue;
      if (const auto alias = aliases.find(field.ref); alias != aliases.end()) {
        field.kind = Kind::kString;
        field.values = alias->second;
        field.ref.clear();
      } else if (catalogue.find(field.ref) == nullptr) {
        throw BadCatalogue{field.line, "$ref to an unknown schema '" + field.ref + "'"};
      }
    }
  }
}

bool has_field(const Schema& schema, const std::string& name) {
  return std::any_of(schema.fields.begin(), schema.fields.end(),
                     [&](const Field& f) { return f.name == name; });
}

void check_keys(const Catalogue& catalogue) {
  for (const Schema& schema : catalogue.schemas) {
    for (const Field& field : schema.fields) {
      std::vector<std::string> keys = field.list_map_keys;
      if (!field.patch_merge_key.empty()) keys.push_back(field.patch_merge_key);
      for (const std::string& key : keys) {
        if (field.kind != Kind::kStruct || field.container != Container::kList ||
            !has_field(*catalogue.find(field.ref), key)) {
          throw BadCatalogue{field.line, "key '" + key + "' is no field of the elements of " + schema.name +
                                             "." + field.name};
        }
      }
    }
    for (const Resource& resource : schema.resources) {
      const bool stored =
          std::find(resource.verbs.begin(), resource.verbs.end(), "list") != resource.verbs.end();
      if (resource.served && stored && resource.columns.empty()) {
        throw BadCatalogue{schema.line, resource.kind + " is served and has no columns"};
      }
    }
  }
}

void check_numbers(const Catalogue& catalogue) {
  for (const Schema& schema : catalogue.schemas) {
    std::set<std::pair<int, int>> seen;
    for (const Field& field : schema.fields) {
      if (field.protobuf != 0 && !seen.emplace(field.protobuf_inline, field.protobuf).second) {
        throw BadCatalogue{field.line, "protobuf number " + std::to_string(field.protobuf) +
                                           " stands twice in " + schema.name};
      }
    }
  }
}

void check_resources(const Catalogue& catalogue) {
  std::set<std::string> seen;
  for (const Schema& schema : catalogue.schemas) {
    for (const Resource& resource : schema.resources) {
      const std::string where = resource.group + "/" + resource.version + "/";
      for (const std::string& name : {where + resource.plural, where + resource.kind}) {
        if (!seen.insert(name).second)
          throw BadCatalogue{schema.line, "resource '" + name + "' stands twice"};
      }
    }
  }
}

Catalogue read_all(const YAML::Node& root) {
  const YAML::Node schemas = root["components"]["schemas"];
  if (!schemas || !schemas.IsMap()) throw BadCatalogue{1, "components.schemas is missing"};
  Catalogue catalogue;
  Aliases aliases;
  for (const auto& entry : schemas) {
    const auto name = entry.first.as<std::string>();
    if (entry.second["x-values"]) {
      aliases[name] = list_of(entry.second, "x-values");
    } else {
      catalogue.schemas.push_back(read_schema(name, entry.second));
      catalogue.schemas.back().line = line_of(entry.first);
    }
  }
  std::sort(catalogue.schemas.begin(), catalogue.schemas.end(),
            [](const Schema& a, const Schema& b) { return a.name < b.name; });
  for (std::size_t i = 0; i < catalogue.schemas.size(); ++i) {
    if (!catalogue.index.emplace(catalogue.schemas[i].name, i).second) {
      throw BadCatalogue{catalogue.schemas[i].line,
                         "schema '" + catalogue.schemas[i].name + "' stands twice"};
    }
  }
  resolve(catalogue, aliases);
  check_keys(catalogue);
  check_numbers(catalogue);
  check_resources(catalogue);
  return catalogue;
}

}  // namespace

std::string Schema::type() const { return name.substr(name.rfind('.') + 1); }

std::string Schema::version() const {
  const auto parts = split(name, '.');
  return parts[parts.size() - 2];
}

std::string Schema::package() const {
  const auto parts = split(name, '.');
  return parts[parts.size() - 3];
}

const Schema* Catalogue::find(const std::string& name) const {
  const auto found = index.find(name);
  return found == index.end() ? nullptr : &schemas[found->second];
}

Result<Catalogue> load_catalogue(const std::string& path) {
  try {
    return read_all(YAML::LoadFile(path));
  } catch (const BadCatalogue& bad) {
    return make_error(ErrorCode::kInvalidArgument,
                      path + ":" + std::to_string(bad.line) + ": " + bad.message);
  } catch (const YAML::Exception& error) {
    return make_error(ErrorCode::kInvalidArgument,
                      path + ":" + std::to_string(error.mark.line + 1) + ": " + error.msg);
  }
}

}  // namespace coxswain::apigen
