#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/commands/commands.h"
#include "libs/common/base/strings.h"

namespace coxswain::cli {
namespace {

struct Doomed {
  const ResourceKind* kind = nullptr;
  std::string ns;
  std::string name;
  std::string uid;
};

Result<client::DeleteOptions> delete_options(const DeleteCommandOptions& options) {
  client::DeleteOptions out;
  if (options.cascade == "background")
    out.propagation_policy = "Background";
  else if (options.cascade == "foreground")
    out.propagation_policy = "Foreground";
  else if (options.cascade == "orphan")
    out.propagation_policy = "Orphan";
  else
    return make_error(ErrorCode::kInvalidArgument, "--cascade is background, foreground or orphan");
  if (options.force)
    out.grace_period_seconds = 0;
  else if (options.grace_period >= 0)
    out.grace_period_seconds = options.grace_period;
  return out;
}

// Everything that a collection holds and the selector picks.
api::ApiResult<void> add_collection(Session& session, const Target& target,
                                    const DeleteCommandOptions& options, std::vector<Doomed>& out) {
  client::ListOptions list;
  list.label_selector = options.label_selector;
  const std::string ns = target.kind->namespaced ? session.ns : "";
  auto listed = session.api->for_each(target.kind->info(), ns, list, [&](json::Value item) {
    out.push_back({target.kind, ns, item.get_string_path({"metadata", "name"}),
                   item.get_string_path({"metadata", "uid"})});
  });
  if (!listed.ok()) return std::move(listed).error();
  return {};
}

bool gone(Session& session, const Doomed& object) {
  auto live = session.api->get_json(object.kind->info(), object.ns, object.name);
  if (!live.ok()) return client::is_not_found(live.error());
  return !object.uid.empty() && live->get_string_path({"metadata", "uid"}) != object.uid;
}

int wait_gone(Session& session, const std::vector<Doomed>& objects, std::int64_t timeout_s) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_s);
  for (const Doomed& object : objects) {
    while (!gone(session, object)) {
      if (std::chrono::steady_clock::now() > deadline) {
        return fail(make_error(ErrorCode::kDeadlineExceeded,
                               object.kind->plural + " \"" + object.name +
                                   "\" is still there: a finalizer may hold it (see metadata.finalizers)"));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }
  return 0;
}

int delete_all(Session& session, const std::vector<Doomed>& objects, const DeleteCommandOptions& options) {
  auto how = delete_options(options);
  if (!how.ok()) return fail(how.error());
  int code = 0;
  std::vector<Doomed> waiting;
  for (const Doomed& object : objects) {
    Doomed exact = object;
    if (auto live = session.api->get_json(object.kind->info(), object.ns, object.name); live.ok()) {
      exact.uid = live->get_string_path({"metadata", "uid"});
    }
    auto deleted = session.api->remove_json(object.kind->info(), object.ns, object.name, *how);
    if (!deleted.ok()) {
      if (options.ignore_not_found && client::is_not_found(deleted.error())) continue;
      code |= fail(deleted.error());
      continue;
    }
    std::printf("%s \"%s\" %s\n", object.kind->qualified_singular().c_str(), object.name.c_str(),
                options.force ? "force deleted" : "deleted");
    std::fflush(stdout);
    waiting.push_back(exact);
  }
  if (options.wait && !options.force) code |= wait_gone(session, waiting, options.timeout_s);
  return code;
}

}  // namespace

int run_delete(const GlobalOptions& global, const DeleteCommandOptions& options) {
  auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  auto discovery = Discovery::load(*session->api);
  if (!discovery.ok()) return fail(discovery.error());
  std::vector<Doomed> doomed;
  if (!options.files.empty()) {
    auto objects = read_objects(options.files);
    if (!objects.ok()) return fail(objects.error());
    // Last in, first out: what was created on top of something goes before it.
    for (auto object = objects->rbegin(); object != objects->rend(); ++object) {
      auto place = place_of(*discovery, *object, session->ns);
      if (!place.ok()) return fail(place.error());
      doomed.push_back({place->kind, place->ns, place->name, ""});
    }
    return delete_all(*session, doomed, options);
  }
  auto targets = parse_targets(*discovery, options.targets);
  if (!targets.ok()) return fail(targets.error());
  for (const Target& target : *targets) {
    if (!target.name.empty()) {
      doomed.push_back({target.kind, target.kind->namespaced ? session->ns : "", target.name, ""});
    } else if (options.all || !options.label_selector.empty()) {
      auto added = add_collection(*session, target, options, doomed);
      if (!added.ok()) return fail(added.error());
    } else {
      return fail_usage("name the objects to delete, or use -l SELECTOR or --all");
    }
  }
  return delete_all(*session, doomed, options);
}

}  // namespace coxswain::cli
