#include <cstdio>

#include "cli/commands/commands.h"
#include "libs/common/base/strings.h"

namespace coxswain::cli {
namespace {

// "5s", "2m", "3h" in seconds; -1 when it is neither.
std::int64_t duration_seconds(const std::string& text) {
  if (text.size() < 2) return -1;
  const auto number = parse_int64(std::string_view(text).substr(0, text.size() - 1));
  if (!number || *number <= 0) return -1;
  switch (text.back()) {
    case 's':
      return *number;
    case 'm':
      return *number * 60;
    case 'h':
      return *number * 3600;
    default:
      return -1;
  }
}

}  // namespace

int run_logs(const GlobalOptions& global, const LogsOptions& options) {
  auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  std::string name = options.pod;
  for (const char* prefix : {"pod/", "pods/", "po/"}) {
    if (name.starts_with(prefix)) name = name.substr(std::string_view(prefix).size());
  }
  static constexpr client::ResourceInfo kPods{"", "v1", "Pod", "pods", true};
  std::string path = kPods.path(session->ns, name, "log");
  std::string query;
  const auto add = [&query](const char* key, const std::string& value) {
    query += (query.empty() ? "?" : "&") + std::string(key) + "=" + url_encode(value);
  };
  if (!options.container.empty()) add("container", options.container);
  if (options.follow) add("follow", "true");
  if (options.previous) add("previous", "true");
  if (options.timestamps) add("timestamps", "true");
  if (options.tail >= 0) add("tailLines", std::to_string(options.tail));
  if (!options.since.empty()) {
    const std::int64_t seconds = duration_seconds(options.since);
    if (seconds < 0) return fail_usage("--since takes a duration such as 30s, 5m or 2h");
    add("sinceSeconds", std::to_string(seconds));
  }
  const auto on_line = [](std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
    std::fflush(stdout);
    return true;
  };
  auto done = session->api->stream_lines(path + query, "*/*", 0, on_line, {});
  return done.ok() ? 0 : fail(done.error());
}

int run_scale(const GlobalOptions& global, const ScaleOptions& options) {
  if (options.replicas < 0) return fail_usage("--replicas=N is needed");
  auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  auto discovery = Discovery::load(*session->api);
  if (!discovery.ok()) return fail(discovery.error());
  auto targets = parse_targets(*discovery, options.targets);
  if (!targets.ok()) return fail(targets.error());
  int code = 0;
  for (const Target& target : *targets) {
    if (target.name.empty()) return fail_usage("name what to scale, for example deployment/web");
    const std::string path = target.kind->info().path(session->ns, target.name, "scale");
    json::Value patch = json::Value::object();
    patch["spec"].set("replicas", options.replicas);
    if (options.current_replicas >= 0) {
      auto scale = session->api->raw("GET", path);
      if (!scale.ok()) return fail(scale.error());
      const json::Value* replicas = scale->find_path({"spec", "replicas"});
      const std::int64_t have = replicas != nullptr ? replicas->as_int() : 0;
      if (have != options.current_replicas) {
        return fail(make_error(ErrorCode::kConflict, "expected replicas to be " +
                                                         std::to_string(options.current_replicas) + ", was " +
                                                         std::to_string(have)));
      }
      patch["metadata"].set("resourceVersion", scale->get_string_path({"metadata", "resourceVersion"}));
    }
    auto done = session->api->raw("PATCH", path, json::write(patch), "application/merge-patch+json");
    if (!done.ok()) {
      code |= fail(done.error());
      continue;
    }
    std::printf("%s/%s scaled\n", target.kind->qualified_singular().c_str(), target.name.c_str());
  }
  return code;
}

}  // namespace coxswain::cli
