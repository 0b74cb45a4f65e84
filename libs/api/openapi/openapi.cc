#include "libs/api/openapi/openapi.h"

#include <algorithm>

#include "libs/api/openapi/discovery.h"
#include "libs/api/openapi/schemas.h"
#include "libs/common/base/strings.h"

namespace coxswain::api::openapi {
namespace {

using schema::Resource;
using Resources = std::vector<const Resource*>;

constexpr std::string_view kMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.";

bool has_verb(const Resource& resource, std::string_view verb) {
  return std::find(resource.verbs.begin(), resource.verbs.end(), verb) != resource.verbs.end();
}

struct Operation {
  const char* method;  // "get"
  const char* action;  // x-kubernetes-action
  const char* verb;    // what the resource must allow
  bool collection;
};

constexpr Operation kOperations[] = {{"get", "list", "list", true},
                                     {"post", "post", "create", true},
                                     {"delete", "deletecollection", "deletecollection", true},
                                     {"get", "get", "get", false},
                                     {"put", "put", "update", false},
                                     {"patch", "patch", "patch", false},
                                     {"delete", "delete", "delete", false}};

class DocumentWriter {
 public:
  explicit DocumentWriter(Dialect dialect) : dialect_(dialect) {}

  void add(const Resource& resource) {
    const std::string base =
        resource.group.empty() ? "/api/v1"
                               : "/apis/" + std::string(resource.group) + "/" + std::string(resource.version);
    const std::string scope = resource.namespaced ? "/namespaces/{namespace}" : "";
    const std::string collection = base + scope + "/" + std::string(resource.plural);
    add_path(collection, resource, resource.kind, true);
    add_path(collection + "/{name}", resource, resource.kind, false);
    if (resource.namespaced)
      add_path(base + "/" + std::string(resource.plural), resource, resource.kind, true, true);
    roots_.push_back(resource.type);
    resources_.push_back(&resource);
  }

  json::Value paths() { return std::move(paths_); }

