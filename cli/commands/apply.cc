#include <cstdio>

#include "cli/apply_patch.h"
#include "cli/commands/commands.h"

namespace coxswain::cli {
namespace {

const api::schema::Type* type_of(const ResourceKind& kind) {
  const api::schema::Resource* resource = api::schema::find_resource(kind.group, kind.version, kind.plural);
  return resource == nullptr ? nullptr : resource->type;
}

std::string with_dry_run(std::string path, bool dry_run) {
  path += "?fieldManager=coxctl&fieldValidation=Strict";
  return dry_run ? path + "&dryRun=All" : path;
}

api::ApiResult<const char*> create(Session& session, const ObjectPlace& place, const json::Value& object,
                                   bool dry_run) {
  const std::string path = with_dry_run(place.kind->info().path(place.ns), dry_run);
  auto created = session.api->raw("POST", path, json::write(with_last_applied(object)));
  if (!created.ok()) return std::move(created).error();
  return "created";
}

// Created, configured or unchanged. A conflict with another writer is tried again from the new state.
api::ApiResult<const char*> apply_one(Session& session, const ObjectPlace& place, const json::Value& object,
                                      bool dry_run) {
  constexpr int kTries = 5;
  api::Status last_error;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    auto live = session.api->raw("GET", place.kind->info().path(place.ns, place.name));
    if (!live.ok() && client::is_not_found(live.error())) {
      auto created = create(session, place, object, dry_run);
      if (created.ok() || !client::is_already_exists(created.error())) return created;
      last_error = created.error();
      continue;
    }
    if (!live.ok()) return std::move(live).error();
    json::Value last;
    if (const json::Value* text = live->find_path({"metadata", "annotations", kLastApplied});
        text != nullptr && text->is_string()) {
      if (auto parsed = json::parse(text->as_string()); parsed.ok()) last = *parsed;
    }
    const api::schema::Type* type = type_of(*place.kind);
    json::Value patch = three_way_patch(last, with_last_applied(object), *live, type);
    if (patch.is_null()) return "unchanged";
    if (const json::Value* version = live->find_path({"metadata", "resourceVersion"})) {
      patch["metadata"].set("resourceVersion", *version);
    }
    const char* content_type =
        type == nullptr ? "application/merge-patch+json" : "application/strategic-merge-patch+json";
    auto patched =
        session.api->raw("PATCH", with_dry_run(place.kind->info().path(place.ns, place.name), dry_run),
                         json::write(patch), content_type);
    if (patched.ok()) return "configured";
    last_error = patched.error();
    if (!client::is_conflict(last_error)) break;
  }
  return last_error;
}

}  // namespace

int run_apply(const GlobalOptions& global, const ApplyOptions& options) {
  auto objects = read_objects(options.files);
  if (!objects.ok()) return fail(objects.error());
  auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  auto discovery = Discovery::load(*session->api);
  if (!discovery.ok()) return fail(discovery.error());
  int code = 0;
  for (json::Value& object : *objects) {
    auto place = place_of(*discovery, object, session->ns);
    if (!place.ok()) {
      code |= fail(place.error());
      continue;
    }
    if (place->kind->namespaced) object["metadata"].set("namespace", place->ns);
    auto done = apply_one(*session, *place, object, options.dry_run);
    if (!done.ok()) {
      std::fprintf(stderr, "%s: ", place->label().c_str());
      code |= fail(done.error());
      continue;
    }
    std::printf("%s %s%s\n", place->label().c_str(), *done, options.dry_run ? " (server dry run)" : "");
  }
  return code;
}

}  // namespace coxswain::cli
