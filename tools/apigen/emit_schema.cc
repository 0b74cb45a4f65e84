// Writes schema_table.cc, the data behind libs/api/schema/schema.h.
#include <algorithm>

#include "tools/apigen/model.h"

namespace coxswain::apigen {
namespace {

const char* kind_name(Kind kind) {
  static constexpr const char* kNames[] = {"kString",      "kBool", "kInt32",     "kInt64",    "kDouble",
                                           "kBytes",       "kTime", "kMicroTime", "kDuration", "kQuantity",
                                           "kIntOrString", "kAny",  "kStruct"};
  return kNames[static_cast<int>(kind)];
}

const char* container_name(Container container) {
  static constexpr const char* kNames[] = {"kOne", "kList", "kMap", "kMapOfList"};
  return kNames[static_cast<int>(container)];
}

const char* any_name(const std::string& any) {
  static const std::map<std::string, const char*> kNames = {
      {"raw-extension", "kRawExtension"},
      {"fields-v1", "kFieldsV1"},
      {"json", "kJson"},
      {"true", "kJson"},
      {"json-schema-props-or-array", "kJsonSchemaPropsOrArray"},
      {"json-schema-props-or-bool", "kJsonSchemaPropsOrBool"},
      {"json-schema-props-or-string-array", "kJsonSchemaPropsOrStringArray"}};
  const auto found = kNames.find(any);
  return found == kNames.end() ? "kRawExtension" : found->second;
}

// Lists of strings, each emitted once and shared.
class StringLists {
 public:
  std::string reference(const std::vector<std::string>& list) {
    if (list.empty()) return "{}";
    const auto [at, added] = names_.emplace(list, "kList" + std::to_string(names_.size()));
    if (added) {
      text_ += "constexpr std::string_view " + at->second + "[] = {";
      for (const std::string& item : list) text_ += quote(item) + ", ";
      text_ += "};\n";
    }
    return at->second;
  }
  const std::string& text() const { return text_; }

 private:
  std::map<std::vector<std::string>, std::string> names_;
  std::string text_;
};

class SchemaWriter {
 public:
  explicit SchemaWriter(const Catalogue& catalogue) : catalogue_(catalogue) {}

  std::string write() {
    for (std::size_t i = 0; i < catalogue_.schemas.size(); ++i) write_type(i);
    write_resources();
    std::string out =
        "// Generated from api/openapi.yaml by tools/apigen. Do not edit.\n#include "
        "\"libs/api/schema/schema.h\"\n\n"
        "namespace coxswain::api::schema {\nnamespace {\n\nextern const Type kTypes[" +
        std::to_string(catalogue_.schemas.size()) + "];\n\n";
    out += lists_.text() + "\n" + fields_ + "\n";
    // constinit: no code at start, and other units' initialisers may use the table.
    out += "constinit const Type kTypes[" + std::to_string(catalogue_.schemas.size()) + "] = {\n" + types_ +
           "};\n\n";
    out += columns_ + "\nconstinit const Resource kResources[] = {\n" + resources_ + "};\n\n";
    out += "constinit const Type* const kTypePointers[] = {";
    for (std::size_t i = 0; i < catalogue_.schemas.size(); ++i) out += "&kTypes[" + std::to_string(i) + "], ";
    out +=
        "};\n\nconstinit const Catalogue kCatalogue = {kTypePointers, kResources};\n\n}  // namespace\n\n"
        "const Catalogue& catalogue() { return kCatalogue; }\n\n}  // namespace coxswain::api::schema\n";
    return out;
  }

 private:
  std::string type_pointer(const std::string& name) {
    const auto found = catalogue_.index.find(name);
    return found == catalogue_.index.end() ? "nullptr" : "&kTypes[" + std::to_string(found->second) + "]";
  }

