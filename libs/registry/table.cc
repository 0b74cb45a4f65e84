#include "libs/registry/table.h"

#include "libs/api/meta/human_duration.h"
#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"

namespace coxswain::registry {
namespace {

// Takes one step of the path off its front: `.name`, `['name']`, `[*]`, `[3]`.
std::string_view next_step(std::string_view& path, bool& bracket) {
  bracket = false;
  if (path.front() == '.') path.remove_prefix(1);
  if (!path.empty() && path.front() == '[') {
    bracket = true;
    const std::size_t close = path.find(']');
    if (close == std::string_view::npos) {
      path = {};
      return {};
    }
    std::string_view step = path.substr(1, close - 1);
    path.remove_prefix(close + 1);
    if (step.size() >= 2 && (step.front() == '\'' || step.front() == '"'))
      step = step.substr(1, step.size() - 2);
    return step;
  }
  const std::size_t end = path.find_first_of(".[");
  const std::string_view step = path.substr(0, end);
  path.remove_prefix(end == std::string_view::npos ? path.size() : end);
  return step;
}

void collect(const json::Value& at, std::string_view path, std::vector<const json::Value*>& out) {
  if (path.empty()) {
    out.push_back(&at);
    return;
  }
  bool bracket = false;
  const std::string_view step = next_step(path, bracket);
  if (bracket && at.is_array()) {
    if (step == "*") {
      for (const json::Value& item : at.as_array()) collect(item, path, out);
    } else if (const auto index = parse_uint64(step); index && *index < at.as_array().size()) {
      collect(at.as_array()[*index], path, out);
    }
    return;
  }
  if (const json::Value* next = at.find(step)) collect(*next, path, out);
}

}  // namespace

std::string human_age(const json::Value* timestamp, std::int64_t now_unix_ms) {
  std::int64_t then = 0;
  if (timestamp == nullptr || !timestamp->is_string() || !parse_rfc3339(timestamp->as_string(), &then)) {
    return "<unknown>";
  }
  return api::human_duration(now_unix_ms - then);
}

json::Value evaluate_json_path(const json::Value& object, std::string_view path) {
  std::vector<const json::Value*> found;
  collect(object, path, found);
  if (found.empty()) return nullptr;
  if (found.size() == 1) return *found.front();
  std::string text;
  for (const json::Value* value : found) {
    if (!text.empty()) text += ',';
    text += value->is_string() ? value->as_string() : json::write(*value);
  }
  return text;
}

json::Value table_column_definitions(const api::schema::Resource& resource) {
  json::Array columns;
  for (const api::schema::PrinterColumn& column : resource.columns) {
    columns.push_back(json::Value::object({{"name", column.name},
                                           {"type", column.type == "date" ? "string" : column.type},
                                           {"format", column.format},
                                           {"description", column.description},
                                           {"priority", column.priority}}));
  }
  if (columns.empty()) {
    columns.push_back(json::Value::object({{"name", "Name"},
                                           {"type", "string"},
                                           {"format", "name"},
                                           {"description", "Name of the object."},
                                           {"priority", 0}}));
  }
  return columns;
}

json::Value partial_metadata(const json::Value& object) {
  json::Value out =
      json::Value::object({{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}});
  const json::Value* metadata = object.find("metadata");
  out.set("metadata", metadata == nullptr ? json::Value::object() : *metadata);
  return out;
}

json::Value table_row(const api::schema::Resource& resource, const Strategy& strategy,
                      const json::Value& object, std::string_view include_object, std::int64_t now_unix_ms) {
  json::Array cells;
  for (const api::schema::PrinterColumn& column : resource.columns) {
    json::Value cell;
    if (column.json_path.empty()) {
      if (strategy.table_cell != nullptr) cell = strategy.table_cell(object, column.name, now_unix_ms);
      if (cell.is_null() && column.name == "Age") {
        cell = human_age(object.find_path({"metadata", "creationTimestamp"}), now_unix_ms);
      }
    } else {
      cell = evaluate_json_path(object, column.json_path);
      if (column.type == "date") cell = human_age(&cell, now_unix_ms);
    }
    if (cell.is_null()) {
      if (column.type == "integer")
        cell = 0;
      else
        cell = column.json_path.empty() ? "<none>" : "";
    }
    cells.push_back(std::move(cell));
  }
  if (cells.empty()) cells.push_back(object.get_string_path({"metadata", "name"}));
  json::Value row = json::Value::object();
  row.set("cells", std::move(cells));
  if (include_object == "Object") {
    row.set("object", object);
  } else if (include_object != "None") {
    row.set("object", partial_metadata(object));
  }
  return row;
}

}  // namespace coxswain::registry
