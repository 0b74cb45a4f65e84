// The REST client of every daemon: typed calls over one blocking http::Client.
//
//   auto pod = client.get<core::v1::Pod>("default", "web");          // ApiResult<Pod>
//   client.patch<core::v1::Node>("", name, PatchType::kMerge, body, "status");
//
// Thread-safe. Every call is bounded by Options::timeout_ms. Errors are api::Status as the server
// sent them; when there was no answer the Status says so (see is_connection_error).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "libs/api/meta/status.h"
#include "libs/client/codec.h"
#include "libs/client/resource.h"
#include "libs/common/base/clock.h"
#include "libs/common/json/json.h"
#include "libs/http/client.h"

namespace coxswain::client {

using api::ApiResult;
using api::Status;

// No answer from the server: refused, reset, timed out. The outcome of a write is then unknown.
bool is_connection_error(const Status& status);
bool is_not_found(const Status& status);       // 404 with reason NotFound
bool is_conflict(const Status& status);        // 409 Conflict (stale resourceVersion)
bool is_already_exists(const Status& status);  // 409 AlreadyExists
bool is_expired(const Status& status);         // 410: relist
// 403 because the namespace is being deleted: creating again does not help.
bool is_namespace_terminating(const Status& status);

enum class PatchType { kJson, kMerge, kStrategicMerge };

struct ListOptions {
  std::string label_selector;
  std::string field_selector;
  std::int64_t limit = 500;      // per page
  std::string resource_version;  // "" is the latest; "0" any
  std::string continue_token;    // only for list_page
  bool metadata_only = false;    // ask for PartialObjectMetadata
};

struct DeleteOptions {
  std::string propagation_policy;  // Orphan, Background, Foreground; "" is the kind's default
  std::optional<std::int64_t> grace_period_seconds;
  std::string precondition_uid;
  std::string precondition_resource_version;
};

// One page of a list.
struct ListPage {
  std::vector<json::Value> items;
  std::string resource_version;
  std::string continue_token;  // "" at the end
};

class ApiClient {
 public:
  struct Options {
    std::int64_t timeout_ms = 30'000;
    double qps = 0;  // mean rate of requests, watches excepted; 0: no limit
    int burst = 50;
    // For from_kubeconfig: several servers of the cluster instead of the file's one (failover.h). Each
    // "https://HOST:PORT".
    std::vector<std::string> servers;
  };

  ApiClient(std::shared_ptr<http::Client> transport, Options options, Clock& clock = system_clock());
  // Reads server, CA and credentials of the current context.
  static Result<std::shared_ptr<ApiClient>> from_kubeconfig(const std::string& path,
                                                            const std::string& user_agent, Options options);
  static Result<std::shared_ptr<ApiClient>> from_kubeconfig(const std::string& path,
                                                            const std::string& user_agent) {
    return from_kubeconfig(path, user_agent, Options());
  }

  const std::shared_ptr<http::Client>& transport() const { return transport_; }

  // --- Typed -----------------------------------------------------------------------------------
  template <typename T>
  ApiResult<T> get(std::string_view ns, std::string_view name) {
    return typed<T>(get_json(resource_of<T>(), ns, name));
  }
  // All pages. Empty ns: all namespaces.
  template <typename T>
  ApiResult<std::vector<T>> list(std::string_view ns, const ListOptions& options = {}) {
    std::vector<T> out;
    auto status =
        for_each(resource_of<T>(), ns, options, [&](json::Value item) { out.push_back(decode<T>(item)); });
    if (!status.ok()) return std::move(status).error();
    return out;
  }
  // Into object.metadata.namespace_; metadata.generateName is honoured.
  template <typename T>
  ApiResult<T> create(const T& object) {
    return typed<T>(create_json(resource_of<T>(), object.metadata.namespace_, encode(object)));
  }
  // PUT; a set metadata.resourceVersion is the precondition.
  template <typename T>
  ApiResult<T> update(const T& object, std::string_view subresource = {}) {
    return typed<T>(update_json(resource_of<T>(), object.metadata.namespace_, object.metadata.name,
                                encode(object), subresource));
  }
  template <typename T>
  ApiResult<T> patch(std::string_view ns, std::string_view name, PatchType type, const json::Value& body,
                     std::string_view subresource = {}) {
    return typed<T>(patch_json(resource_of<T>(), ns, name, type, body, subresource));
  }
  template <typename T>
  ApiResult<void> remove(std::string_view ns, std::string_view name, const DeleteOptions& options = {}) {
    return remove_json(resource_of<T>(), ns, name, options);
  }
  // pods/binding: assigns the pod to the node. An empty uid is no precondition.
  ApiResult<void> bind(std::string_view ns, std::string_view pod, std::string_view node,
                       std::string_view uid = {});

  // --- Untyped ---------------------------------------------------------------------------------
  ApiResult<json::Value> get_json(const ResourceInfo& resource, std::string_view ns, std::string_view name);
  ApiResult<json::Value> create_json(const ResourceInfo& resource, std::string_view ns, json::Value object,
                                     std::string_view name = {}, std::string_view subresource = {});
  ApiResult<json::Value> update_json(const ResourceInfo& resource, std::string_view ns, std::string_view name,
                                     json::Value object, std::string_view subresource = {});
  ApiResult<json::Value> patch_json(const ResourceInfo& resource, std::string_view ns, std::string_view name,
                                    PatchType type, const json::Value& body,
                                    std::string_view subresource = {});
  ApiResult<void> remove_json(const ResourceInfo& resource, std::string_view ns, std::string_view name,
                              const DeleteOptions& options = {});
  ApiResult<ListPage> list_page(const ResourceInfo& resource, std::string_view ns,
                                const ListOptions& options);
  // Calls `take` for every item of every page; the answer is the list's resourceVersion.
  ApiResult<std::string> for_each(const ResourceInfo& resource, std::string_view ns, ListOptions options,
                                  const std::function<void(json::Value)>& take);

  // Any path; the body is JSON unless `content_type` says otherwise. 2xx answers are parsed (null when
  // empty); others become a Status.
  ApiResult<json::Value> raw(std::string_view method, std::string target, std::string body = {},
                             std::string_view content_type = "application/json",
                             std::string_view accept = {});

  // A watch: lines of the stream, one JSON document each, until the server ends it (ok), `on_line`
  // returns false (ok), `stop` (ok) or an error.
  ApiResult<void> stream_lines(std::string target, std::string_view accept, std::int64_t timeout_ms,
                               const std::function<bool(std::string_view)>& on_line, std::stop_token stop);

 private:
  template <typename T>
  static ApiResult<T> typed(ApiResult<json::Value> answer) {
    if (!answer.ok()) return std::move(answer).error();
    return decode<T>(*answer);
  }
  void wait_for_token();

  const std::shared_ptr<http::Client> transport_;
  const Options options_;
  Clock& clock_;
  std::mutex mutex_;
  double tokens_;             // guarded by mutex_
  std::int64_t refilled_ms_;  // guarded by mutex_
};

// "?a=b&c=d" with encoding; skips empty values. "" when there are none.
std::string make_query(const std::vector<std::pair<std::string_view, std::string>>& parameters);

}  // namespace coxswain::client
