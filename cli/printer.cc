#include "cli/printer.h"

#include <vector>

#include "cli/jsonpath.h"
#include "libs/api/yaml/yaml.h"
#include "libs/common/base/strings.h"

namespace coxswain::cli {
namespace {

using Row = std::vector<std::string>;

std::string cell_text(const json::Value& cell) {
  if (cell.is_null()) return "<none>";
  return cell.is_string() ? cell.as_string() : json::write(cell);
}

std::string labels_text(const json::Value* labels) {
  if (labels == nullptr || !labels->is_object() || labels->as_object().empty()) return "<none>";
  std::vector<std::string> pairs;
  for (const auto& [key, value] : labels->as_object()) pairs.push_back(key + "=" + cell_text(value));
  return join(pairs, ",");
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return text;
}

}  // namespace

std::string align(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - row[i].size() + 3, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string format_table(const json::Value& table, const TableOptions& options) {
  const json::Value* columns = table.find("columnDefinitions");
  const json::Value* rows = table.find("rows");
  if (columns == nullptr || !columns->is_array() || rows == nullptr || !rows->is_array()) return "";
  if (rows->as_array().empty()) return "";
  std::vector<Row> lines;
  std::vector<std::size_t> shown;
  Row header;
  if (options.with_namespace) header.push_back("NAMESPACE");
  for (std::size_t i = 0; i < columns->as_array().size(); ++i) {
    const json::Value& column = columns->as_array()[i];
    if (column.get_int("priority") > 0 && !options.wide) continue;
    shown.push_back(i);
    header.push_back(upper(column.get_string("name")));
  }
  if (options.show_labels) header.push_back("LABELS");
  if (options.headers) lines.push_back(std::move(header));
  for (const json::Value& row : rows->as_array()) {
    Row line;
    if (options.with_namespace) line.push_back(row.get_string_path({"object", "metadata", "namespace"}));
    const json::Value* cells = row.find("cells");
    for (const std::size_t i : shown) {
      const bool present = cells != nullptr && cells->is_array() && i < cells->as_array().size();
      std::string text = present ? cell_text(cells->as_array()[i]) : "";
      if (i == 0) text = options.name_prefix + text;
      line.push_back(std::move(text));
    }
    if (options.show_labels) line.push_back(labels_text(row.find_path({"object", "metadata", "labels"})));
    lines.push_back(std::move(line));
  }
  return align(lines);
}

Result<std::string> format_object(const json::Value& object, std::string_view format,
                                  std::string_view qualified_singular) {
  if (format == "json") return json::write_pretty(object) + "\n";
  if (format == "yaml") return yaml::write(object);
  if (format == "name") {
    std::string out;
    const json::Value* items = object.find("items");
    if (items == nullptr || !items->is_array()) {
      return std::string(qualified_singular) + "/" + object.get_string_path({"metadata", "name"}) + "\n";
    }
    for (const json::Value& item : items->as_array()) {
      out += std::string(qualified_singular) + "/" + item.get_string_path({"metadata", "name"}) + "\n";
    }
    return out;
  }
  if (format.starts_with("jsonpath=")) return eval_jsonpath(format.substr(9), object);
  return make_error(ErrorCode::kInvalidArgument, "there is no output format '" + std::string(format) +
                                                     "'; choose wide, yaml, json, name or jsonpath=TEMPLATE");
}

}  // namespace coxswain::cli
