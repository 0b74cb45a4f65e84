// YAML bodies through yaml-cpp's events-free loader: bounded by the body limit and a node count, aliases
// refused, JSON's scalar types.
#include <yaml-cpp/yaml.h>

#include "libs/common/base/strings.h"
#include "libs/registry/library.h"
#include "libs/registry/yaml_out.h"

namespace coxswain::registry {
namespace library {
namespace {

struct Limits {
  int depth = 0;
  std::size_t nodes = 0;
};

json::Value scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;   // quoted
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const bool leading_zero = text.size() > 1 && text[0] == '0' && text.find_first_not_of("0123456789") == std::string::npos;
  if (!leading_zero) {
    if (const std::optional<std::int64_t> number = parse_int64(text)) return *number;
  }
  if (text.find_first_not_of("+-.0123456789eE") == std::string::npos && text.find_first_of("0123456789") != std::string::npos) {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (end == text.c_str() + text.size() && text.find_first_of(".eE") != std::string::npos) return number;
  }
  return text;
}

json::Value convert(const YAML::Node& node, Limits& limits, std::vector<std::string>* duplicates) {
  if (++limits.nodes > 200'000 || limits.depth > 64) throw YAML::Exception(node.Mark(), "too large or too deeply nested");
  ++limits.depth;
  json::Value out;
  if (node.IsScalar()) {
    out = scalar(node);
  } else if (node.IsSequence()) {
    out = json::Value::array();
    for (const YAML::Node& item : node) out.push_back(convert(item, limits, duplicates));
  } else if (node.IsMap()) {
    out = json::Value::object();
    for (const auto& member : node) {
      if (!member.first.IsScalar()) throw YAML::Exception(member.first.Mark(), "a key must be a string");
      const std::string key = member.first.Scalar();
      if (out.find(key) != nullptr && duplicates != nullptr) duplicates->push_back(key);
      out.set(key, convert(member.second, limits, duplicates));
    }
  }
  --limits.depth;
  return out;
}

}  // namespace

Result<json::Value> parse_yaml(std::string_view text, std::vector<std::string>* duplicates) {
  if (text.size() > 3 * 1024 * 1024) return make_error(ErrorCode::kInvalidArgument, "larger than 3 MiB");
  try {
    Limits limits;
    return convert(YAML::Load(std::string(text)), limits, duplicates);
  } catch (const YAML::Exception& e) {
    return make_error(ErrorCode::kInvalidArgument, std::string(e.what()));
  }
}

}  // namespace library

namespace {

bool plain(const std::string& text) {
  if (text.empty() || text.size() > 200) return false;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!letter(text[0])) return false;
  for (const char c : text) {
    if (!letter(c) && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.' && c != '/') return false;
  }
  for (const char* word : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
    if (iequals(text, word)) return false;
  }
  return true;
}

void write_at(const json::Value& value, int indent, bool in_list, std::string& out) {
  const std::string pad(static_cast<std::size_t>(indent), ' ');
  if (value.is_object() && !value.as_object().empty()) {
    bool first = true;
    for (const json::Member& member : value.as_object()) {
      if (!(first && in_list)) out += pad;
      first = false;
      if (plain(member.first)) out += member.first; else json::write_string(member.first, out);
      out += ':';
      const bool nested = (member.second.is_object() && !member.second.as_object().empty()) ||
                          (member.second.is_array() && !member.second.as_array().empty());
      out += nested ? "\n" : " ";
      write_at(member.second, member.second.is_array() ? indent : indent + 2, false, out);
    }
  } else if (value.is_array() && !value.as_array().empty()) {
    for (const json::Value& item : value.as_array()) {
      out += pad + "- ";
      write_at(item, indent + 2, true, out);
    }
  } else if (value.is_string() && plain(value.as_string())) {
    out += value.as_string() + "\n";
  } else {
    json::write_to(value, out);   // JSON scalars and empty collections are YAML
    out += '\n';
  }
}

}  // namespace

std::string write_yaml(const json::Value& value) {
  std::string out;
  write_at(value, 0, false, out);
  return out;
}

}  // namespace coxswain::registry
