#include <cstdio>
#include <map>

#include "cli/commands/commands.h"
#include "cli/printer.h"
#include "libs/common/base/strings.h"

namespace coxswain::cli {
namespace {

constexpr std::string_view kTableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

std::string collection_target(const Session& session, const GlobalOptions& global, const Target& target,
                              const GetOptions& options) {
  const std::string ns = target.kind->namespaced && !global.all_namespaces ? session.ns : "";
  std::string path = target.kind->info().path(ns, target.name);
  std::string query;
  const auto add = [&query](const char* key, const std::string& value) {
    if (!value.empty()) query += (query.empty() ? "?" : "&") + std::string(key) + "=" + url_encode(value);
  };
  add("labelSelector", options.label_selector);
  add("fieldSelector", options.field_selector);
  return path + query;
}

bool is_table_output(const GetOptions& options) { return options.output.empty() || options.output == "wide"; }

TableOptions table_options(const GlobalOptions& global, const GetOptions& options, const Target& target) {
  TableOptions table;
  table.wide = options.output == "wide";
  table.headers = !options.no_headers;
  table.with_namespace = global.all_namespaces && target.kind->namespaced;
  table.show_labels = options.show_labels;
  return table;
}

// Prints one kind; `printed` says whether anything was.
int get_one(Session& session, const GlobalOptions& global, const GetOptions& options, const Target& target,
            bool several, bool* printed) {
  const std::string path = collection_target(session, global, target, options);
  const bool table = is_table_output(options);
  auto answer =
      session.api->raw("GET", path, {}, "application/json", table ? kTableAccept : "application/json");
  if (!answer.ok()) return fail(answer.error());
  std::string text;
  if (table) {
    TableOptions shape = table_options(global, options, target);
    if (several) shape.name_prefix = target.kind->qualified_singular() + "/";
    text = format_table(*answer, shape);
    if (*printed && !text.empty()) text = "\n" + text;
  } else {
    auto formatted = format_object(*answer, options.output, target.kind->qualified_singular());
    if (!formatted.ok()) return fail(formatted.error());
    text = *formatted;
  }
  if (!text.empty()) *printed = true;
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

int watch(Session& session, const GlobalOptions& global, const GetOptions& options, const Target& target) {
  GetOptions by_name = options;
  Target collection = target;
  if (!target.name.empty()) {
    by_name.field_selector = "metadata.name=" + target.name;
    collection.name.clear();
  }
  std::string path = collection_target(session, global, collection, by_name);
  path += (path.find('?') == std::string::npos ? "?" : "&") + std::string("watch=true");
  TableOptions shape = table_options(global, options, target);
  const bool table = is_table_output(options);
  const auto on_line = [&](std::string_view line) {
    auto event = json::parse(line);
    if (!event.ok()) return true;
    const json::Value* object = event->find("object");
    if (object == nullptr || event->get_string("type") == "BOOKMARK") return true;
    if (event->get_string("type") == "ERROR") {
      fail(api::Status::from_json(*object));
      return false;
    }
    std::string text;
    if (table) {
      text = format_table(*object, shape);
      shape.headers = false;
    } else if (auto formatted = format_object(*object, options.output, target.kind->qualified_singular());
               formatted.ok()) {
      text = *formatted;
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    return true;
  };
  auto done = session.api->stream_lines(path, table ? kTableAccept : "application/json", 0, on_line, {});
  return done.ok() ? 0 : fail(done.error());
}

}  // namespace

int run_get(const GlobalOptions& global, const GetOptions& options) {
  auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  auto discovery = Discovery::load(*session->api);
  if (!discovery.ok()) return fail(discovery.error());
  auto targets = parse_targets(*discovery, options.targets);
  if (!targets.ok()) return fail(targets.error());
  if (options.watch) {
    if (targets->size() != 1) return fail_usage("--watch takes one kind or one object");
    return watch(*session, global, options, targets->front());
  }
  int code = 0;
  bool printed = false;
  bool several_kinds = false;
  for (const Target& target : *targets) several_kinds |= target.kind != targets->front().kind;
  for (const Target& target : *targets) {
    code |= get_one(*session, global, options, target, several_kinds, &printed);
  }
  if (!printed && code == 0 && is_table_output(options)) {
    const bool cluster = !targets->front().kind->namespaced || global.all_namespaces;
    std::fprintf(stderr, "No resources found%s\n",
                 cluster ? "" : (" in " + session->ns + " namespace.").c_str());
  }
  return code;
}

int run_version(const GlobalOptions& global, bool client_only) {
  std::printf("Client Version: %s\n", COXSWAIN_VERSION);
  if (client_only) return 0;
  auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  auto answer = session->api->raw("GET", "/version");
  if (!answer.ok()) return fail(answer.error());
  std::printf("Server Version: %s\n", answer->get_string("gitVersion").c_str());
  return 0;
}

int run_api_resources(const GlobalOptions& global) {
  auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  auto discovery = Discovery::load(*session->api);
  if (!discovery.ok()) return fail(discovery.error());
  std::printf("%-28s %-12s %-32s %-11s %s\n", "NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND");
  for (const ResourceKind& kind : discovery->kinds()) {
    std::printf("%-28s %-12s %-32s %-11s %s\n", kind.plural.c_str(), join(kind.short_names, ",").c_str(),
                kind.info().api_version().c_str(), kind.namespaced ? "true" : "false", kind.kind.c_str());
  }
  return 0;
}

}  // namespace coxswain::cli
