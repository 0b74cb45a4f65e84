// Events: one stored form (core/v1), two served ones. events.k8s.io/v1 renames most members.
#include <algorithm>

#include "libs/api/validation/validation.h"
#include "libs/registry/strategy.h"
#include "libs/registry/table.h"

namespace coxswain::registry {
namespace {

struct Rename {
  const char* core;
  const char* events;
};
constexpr Rename kRenames[] = {{"involvedObject", "regarding"},
                               {"message", "note"},
                               {"reportingComponent", "reportingController"},
                               {"source", "deprecatedSource"},
                               {"firstTimestamp", "deprecatedFirstTimestamp"},
                               {"lastTimestamp", "deprecatedLastTimestamp"},
                               {"count", "deprecatedCount"}};

json::Value rename(json::Value object, bool to_core) {
  json::Value out = json::Value::object();
  for (json::Member& member : object.as_object()) {
    std::string key = member.first;
    for (const Rename& row : kRenames) {
      if (key == (to_core ? row.events : row.core)) {
        key = to_core ? row.core : row.events;
        break;
      }
    }
    out.set(key, std::move(member.second));
  }
  out.set("apiVersion", to_core ? "v1" : "events.k8s.io/v1");
  return out;
}

json::Value to_storage(json::Value object) { return rename(std::move(object), true); }
json::Value from_storage(json::Value object) { return rename(std::move(object), false); }

const json::Value& either(const json::Value& object, const char* core, const char* events) {
  static const json::Value null;
  if (const json::Value* value = object.find(core)) return *value;
  if (const json::Value* value = object.find(events)) return *value;
  return null;
}

std::string age(const json::Value& a, const json::Value& b, std::int64_t now_unix_ms) {
  const json::Value& value = a.is_string() ? a : b;
  return human_age(&value, now_unix_ms);
}

json::Value table_cell(const json::Value& object, std::string_view column, std::int64_t now_unix_ms) {
  const json::Value& regarding = either(object, "involvedObject", "regarding");
  const json::Value* event_time = object.find("eventTime");
  const json::Value none;
  const json::Value& time = event_time == nullptr ? none : *event_time;
  const json::Value& first = either(object, "firstTimestamp", "deprecatedFirstTimestamp");
  const json::Value& last = either(object, "lastTimestamp", "deprecatedLastTimestamp");
  if (column == "Last Seen") {
    if (const json::Value* series = object.find_path({"series", "lastObservedTime"}))
      return human_age(series, now_unix_ms);
    return age(last, time, now_unix_ms);
  }
  if (column == "First Seen") return age(first, time, now_unix_ms);
  if (column == "Object") {
    std::string kind = regarding.get_string("kind");
    std::transform(kind.begin(), kind.end(), kind.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return kind + "/" + regarding.get_string("name");
  }
  if (column == "Subobject") return regarding.get_string("fieldPath");
  if (column == "Source") {
    const json::Value& source = either(object, "source", "deprecatedSource");
    std::string text = source.get_string("component");
    if (text.empty())
      text = either(object, "reportingComponent", "reportingController").is_string()
                 ? either(object, "reportingComponent", "reportingController").as_string()
                 : "";
    const std::string host = source.get_string("host");
    return host.empty() ? text : text + ", " + host;
  }
  if (column == "Message") {
    const json::Value& message = either(object, "message", "note");
    return message.is_string() ? message : json::Value("");
  }
  if (column == "Count") {
    const json::Value& count = either(object, "count", "deprecatedCount");
    if (const json::Value* series = object.find("series"); series != nullptr && series->is_object()) {
      return std::to_string(series->get_int("count"));
    }
    return std::to_string(count.type() == json::Type::kInt ? count.as_int() : 1);
  }
  return nullptr;
}

// From the stored (core) form; both groups' names.
void selectable_fields(const json::Value& object, FieldValues& out) {
  for (const char* key : {"kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"}) {
    const std::string value = object.get_string_path({"involvedObject", key});
    out.emplace_back(std::string("involvedObject.") + key, value);
    out.emplace_back(std::string("regarding.") + key, value);
  }
  const std::string component = object.get_string("reportingComponent");
  const std::string source = object.get_string_path({"source", "component"});
  out.emplace_back("reason", object.get_string("reason"));
  out.emplace_back("type", object.get_string("type"));
  out.emplace_back("reportingComponent", component);
  out.emplace_back("reportingController", component);
  out.emplace_back("source", source.empty() ? component : source);
}

void validate_core(const Context&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_event(nullptr, object, false, errors);
}

// The rules speak of the stored form; the messages keep its names, as upstream's do.
void validate_new(const Context&, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  api::validate_event(nullptr, to_storage(object), true, errors);
}

void validate_update(const Context&, const json::Value& old, const json::Value& object, Causes& out) {
  api::FieldErrors errors(out);
  const json::Value before = to_storage(old);
  api::validate_event(&before, to_storage(object), true, errors);
}

}  // namespace

const Strategy& core_event_strategy() {
  static const Strategy strategy = {.name_rule = NameRule::kPathSegment,
                                    .allow_create_on_update = true,
                                    .ttl_seconds = 3600,
                                    .validate_create = validate_core,
                                    .selectable_fields = selectable_fields,
                                    .table_cell = table_cell};
  return strategy;
}

const Strategy& event_strategy() {
  static const Strategy strategy = {.name_rule = NameRule::kPathSegment,
                                    .allow_create_on_update = true,
                                    .ttl_seconds = 3600,
                                    .validate_create = validate_new,
                                    .validate_update = validate_update,
                                    .selectable_fields = selectable_fields,
                                    .table_cell = table_cell,
                                    .to_storage = to_storage,
                                    .from_storage = from_storage};
  return strategy;
}

}  // namespace coxswain::registry
