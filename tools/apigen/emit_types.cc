// Writes api/types/<group>_<version>.{h,cc}: a struct for every schema, and its codec.
#include <algorithm>
#include <optional>
#include <set>

#include "libs/common/base/strings.h"
#include "tools/apigen/model.h"

namespace coxswain::apigen {
namespace {

std::string member_name(const std::string& json_name) {
  static const std::set<std::string> kKeywords = {
      "namespace", "operator", "template", "default",  "continue",  "delete",   "not",    "and",    "or",
      "enum",      "export",   "class",    "static",   "protected", "private",  "public", "union",  "switch",
      "signed",    "unsigned", "bool",     "int",      "long",      "short",    "char",   "double", "float",
      "auto",      "const",    "volatile", "register", "return",    "this",     "throw",  "try",    "catch",
      "typename",  "using",    "virtual",  "void",     "while",     "for",      "if",     "else",   "do",
      "goto",      "break",    "case",     "new",      "inline",    "explicit", "extern", "friend", "mutable",
      "struct",    "true",     "false",    "concept",  "requires",  "xor",      "compl",  "bitand", "bitor"};
  std::string name;
  for (const char c : json_name) {
    if (c == '$') continue;
    name += c == '-' || c == '.' ? '_' : c;
  }
  if (kKeywords.contains(name) || json_name[0] == '$') name += '_';
  return name;
}

std::string file_stem(const Schema& schema) { return schema.package() + "_" + schema.version(); }
std::string cpp_namespace(const Schema& schema) { return schema.package() + "::" + schema.version(); }

std::string element_type(const Catalogue& catalogue, const Field& field) {
  switch (field.kind) {
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kDuration:
    case Kind::kQuantity:
      return "std::string";
    case Kind::kBool:
      return "bool";
    case Kind::kInt32:
      return "std::int32_t";
    case Kind::kInt64:
      return "std::int64_t";
    case Kind::kDouble:
      return "double";
    case Kind::kTime:
      return "Time";
    case Kind::kMicroTime:
      return "MicroTime";
    case Kind::kIntOrString:
      return "IntOrString";
    case Kind::kAny:
      return "json::Value";
    case Kind::kStruct: {
      const Schema* schema = catalogue.find(field.ref);
      return cpp_namespace(*schema) + "::" + schema->type();
    }
  }
  return "";
}

bool is_boxed(const Schema& schema, const Field& field) {
  return field.container == Container::kOne && field.kind == Kind::kStruct && field.ref == schema.name;
}

std::string member_type(const Catalogue& catalogue, const Schema& schema, const Field& field) {
  const std::string element = element_type(catalogue, field);
  switch (field.container) {
    case Container::kList:
      return "std::vector<" + element + ">";
    case Container::kMap:
      return "std::map<std::string, " + element + ">";
    case Container::kMapOfList:
      return "std::map<std::string, std::vector<" + element + ">>";
    case Container::kOne:
      break;
  }
  if (is_boxed(schema, field)) return "Box<" + element + ">";
  const bool optional = field.pointer && field.kind != Kind::kAny;
  return optional ? "std::optional<" + element + ">" : element;
}

// apiVersion and kind are the codec's business.
bool is_type_meta(const Schema& schema, const Field& field) {
  return (field.name == "apiVersion" || field.name == "kind") && field.protobuf == 0 &&
         !schema.fields.empty();
}

class TypesWriter {
 public:
  TypesWriter(const Catalogue& catalogue, Files& files) : catalogue_(catalogue), files_(files) {}

  void write() {
    std::map<std::string, std::vector<const Schema*>> groups;
    for (const Schema& schema : catalogue_.schemas) groups[file_stem(schema)].push_back(&schema);
    for (const auto& [stem, schemas] : groups) write_group(stem, schemas);
  }

 private:
  // Schemas of one group version so that what a struct holds by value stands before it.
  std::vector<const Schema*> ordered(const std::vector<const Schema*>& schemas) const {
    std::vector<const Schema*> out;
    std::set<const Schema*> done;
    for (const Schema* schema : schemas) visit(schema, file_stem(*schema), done, out);
    return out;
  }

  void visit(const Schema* schema, const std::string& stem, std::set<const Schema*>& done,
             std::vector<const Schema*>& out) const {
    if (file_stem(*schema) != stem || !done.insert(schema).second) return;
    for (const Field& field : schema->fields) {
      if (field.kind == Kind::kStruct) visit(catalogue_.find(field.ref), stem, done, out);
    }
    out.push_back(schema);
  }