  void write_field(const Field& field) {
    std::string& out = fields_;
    out += "  {.name = " + quote(field.name) + ", .kind = Kind::" + kind_name(field.kind);
    if (field.container != Container::kOne)
      out += std::string(", .container = Container::") + container_name(field.container);
    if (field.kind == Kind::kStruct) out += ", .type = " + type_pointer(field.ref);
    if (field.kind == Kind::kAny) {
      if (field.any.starts_with("json-schema")) {
        out += ", .type = " +
               type_pointer("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
      }
      out += std::string(", .any = AnyKind::") + any_name(field.any);
    }
    if (field.required) out += ", .required = true";
    if (field.pointer) out += ", .nullable = true";
    if (field.patch_strategy.find("merge") != std::string::npos) out += ", .patch_merge = true";
    if (field.patch_strategy.find("retainKeys") != std::string::npos) out += ", .patch_retain_keys = true";
    if (!field.patch_merge_key.empty()) out += ", .patch_merge_key = " + quote(field.patch_merge_key);
    if (field.list_type == "set") out += ", .list_type = ListType::kSet";
    if (field.list_type == "map") out += ", .list_type = ListType::kMap";
    if (!field.list_map_keys.empty()) out += ", .list_map_keys = " + lists_.reference(field.list_map_keys);
    if (field.map_atomic) out += ", .map_atomic = true";
    if (!field.default_json.empty()) out += ", .default_json = " + quote(field.default_json);
    if (!field.values.empty()) out += ", .values = " + lists_.reference(field.values);
    if (field.protobuf != 0) out += ", .protobuf_number = " + std::to_string(field.protobuf);
    if (field.protobuf_inline != 0) out += ", .protobuf_inline = " + std::to_string(field.protobuf_inline);
    if (!field.description.empty()) out += ", .description = " + quote(field.description);
    if (!field.feature_gate.empty()) out += ", .feature_gate = " + quote(field.feature_gate);
    out += "},\n";
  }

  void write_type(std::size_t index) {
    const Schema& schema = catalogue_.schemas[index];
    const std::string id = std::to_string(index);
    std::vector<std::size_t> order(schema.fields.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return schema.fields[a].name < schema.fields[b].name; });
    if (!schema.fields.empty()) {
      fields_ += "constinit const Field kFields" + id + "[] = {\n";
      for (const Field& field : schema.fields) write_field(field);
      fields_ += "};\nconstexpr std::uint16_t kByName" + id + "[] = {";
      for (const std::size_t i : order) fields_ += std::to_string(i) + ", ";
      fields_ += "};\n";
    }
    types_ += "  {.name = " + quote(schema.name) + ", .description = " + quote(schema.description);
    if (!schema.fields.empty()) types_ += ", .fields = kFields" + id + ", .by_name = kByName" + id;
    if (schema.map_atomic) types_ += ", .map_atomic = true";
    types_ += "},\n";
  }

  void write_resources() {
    std::vector<std::pair<const Resource*, const Schema*>> all;
    for (const Schema& schema : catalogue_.schemas) {
      for (const Resource& resource : schema.resources) all.emplace_back(&resource, &schema);
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return std::tie(a.first->group, a.first->version, a.first->plural) <
             std::tie(b.first->group, b.first->version, b.first->plural);
    });
    for (std::size_t i = 0; i < all.size(); ++i) write_resource(i, *all[i].first, all[i].second->name);
  }

  void write_resource(std::size_t index, const Resource& r, const std::string& type) {
    std::string columns = "{}";
    if (!r.columns.empty()) {
      columns = "kColumns" + std::to_string(index);
      columns_ += "constexpr PrinterColumn " + columns + "[] = {\n";
      for (const Column& c : r.columns) {
        columns_ += "  {" + quote(c.name) + ", " + quote(c.type) + ", " + quote(c.format) + ", " +
                    quote(c.description) + ", " + quote(c.path) + ", " + std::to_string(c.priority) + "},\n";
      }
      columns_ += "};\n";
    }
    resources_ +=
        "  {.group = " + quote(r.group) + ", .version = " + quote(r.version) + ", .kind = " + quote(r.kind) +
        ", .list_kind = " + quote(r.kind + "List") + ", .plural = " + quote(r.plural) +
        ", .singular = " + quote(r.singular) + ", .short_names = " + lists_.reference(r.short_names) +
        ", .categories = " + lists_.reference(r.categories) +
        ", .namespaced = " + (r.namespaced ? "true" : "false") + ", .verbs = " + lists_.reference(r.verbs) +
        ", .subresources = " + lists_.reference(r.subresources) +
        ", .field_selectors = " + lists_.reference(r.field_selectors) + ", .columns = " + columns +
        ", .served = " + (r.served ? "true" : "false") + ", .storage_group = " + quote(r.storage_group) +
        ", .type = " + type_pointer(type) + "},\n";
  }

  const Catalogue& catalogue_;
  StringLists lists_;
  std::string fields_, types_, columns_, resources_;
};

}  // namespace

void emit_schema(const Catalogue& catalogue, Files& files) {
  files["schema_table.cc"] = SchemaWriter(catalogue).write();
}

}  // namespace coxswain::apigen
