#include <algorithm>
#include <cstdio>

#include "cli/commands/commands.h"
#include "libs/api/yaml/yaml.h"
#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"

namespace coxswain::cli {
namespace {

constexpr client::ResourceInfo kEvents{"", "v1", "Event", "events", true};

std::string age_of(const std::string& timestamp) {
  std::int64_t then_ms = 0;
  if (timestamp.empty() || !parse_rfc3339(timestamp, &then_ms)) return "<unknown>";
  const std::int64_t seconds = std::max<std::int64_t>(0, (system_clock().unix_ms() - then_ms) / 1000);
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 7200) return std::to_string(seconds / 60) + "m";
  if (seconds < 172800) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

void print_map(const char* title, const json::Value* map) {
  std::printf("%-14s", title);
  if (map == nullptr || !map->is_object() || map->as_object().empty()) {
    std::printf("<none>\n");
    return;
  }
  bool first = true;
  for (const auto& [key, value] : map->as_object()) {
    std::printf("%s%s: %s\n", first ? "" : "              ", key.c_str(),
                value.is_string() ? value.as_string().c_str() : json::write(value).c_str());
    first = false;
  }
}

// A section as indented YAML: complete, and the same for every kind.
void print_section(const char* title, const json::Value* value) {
  if (value == nullptr || value->is_null()) return;
  std::printf("%s:\n", title);
  for (const std::string& line : split(yaml::write(*value), '\n')) {
    if (!line.empty()) std::printf("  %s\n", line.c_str());
  }
}

// Secrets are shown by size only.
json::Value hide_secret_data(const json::Value& data) {
  json::Value sizes = json::Value::object();
  if (!data.is_object()) return sizes;
  for (const auto& [key, value] : data.as_object()) {
    const auto bytes = value.is_string() ? base64_decode(value.as_string()) : std::nullopt;
    sizes.set(key, std::to_string(bytes ? bytes->size() : 0) + " bytes");
  }
  return sizes;
}

void print_events(Session& session, const ResourceKind& kind, const json::Value& object) {
  client::ListOptions options;
  options.field_selector = "involvedObject.kind=" + kind.kind +
                           ",involvedObject.name=" + object.get_string_path({"metadata", "name"});
  const std::string uid = object.get_string_path({"metadata", "uid"});
  if (!uid.empty() && kind.kind != "Node") options.field_selector += ",involvedObject.uid=" + uid;
  std::vector<json::Value> events;
  const std::string ns = kind.namespaced ? object.get_string_path({"metadata", "namespace"}) : "";
  auto listed = session.api->for_each(kEvents, ns, options,
                                      [&](json::Value event) { events.push_back(std::move(event)); });
  if (!listed.ok() || events.empty()) {
    std::printf("Events:       <none>\n");
    return;
  }
  const auto seen = [](const json::Value& event) {
    for (const char* key : {"lastTimestamp", "eventTime", "firstTimestamp"}) {
      if (const std::string time = event.get_string(key); !time.empty()) return time;
    }
    return event.get_string_path({"metadata", "creationTimestamp"});
  };
  std::stable_sort(events.begin(), events.end(),
                   [&](const auto& a, const auto& b) { return seen(a) < seen(b); });
  std::printf("Events:\n  %-8s %-22s %-6s %-24s %s\n", "Type", "Reason", "Age", "From", "Message");
  for (const json::Value& event : events) {
    std::string from = event.get_string_path({"source", "component"});
    if (from.empty()) from = event.get_string("reportingComponent");
    const std::int64_t count = event.get_int("count", 1);
    const std::string times = count > 1 ? " (x" + std::to_string(count) + ")" : "";
    std::printf("  %-8s %-22s %-6s %-24s %s%s\n", event.get_string("type").c_str(),
                event.get_string("reason").c_str(), age_of(seen(event)).c_str(), from.c_str(),
                event.get_string("message").c_str(), times.c_str());
  }
}

void describe(Session& session, const ResourceKind& kind, const json::Value& object) {
  const std::string created = object.get_string_path({"metadata", "creationTimestamp"});
  std::printf("%-14s%s\n", "Name:", object.get_string_path({"metadata", "name"}).c_str());
  if (kind.namespaced)
    std::printf("%-14s%s\n", "Namespace:", object.get_string_path({"metadata", "namespace"}).c_str());
  print_map("Labels:", object.find_path({"metadata", "labels"}));
  print_map("Annotations:", object.find_path({"metadata", "annotations"}));
  std::printf("%-14s%s (%s ago)\n", "Created:", created.c_str(), age_of(created).c_str());
  for (const auto& [key, value] : object.as_object()) {
    if (key == "apiVersion" || key == "kind" || key == "metadata") continue;
    std::string title = key;
    if (title[0] >= 'a' && title[0] <= 'z') title[0] = static_cast<char>(title[0] - 32);
    if (kind.kind == "Secret" && key == "data") {
      const json::Value hidden = hide_secret_data(value);
      print_section("Data", &hidden);
    } else {
      print_section(title.c_str(), &value);
    }
  }
  print_events(session, kind, object);
}

}  // namespace

int run_describe(const GlobalOptions& global, const DescribeOptions& options) {
  auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  auto discovery = Discovery::load(*session->api);
  if (!discovery.ok()) return fail(discovery.error());
  auto targets = parse_targets(*discovery, options.targets);
  if (!targets.ok()) return fail(targets.error());
  int code = 0;
  bool first = true;
  const auto show = [&](const ResourceKind& kind, const json::Value& object) {
    if (!first) std::printf("\n\n");
    first = false;
    describe(*session, kind, object);
  };
  for (const Target& target : *targets) {
    const std::string ns = target.kind->namespaced && !global.all_namespaces ? session->ns : "";
    if (!target.name.empty()) {
      auto object = session->api->get_json(target.kind->info(), ns, target.name);
      if (object.ok())
        show(*target.kind, *object);
      else
        code |= fail(object.error());
      continue;
    }
    client::ListOptions list;
    list.label_selector = options.label_selector;
    auto listed = session->api->for_each(target.kind->info(), ns, list,
                                         [&](json::Value item) { show(*target.kind, item); });
    if (!listed.ok()) code |= fail(listed.error());
  }
  return code;
}

}  // namespace coxswain::cli