  void write_group(const std::string& stem, const std::vector<const Schema*>& schemas) {
    const std::vector<const Schema*> order = ordered(schemas);
    std::set<std::string> includes;
    for (const Schema* schema : order) {
      for (const Field& field : schema->fields) {
        if (field.kind == Kind::kStruct && file_stem(*catalogue_.find(field.ref)) != stem)
          includes.insert(file_stem(*catalogue_.find(field.ref)));
      }
    }
    const std::string ns = cpp_namespace(*order.front());
    std::string header =
        "// Generated from api/openapi.yaml by tools/apigen. Do not edit.\n#pragma once\n\n#include "
        "<cstdint>\n#include <map>\n"
        "#include <optional>\n#include <string>\n#include <string_view>\n#include <vector>\n\n";
    for (const std::string& include : includes) header += "#include \"api/types/" + include + ".h\"\n";
    header +=
        "#include \"libs/api/types/runtime.h\"\n#include \"libs/common/json/json.h\"\n\nnamespace "
        "coxswain::api::" +
        ns + " {\n\n";
    for (const Schema* schema : order) header += struct_text(*schema);
    for (const Schema* schema : order) {
      header += "json::Value to_json(const " + schema->type() + "& object);\n";
      header += "void from_json(const json::Value& value, " + schema->type() + "& object);\n";
    }
    header += "\n}  // namespace coxswain::api::" + ns + "\n\nnamespace coxswain::api {\nusing " + ns +
              "::from_json;\nusing " + ns + "::to_json;\n}  // namespace coxswain::api\n";
    files_["api/types/" + stem + ".h"] = header;
    write_sources(stem, ns, order);
  }

  // Codecs in parts of a bounded size, so that the compiler can work on several at once.
  void write_sources(const std::string& stem, const std::string& ns,
                     const std::vector<const Schema*>& order) {
    const std::string head =
        "// Generated from api/openapi.yaml by tools/apigen. Do not edit.\n#include \"api/types/" + stem +
        ".h\"\n#include \"libs/api/types/codec_runtime.h\"\n\nnamespace coxswain::api::" + ns + " {\n\n";
    const int parts = stem == "core_v1" ? 4 : 1;
    for (int part = 0; part < parts; ++part) {
      std::string body = head;
      for (std::size_t i = 0; i < order.size(); ++i) {
        if (static_cast<int>(i % static_cast<std::size_t>(parts)) == part) body += codec_text(*order[i]);
      }
      const std::string suffix = part == 0 ? "" : "_" + std::to_string(part);
      files_["api/types/" + stem + suffix + ".cc"] = body + "}  // namespace coxswain::api::" + ns + "\n";
    }
  }

  // What the codec writes as apiVersion: for kinds, and for bodies of subresources (Binding, Scale,
  // Eviction), which belong to the group of their package's kinds.
  std::optional<std::string> api_version(const Schema& schema) const {
    const auto spell = [](const Resource& r) {
      return r.group.empty() ? r.version : r.group + "/" + r.version;
    };
    if (schema.resources.size() == 1) return spell(schema.resources.front());
    const bool has_type_meta = std::any_of(schema.fields.begin(), schema.fields.end(), [&](const Field& f) {
      return f.name == "kind" && is_type_meta(schema, f);
    });
    if (!has_type_meta) return std::nullopt;
    for (const Schema& other : catalogue_.schemas) {
      if (other.package() == schema.package() && other.version() == schema.version() &&
          other.resources.size() == 1) {
        return spell(other.resources.front());
      }
    }
    return std::nullopt;
  }

  std::string struct_text(const Schema& schema) const {
    std::string out;
    if (!schema.description.empty()) out += "// " + schema.description + "\n";
    out += "struct " + schema.type() + " {\n";
    if (schema.resources.size() == 1) {
      const Resource& r = schema.resources.front();
      out += "  static constexpr std::string_view kGroup = " + quote(r.group) +
             ";\n  static constexpr std::string_view kVersion = " + quote(r.version) +
             ";\n  static constexpr std::string_view kKind = " + quote(r.kind) +
             ";\n  static constexpr std::string_view kPlural = " + quote(r.plural) +
             ";\n  static constexpr bool kNamespaced = " + (r.namespaced ? "true" : "false") + ";\n\n";
    }
    for (const Field& field : schema.fields) {
      if (is_type_meta(schema, field)) continue;
      const std::string type = member_type(catalogue_, schema, field);
      const char* init = type == "bool"                                                         ? " = false"
                         : type == "std::int32_t" || type == "std::int64_t" || type == "double" ? " = 0"
                                                                                                : "";
      out += "  " + type + " " + member_name(field.name) + init + ";\n";
    }
    return out + "};\n\n";
  }

  std::string read_element(const Field& field, const std::string& from, const std::string& to) const {
    if (field.kind == Kind::kStruct) return "from_json(" + from + ", " + to + ");";
    const char* function = field.kind == Kind::kBytes      ? "read_bytes"
                           : field.kind == Kind::kQuantity ? "read_quantity"
                                                           : "read";
    return std::string("codec::") + function + "(" + from + ", " + to + ");";
  }

