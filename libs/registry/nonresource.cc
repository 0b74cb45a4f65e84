#include "libs/registry/nonresource.h"

#include <array>
#include <map>
#include <mutex>

#include "libs/api/openapi/discovery.h"
#include "libs/api/openapi/gnostic.h"
#include "libs/api/openapi/openapi.h"
#include "libs/common/base/strings.h"
#include "libs/common/metrics/metrics.h"

namespace coxswain::registry {
namespace {

constexpr const char* kGitVersion = "v1.36.0+coxswain.0.1.0";

void respond_text(const CallPtr& call, int code, std::string text,
                  std::string_view type = "text/plain; charset=utf-8") {
  http::Response response;
  response.status = code;
  response.headers.emplace_back("Content-Type", std::string(type));
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.body.push_back(http::Chunk::of(std::move(text)));
  respond_raw(call, std::move(response));
}

void respond_version(const CallPtr& call) {
  respond_json(call, 200,
               json::Value::object({{"major", "1"},
                                    {"minor", "36"},
                                    {"gitVersion", kGitVersion},
                                    {"gitCommit", ""},
                                    {"gitTreeState", "clean"},
                                    {"buildDate", ""},
                                    {"goVersion", ""},
                                    {"compiler", "g++"},
                                    {"platform", "linux/amd64"}}));
}

// A store that has no quorum makes a server unready, not dead: a restart would not bring the quorum back.
std::string store_problem(const Core& core) {
  const store::Stats stats = core.store.stats();
  if (stats.serving) return {};
  return stats.not_serving_reason.empty() ? "the store does not serve" : stats.not_serving_reason;
}

struct Check {
  std::string_view name;
  std::string (*problem)(const Core& core);  // empty: it passes
  bool readiness_only;
};
const std::array<Check, 4> kChecks = {{
    {"ping", [](const Core&) { return std::string(); }, false},
    {"store", store_problem, true},
    {"bootstrap",
     [](const Core& core) {
       return std::string(core.bootstrapped ? "" : "the system's objects are not made yet");
     },
     true},
    {"shutdown",
     [](const Core& core) { return std::string(core.stopping ? "the server is shutting down" : ""); }, true},
}};

// /livez, /readyz, /healthz, each with ?verbose and /NAME-OF-CHECK.
bool handle_health(const CallPtr& call, std::string_view path) {
  const std::size_t slash = path.find('/', 1);
  const std::string_view endpoint = path.substr(0, slash);
  if (endpoint != "/livez" && endpoint != "/readyz" && endpoint != "/healthz") return false;
  const std::string_view only = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  const bool readiness = endpoint == "/readyz";
  const bool may_know = !call->user.name.empty();  // reasons tell of the inside: not to just anybody
  std::string detail;
  bool all = true;
  bool found = only.empty();
  for (const Check& check : kChecks) {
    if (check.readiness_only && !readiness) continue;
    if (!only.empty() && check.name != only) continue;
    found = true;
    const std::string problem = check.problem(call->core);
    all = all && problem.empty();
    detail += problem.empty() ? "[+]" : "[-]";
    detail += std::string(check.name) + (problem.empty() ? " ok" : " failed: ");
    if (!problem.empty()) detail += may_know ? problem : "reason withheld";
    detail += '\n';
  }
  if (!found) {
    respond_status(call, api::page_not_found());
    return true;
  }
  const std::string word(endpoint.substr(1));
  if (!all) {
    respond_text(call, 500, detail + word + " check failed\n");
  } else {
    respond_text(call, 200, call->request().has_query("verbose") ? detail + word + " check passed\n" : "ok");
  }
  return true;
}

// A document that only changes with the build, made on first use.
struct CachedDocument {
  std::shared_ptr<const std::string> bytes;
  std::string etag;
};
CachedDocument cached_bytes(const std::string& key, const std::function<std::string()>& make) {
  static std::mutex mutex;
  static std::map<std::string, CachedDocument> documents;
  const std::lock_guard lock(mutex);
  const auto at = documents.find(key);
  if (at != documents.end()) return at->second;
  std::string bytes = make();
  if (bytes.empty()) return {};
  CachedDocument document;
  document.bytes = std::make_shared<const std::string>(std::move(bytes));
  document.etag = "\"" + hex_encode(std::to_string(fnv1a_64(*document.bytes))) + "\"";
  // OpenAPI documents are megabytes and rarely asked for: not kept.
  if (document.bytes->size() < 128 * 1024) documents[key] = document;
  return document;
}

CachedDocument cached(const std::string& key, const std::function<json::Value()>& make) {
  return cached_bytes(key, [&make] {
    const json::Value value = make();
    return value.is_null() ? std::string() : json::write(value) + "\n";
  });
}

void respond_document(const CallPtr& call, const CachedDocument& document, std::string content_type) {
  if (document.bytes == nullptr) return respond_status(call, api::page_not_found());
  http::Response response;
  response.headers.emplace_back("Content-Type", std::move(content_type));
  response.headers.emplace_back("ETag", document.etag);
  response.headers.emplace_back("Vary", "Accept");
  const std::string_view known = http::find_header(call->request().headers, "If-None-Match");
  if (!known.empty() && known.find(document.etag) != std::string_view::npos) {
    response.status = 304;
  } else {
    response.body.push_back(http::Chunk{document.bytes, *document.bytes});
  }
  respond_raw(call, std::move(response));
}

const std::vector<const api::schema::Resource*>& served() {
  static const std::vector<const api::schema::Resource*> resources = api::openapi::served_resources();
  return resources;
}

bool wants_aggregated(const http::Request& request) {
  const std::string_view accept = http::find_header(request.headers, "Accept");
  return accept.find("as=APIGroupDiscoveryList") != std::string_view::npos &&
         accept.find("v=v2;") != std::string_view::npos &&
         accept.find("g=apidiscovery.k8s.io") != std::string_view::npos;
}

bool handle_discovery(const CallPtr& call, std::string_view path) {
  const bool core = path == "/api";
  if (core || path == "/apis") {
    if (wants_aggregated(call->request())) {
      respond_document(call,
                       cached(std::string(path) + "#aggregated",
                              [core] { return api::openapi::aggregated_discovery(served(), core); }),
                       "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
      return true;
    }
    const std::string address =
        call->core.options.advertise_address + ":" + std::to_string(call->core.options.advertise_port);
    respond_document(call,
                     cached(std::string(path),
                            [core, address] {
                              return core ? api::openapi::api_versions(address)
                                          : api::openapi::api_group_list(served());
                            }),
                     "application/json");
    return true;
  }
  std::vector<std::string> parts = split(path.substr(1), '/');
  if (parts.size() == 2 && parts[0] == "api") {
    respond_document(
        call,
        cached(std::string(path), [&] { return api::openapi::api_resource_list(served(), "", parts[1]); }),
        "application/json");
    return true;
  }
  if (parts[0] != "apis" || parts.size() < 2 || parts.size() > 3) return false;
  respond_document(call,
                   cached(std::string(path),
                          [&] {
                            return parts.size() == 2
                                       ? api::openapi::api_group(served(), parts[1])
                                       : api::openapi::api_resource_list(served(), parts[1], parts[2]);
                          }),
                   "application/json");
  return true;
}

// The JSON document at a path below /openapi; null when there is none.
json::Value openapi_document(const std::string& path) {
  if (path == "/openapi/v2") return api::openapi::openapi_v2(served());
  if (path == "/openapi/v3") return api::openapi::openapi_v3_root(served());
  const std::vector<std::string> parts = split(std::string_view(path).substr(12), '/');
  if (parts.size() == 2 && parts[0] == "api") return api::openapi::openapi_v3(served(), "", parts[1]);
  if (parts.size() == 3 && parts[0] == "apis") return api::openapi::openapi_v3(served(), parts[1], parts[2]);
  return nullptr;
}

bool handle_openapi(const CallPtr& call, std::string_view path) {
  const std::string_view accept = http::find_header(call->request().headers, "Accept");
  const bool json_ok = accept.empty() || accept.find("json") != std::string_view::npos ||
                       accept.find("*/*") != std::string_view::npos;
  if (path != "/openapi/v2" && path != "/openapi/v3" && path.rfind("/openapi/v3/", 0) != 0) return false;
  // What Go clients ask for: old kubectl validates manifests with it.
  const bool protobuf =
      path == "/openapi/v2" && accept.find("proto-openapi.spec.v2") != std::string_view::npos;
  if (!protobuf && !json_ok) {
    respond_status(call, api::not_acceptable("application/json"));
    return true;
  }
  const auto answer = [call, key = std::string(path), protobuf] {
    if (!protobuf)
      return respond_document(call, cached(key, [&key] { return openapi_document(key); }),
                              "application/json");
    const auto make = [&key] { return api::openapi::openapi_v2_protobuf(openapi_document(key)); };
    respond_document(call, cached_bytes(key + "#protobuf", make), api::openapi::kGnosticContentType);
  };
  if (!call->core.workers.submit(answer)) {
    respond_status(call, api::too_many_requests("busy; try again", 1));
  }
  return true;
}

void respond_root(const CallPtr& call) {
  json::Value paths = json::Value::array();
  for (const char* path : {"/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3",
                           "/readyz", "/store/v1", "/version"}) {
    paths.push_back(path);
  }
  respond_json(call, 200, json::Value::object({{"paths", std::move(paths)}}));
}

}  // namespace

bool is_public_path(std::string_view path) {
  for (const std::string_view open : {"/healthz", "/livez", "/readyz", "/version"}) {
    if (path == open || (path.size() > open.size() && path.rfind(open, 0) == 0 && path[open.size()] == '/'))
      return true;
  }
  return false;
}

bool handle_nonresource(const CallPtr& call) {
  const http::Request& request = call->request();
  std::string_view path = request.path;
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  if (request.method != "GET" && request.method != "HEAD") return false;
  if (path == "/") return respond_root(call), true;
  if (path == "/version") return respond_version(call), true;
  if (path == "/metrics") {
    return respond_text(call, 200, call->core.metrics.text(call->core.store.stats()), metrics::kContentType),
           true;
  }
  return handle_health(call, path) || handle_openapi(call, path) || handle_discovery(call, path);
}

}  // namespace coxswain::registry