  json::Value schemas() {
    for (const char* name :
         {"DeleteOptions", "Status", "ListMeta", "APIResourceList", "APIGroup", "WatchEvent"}) {
      roots_.push_back(schema::find_type(std::string(kMeta) + name));
    }
    roots_.push_back(schema::find_type("io.k8s.api.autoscaling.v1.Scale"));
    json::Value out = json::Value::object();
    std::vector<const schema::Type*> types;
    for (const schema::Type* type : reachable(roots_)) types.push_back(type);
    std::sort(types.begin(), types.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
    for (const schema::Type* type : types)
      out.as_object().append(std::string(type->name), schema_of(*type, dialect_));
    for (const Resource* resource : resources_) {
      out.find(resource->type->name)
          ->set("x-kubernetes-group-version-kind",
                json::Value::array({group_version_kind(resource->group, resource->version, resource->kind)}));
      if (has_verb(*resource, "list"))
        out.set(list_type_name(*resource), list_schema_of(*resource, dialect_));
    }
    add_scalars(out);
    return out;
  }

 private:
  // Types that JSON shows as plain values.
  void add_scalars(json::Value& out) const {
    const auto text = [](const char* format) {
      json::Value schema = json::Value::object({{"type", "string"}});
      if (format != nullptr) schema.set("format", format);
      return schema;
    };
    out.set(std::string(kMeta) + "Time", text("date-time"));
    out.set(std::string(kMeta) + "MicroTime", text("date-time"));
    json::Value either = json::Value::object();
    either.set("oneOf", json::Value::array({text(nullptr), json::Value::object({{"type", "number"}})}));
    out.set("io.k8s.apimachinery.pkg.api.resource.Quantity",
            dialect_ == Dialect::kV3 ? either : text(nullptr));
    json::Value port = dialect_ == Dialect::kV3 ? json::Value::object() : text("int-or-string");
    if (dialect_ == Dialect::kV3) {
      port.set("format", "int-or-string");
      port.set("oneOf", json::Value::array({json::Value::object({{"type", "integer"}}), text(nullptr)}));
    }
    out.set("io.k8s.apimachinery.pkg.util.intstr.IntOrString", std::move(port));
  }

  json::Value parameter(const char* name, const char* where, const char* type) const {
    json::Value out = json::Value::object({{"name", name}, {"in", where}});
    if (std::string_view(where) == "path") out.set("required", true);
    if (dialect_ == Dialect::kV3) {
      out.set("schema", json::Value::object({{"type", type}, {"uniqueItems", true}}));
    } else {
      out.set("type", type);
      out.set("uniqueItems", true);
    }
    return out;
  }

  json::Value parameters(const Operation& operation) const {
    json::Value out = json::Value::array();
    const std::string_view verb = operation.verb;
    if (verb == "create" || verb == "update" || verb == "patch") {
      for (const char* name : {"dryRun", "fieldManager", "fieldValidation"})
        out.push_back(parameter(name, "query", "string"));
      if (verb == "patch") out.push_back(parameter("force", "query", "boolean"));
    }
    if (verb == "delete" || verb == "deletecollection") {
      out.push_back(parameter("dryRun", "query", "string"));
      out.push_back(parameter("gracePeriodSeconds", "query", "integer"));
      out.push_back(parameter("propagationPolicy", "query", "string"));
    }
    if (verb == "list" || verb == "deletecollection") {
      for (const char* name :
           {"continue", "fieldSelector", "labelSelector", "resourceVersion", "resourceVersionMatch"}) {
        out.push_back(parameter(name, "query", "string"));
      }
      for (const char* name : {"limit", "timeoutSeconds"}) out.push_back(parameter(name, "query", "integer"));
      for (const char* name : {"allowWatchBookmarks", "sendInitialEvents", "watch"})
        out.push_back(parameter(name, "query", "boolean"));
    }
    return out;
  }

  json::Value content(const char* media_type, std::string_view type_name) const {
    json::Value media = json::Value::object();
    media[media_type].set("schema", reference_to(type_name, dialect_));
    return media;
  }

  void add_body(const Operation& operation, const Resource& resource, json::Value& out) const {
    const std::string_view verb = operation.verb;
    if (verb != "create" && verb != "update" && verb != "patch") return;
    static constexpr const char* kPatches[] = {"application/json-patch+json", "application/merge-patch+json",
                                               "application/strategic-merge-patch+json"};
    if (dialect_ == Dialect::kV2) {
      json::Value body = json::Value::object({{"name", "body"}, {"in", "body"}, {"required", true}});
      body.set("schema", verb == "patch" ? json::Value::object({{"type", "object"}})
                                         : reference_to(resource.type->name, dialect_));
      out["parameters"].push_back(std::move(body));
      json::Value consumes = json::Value::array();
      if (verb == "patch") {
        for (const char* type : kPatches) consumes.push_back(type);
      } else {
        consumes.push_back("*/*");
      }
      out.set("consumes", std::move(consumes));
      return;
    }
    json::Value media = json::Value::object();
    if (verb == "patch") {
      for (const char* type : kPatches) media[type].set("schema", json::Value::object({{"type", "object"}}));
    } else {
      media = content("*/*", resource.type->name);
    }
    out["requestBody"] = json::Value::object({{"required", true}});
    out["requestBody"].set("content", std::move(media));
  }

  json::Value operation(const Operation& how, const Resource& resource, std::string_view kind,
                        const std::string& path) const {
    json::Value out = json::Value::object();
    out.set("operationId", std::string(how.action) + path);
    out.set("parameters", parameters(how));
    add_body(how, resource, out);
    const std::string_view verb = how.verb;
    const std::string answer = verb == "list" ? list_type_name(resource)
                               : verb == "delete" || verb == "deletecollection"
                                   ? std::string(kMeta) + "Status"
                                   : std::string(resource.type->name);
    json::Value ok = json::Value::object({{"description", "OK"}});
    if (dialect_ == Dialect::kV3)
      ok.set("content", content("application/json", answer));
    else
      ok.set("schema", reference_to(answer, dialect_));
    out["responses"].set("200", std::move(ok));
    out.set("x-kubernetes-action", how.action);
    out.set("x-kubernetes-group-version-kind", group_version_kind(resource.group, resource.version, kind));
    return out;
  }

  void add_path(const std::string& path, const Resource& resource, std::string_view kind, bool collection,
                bool only_list = false) {
    json::Value item = json::Value::object();
    for (const Operation& how : kOperations) {
      if (how.collection != collection || !has_verb(resource, how.verb)) continue;
      if (only_list && std::string_view(how.verb) != "list") continue;
      item.set(how.method, operation(how, resource, kind, path));
    }
    if (item.as_object().empty()) return;
    json::Value shared = json::Value::array();
    if (path.find("{namespace}") != std::string::npos)
      shared.push_back(parameter("namespace", "path", "string"));
    if (path.find("{name}") != std::string::npos) shared.push_back(parameter("name", "path", "string"));
    if (!shared.as_array().empty()) item.set("parameters", std::move(shared));
    paths_.set(path, std::move(item));
  }

  Dialect dialect_;
  json::Value paths_ = json::Value::object();
  std::vector<const schema::Type*> roots_;
  Resources resources_;
};

json::Value info() { return json::Value::object({{"title", "Kubernetes"}, {"version", "v1.36.0"}}); }

}  // namespace

std::string group_version_path(std::string_view group, std::string_view version) {
  return group.empty() ? "api/" + std::string(version)
                       : "apis/" + std::string(group) + "/" + std::string(version);
}

json::Value openapi_v3(const Resources& resources, std::string_view group, std::string_view version) {
  DocumentWriter writer(Dialect::kV3);
  bool any = false;
  for (const Resource* resource : resources) {
    if (resource->group != group || resource->version != version) continue;
    writer.add(*resource);
    any = true;
  }
  if (!any) return {};
  json::Value out = json::Value::object({{"openapi", "3.0.0"}});
  out.set("info", info());
  out.set("paths", writer.paths());
  out["components"].set("schemas", writer.schemas());
  return out;
}

json::Value openapi_v3_root(const Resources& resources) {
  json::Value paths = json::Value::object();
  for (const Resource* resource : resources) {
    const std::string path = group_version_path(resource->group, resource->version);
    if (paths.find(path) != nullptr) continue;
    const std::uint64_t hash =
        fnv1a_64(json::write(openapi_v3(resources, resource->group, resource->version)));
    paths[path].set("serverRelativeURL",
                    "/openapi/v3/" + path +
                        "?hash=" + hex_encode(std::string_view(reinterpret_cast<const char*>(&hash), 8)));
  }
  json::Value out = json::Value::object();
  out.set("paths", std::move(paths));
  return out;
}

json::Value openapi_v2(const Resources& resources) {
  DocumentWriter writer(Dialect::kV2);
  for (const Resource* resource : resources) writer.add(*resource);
  json::Value out = json::Value::object({{"swagger", "2.0"}});
  out.set("info", info());
  out.set("paths", writer.paths());
  out.set("definitions", writer.schemas());
  return out;
}

}  // namespace coxswain::api::openapi
