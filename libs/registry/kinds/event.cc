// Events: one stored form (core/v1), two served ones. events.k8s.io/v1 renames most members.
#include "libs/api/validation/validation.h"
#include "libs/common/base/strings.h"
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
  const auto text = [](const json::Value& value) {
    return value.is_string() ? value.as_string() : std::string();
  };
  const json::Value* series = object.find("series");
  if (series != nullptr && !series->is_object()) series = nullptr;
  if (column == "Last Seen") {
    if (series != nullptr) return human_age(series->find("lastObservedTime"), now_unix_ms);
    return last.is_string() ? human_age(&last, now_unix_ms) : age(first, time, now_unix_ms);
  }
  if (column == "First Seen") return age(first, time, now_unix_ms);
  if (column == "Object") {
    const std::string kind = to_lower(regarding.get_string("kind"));
    const std::string name = regarding.get_string("name");
    return name.empty() ? kind : kind + "/" + name;
  }
  if (column == "Subobject") return regarding.get_string("fieldPath");
  if (column == "Source") {
    const json::Value& source = either(object, "source", "deprecatedSource");
    std::string component = source.get_string("component");
    if (component.empty()) component = text(either(object, "reportingComponent", "reportingController"));
    std::string instance = source.get_string("host");
    if (instance.empty()) instance = object.get_string("reportingInstance");
    return instance.empty() ? component : component + ", " + instance;
  }
  if (column == "Message") return std::string(trim(text(either(object, "message", "note"))));
  if (column == "Count") {
    if (series != nullptr) return series->get_int("count");
    const json::Value& count = either(object, "count", "deprecatedCount");
    return count.type() == json::Type::kInt && count.as_int() != 0 ? count.as_int() : 1;
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