  std::string write_element(const Field& field, const std::string& from) const {
    if (field.kind == Kind::kStruct) {
      return api_version(*catalogue_.find(field.ref)) ? "codec::nested(to_json(" + from + "))"
                                                      : "to_json(" + from + ")";
    }
    return std::string("codec::") + (field.kind == Kind::kBytes ? "write_bytes(" : "write(") + from + ")";
  }

  std::string read_text(const Schema& schema, const Field& field) const {
    const std::string member = "object." + member_name(field.name);
    const std::string find =
        "  if (const json::Value* f = value.find(" + quote(field.name) + "); f != nullptr && ";
    switch (field.container) {
      case Container::kList:
        return find + "f->is_array()) {\n    for (const json::Value& e : f->as_array()) {\n      " +
               element_type(catalogue_, field) + " item{};\n      " + read_element(field, "e", "item") +
               "\n      " + member + ".push_back(std::move(item));\n    }\n  }\n";
      case Container::kMap:
        return find + "f->is_object()) {\n    for (const json::Member& e : f->as_object()) " +
               read_element(field, "e.second", member + "[e.first]") + "\n  }\n";
      case Container::kMapOfList:
        return find +
               "f->is_object()) {\n    for (const json::Member& e : f->as_object()) {\n      auto& list = " +
               member +
               "[e.first];\n      if (!e.second.is_array()) continue;\n      for (const json::Value& x : "
               "e.second.as_array()) " +
               read_element(field, "x", "list.emplace_back()") + "\n    }\n  }\n";
      case Container::kOne:
        break;
    }
    const bool optional = is_boxed(schema, field) || (field.pointer && field.kind != Kind::kAny);
    return find + "!f->is_null()) " + read_element(field, "*f", optional ? member + ".emplace()" : member) +
           "\n";
  }

  std::string write_text(const Schema& schema, const Field& field) const {
    const std::string member = "object." + member_name(field.name);
    const std::string name = quote(field.name);
    const std::string when = field.required ? "  {\n" : "  if (!" + member + ".empty()) {\n";
    switch (field.container) {
      case Container::kList:
        return when + "    json::Array list;\n    for (const auto& e : " + member + ") list.push_back(" +
               write_element(field, "e") + ");\n    out.append(" + name +
               ", json::Value(std::move(list)));\n  }\n";
      case Container::kMap:
        return when + "    json::Object map;\n    for (const auto& [k, e] : " + member + ") map.append(k, " +
               write_element(field, "e") + ");\n    out.append(" + name +
               ", json::Value(std::move(map)));\n  }\n";
      case Container::kMapOfList:
        return when + "    json::Object map;\n    for (const auto& [k, l] : " + member +
               ") {\n      json::Array list;\n      for (const auto& e : l) list.push_back(" +
               write_element(field, "e") +
               ");\n      map.append(k, json::Value(std::move(list)));\n    }\n    out.append(" + name +
               ", json::Value(std::move(map)));\n  }\n";
      case Container::kOne:
        break;
    }
    if (is_boxed(schema, field) || (field.pointer && field.kind != Kind::kAny)) {
      return "  if (" + member + ".has_value()) out.append(" + name + ", " +
             write_element(field, "*" + member) + ");\n";
    }
    if (field.kind == Kind::kStruct) {
      const char* condition = field.required ? "" : "if (!field.as_object().empty()) ";
      return "  {\n    json::Value field = " + write_element(field, member) + ";\n    " + condition +
             "out.append(" + name + ", std::move(field));\n  }\n";
    }
    const std::string put = "out.append(" + name + ", " + write_element(field, member) + ");\n";
    return field.required ? "  " + put : "  if (!codec::is_zero(" + member + ")) " + put;
  }

  std::string codec_text(const Schema& schema) const {
    std::string out = "json::Value to_json(const " + schema.type() + "& object) {\n  json::Object out;\n";
    if (const auto written = api_version(schema)) {
      out += "  out.append(\"apiVersion\", " + quote(*written) + ");\n  out.append(\"kind\", " +
             quote(schema.type()) + ");\n";
    }
    std::string reads;
    for (const Field& field : schema.fields) {
      if (is_type_meta(schema, field)) continue;
      out += write_text(schema, field);
      reads += read_text(schema, field);
    }
    const char* unused = reads.empty() ? "  static_cast<void>(object);\n" : "";
    out += unused;
    out += "  return json::Value(std::move(out));\n}\n\nvoid from_json(const json::Value& value, " +
           schema.type() + "& object) {\n";
    if (reads.empty()) out += "  static_cast<void>(value);\n  static_cast<void>(object);\n";
    return out + reads + "}\n\n";
  }

  const Catalogue& catalogue_;
  Files& files_;
};

}  // namespace

void emit_types(const Catalogue& catalogue, Files& files) { TypesWriter(catalogue, files).write(); }

}  // namespace coxswain::apigen
