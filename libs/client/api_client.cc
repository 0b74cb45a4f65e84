#include "libs/client/api_client.h"

#include <algorithm>
#include <thread>

#include "libs/common/base/strings.h"

namespace coxswain::client {
namespace {

constexpr std::string_view kMetadataOnly =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
constexpr std::string_view kNoAnswer = "ConnectionError";  // Status::reason when there was no answer at all

Status from_transport(const Error& error) {
  Status status;
  status.code = error.code == ErrorCode::kDeadlineExceeded ? 504 : 503;
  status.reason = kNoAnswer;
  status.message = error.message;
  return status;
}

Status from_answer(const http::ClientResponse& response) {
  const auto parsed = json::parse(response.body);
  if (parsed.ok() && parsed->is_object()) {
    Status status = Status::from_json(*parsed);
    status.code = response.status;
    return status;
  }
  Status status;
  status.code = response.status;
  status.reason = response.status == 404 ? "NotFound" : "Unknown";
  status.message =
      "the server answered " + std::to_string(response.status) + ": " + response.body.substr(0, 200);
  return status;
}

const char* content_type_of(PatchType type) {
  switch (type) {
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kStrategicMerge:
      return "application/strategic-merge-patch+json";
  }
  return "";
}

// Items of a list answer carry no kind of their own in some servers; ours and decoders do not care.
ListPage page_of(json::Value answer) {
  ListPage page;
  page.resource_version = answer.get_string_path({"metadata", "resourceVersion"});
  page.continue_token = answer.get_string_path({"metadata", "continue"});
  if (json::Value* items = answer.find("items"); items != nullptr && items->is_array()) {
    page.items = std::move(items->as_array());
  }
  return page;
}

}  // namespace

bool is_connection_error(const Status& status) { return status.reason == kNoAnswer; }
bool is_not_found(const Status& status) { return status.code == 404 && status.reason == "NotFound"; }
bool is_conflict(const Status& status) { return status.code == 409 && status.reason == "Conflict"; }
bool is_already_exists(const Status& status) {
  return status.code == 409 && status.reason == "AlreadyExists";
}
bool is_expired(const Status& status) { return status.code == 410; }

bool is_namespace_terminating(const Status& status) {
  if (status.code != 403) return false;
  for (const api::StatusCause& cause : status.causes) {
    if (cause.reason == "NamespaceTerminating") return true;
  }
  return status.message.find("because it is being terminated") != std::string::npos;
}

std::string make_query(const std::vector<std::pair<std::string_view, std::string>>& parameters) {
  std::string out;
  for (const auto& [key, value] : parameters) {
    if (value.empty()) continue;
    out += out.empty() ? '?' : '&';
    out += std::string(key) + "=" + url_encode(value);
  }
  return out;
}

ApiClient::ApiClient(std::shared_ptr<http::Client> transport, Options options, Clock& clock)
    : transport_(std::move(transport)),
      options_(std::move(options)),
      clock_(clock),
      tokens_(options_.burst),
      refilled_ms_(clock.now_ms()) {}

// A token bucket: `burst` calls at once, `qps` a second over time.
void ApiClient::wait_for_token() {
  if (options_.qps <= 0) return;
  while (true) {
    double missing = 0;
    {
      std::lock_guard lock(mutex_);
      const std::int64_t now_ms = clock_.now_ms();
      tokens_ = std::min<double>(options_.burst,
                                 tokens_ + static_cast<double>(now_ms - refilled_ms_) * options_.qps / 1000);
      refilled_ms_ = now_ms;
      if (tokens_ >= 1) {
        tokens_ -= 1;
        return;
      }
      missing = 1 - tokens_;
    }
    std::this_thread::sleep_for(
        std::chrono::milliseconds(1 + static_cast<std::int64_t>(missing * 1000 / options_.qps)));
  }
}

ApiResult<json::Value> ApiClient::raw(std::string_view method, std::string target, std::string body,
                                      std::string_view content_type, std::string_view accept) {
  wait_for_token();
  http::ClientRequest request;
  request.method = method;
  request.target = std::move(target);
  if (!body.empty()) request.headers.emplace_back("Content-Type", std::string(content_type));
  request.headers.emplace_back("Accept", accept.empty() ? "application/json" : std::string(accept));
  request.body = std::move(body);
  request.timeout_ms = options_.timeout_ms;
  auto answer = transport_->send(request);
  if (!answer.ok()) return from_transport(answer.error());
  if (answer->status < 200 || answer->status >= 300) return from_answer(*answer);
  if (answer->body.empty()) return json::Value();
  json::ParseOptions options;
  options.max_values = 50'000'000;  // lists of a whole cluster
  auto parsed = json::parse(answer->body, options);
  if (!parsed.ok())
    return from_transport(
        make_error(ErrorCode::kUnavailable, "the server's answer is not JSON: " + parsed.error().message));
  return std::move(*parsed);
}

ApiResult<json::Value> ApiClient::get_json(const ResourceInfo& resource, std::string_view ns,
                                           std::string_view name) {
  return raw("GET", resource.path(ns, name));
}

ApiResult<json::Value> ApiClient::create_json(const ResourceInfo& resource, std::string_view ns,
                                              json::Value object, std::string_view name,
                                              std::string_view subresource) {
  return raw("POST", resource.path(ns, name, subresource), json::write(object));
}

ApiResult<json::Value> ApiClient::update_json(const ResourceInfo& resource, std::string_view ns,
                                              std::string_view name, json::Value object,
                                              std::string_view subresource) {
  return raw("PUT", resource.path(ns, name, subresource), json::write(object));
}

ApiResult<json::Value> ApiClient::patch_json(const ResourceInfo& resource, std::string_view ns,
                                             std::string_view name, PatchType type, const json::Value& body,
                                             std::string_view subresource) {
  return raw("PATCH", resource.path(ns, name, subresource), json::write(body), content_type_of(type));
}

ApiResult<void> ApiClient::remove_json(const ResourceInfo& resource, std::string_view ns,
                                       std::string_view name, const DeleteOptions& options) {
  json::Value body = json::Value::object({{"kind", "DeleteOptions"}, {"apiVersion", "v1"}});
  if (!options.propagation_policy.empty()) body.set("propagationPolicy", options.propagation_policy);
  if (options.grace_period_seconds)
    body.set("gracePeriodSeconds", json::Value(static_cast<long>(*options.grace_period_seconds)));
  if (!options.precondition_uid.empty()) body["preconditions"].set("uid", options.precondition_uid);
  if (!options.precondition_resource_version.empty()) {
    body["preconditions"].set("resourceVersion", options.precondition_resource_version);
  }
  auto answer = raw("DELETE", resource.path(ns, name), json::write(body));
  if (!answer.ok()) return std::move(answer).error();
  return {};
}

ApiResult<void> ApiClient::bind(std::string_view ns, std::string_view pod, std::string_view node,
                                std::string_view uid) {
  json::Value body = json::Value::object({{"apiVersion", "v1"}, {"kind", "Binding"}});
  body["metadata"] = json::Value::object({{"name", pod}, {"namespace", ns}});
  if (!uid.empty()) body["metadata"].set("uid", uid);
  body["target"] = json::Value::object({{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node}});
  static constexpr ResourceInfo kPods{"", "v1", "Pod", "pods", true};
  auto answer = create_json(kPods, ns, std::move(body), pod, "binding");
  if (!answer.ok()) return std::move(answer).error();
  return {};
}

ApiResult<ListPage> ApiClient::list_page(const ResourceInfo& resource, std::string_view ns,
                                         const ListOptions& options) {
  const std::string query =
      make_query({{"labelSelector", options.label_selector},
                  {"fieldSelector", options.field_selector},
                  {"limit", options.limit > 0 ? std::to_string(options.limit) : ""},
                  {"resourceVersion", options.continue_token.empty() ? options.resource_version : ""},
                  {"continue", options.continue_token}});
  auto answer = raw("GET", resource.path(ns) + query, {}, {},
                    options.metadata_only ? kMetadataOnly : std::string_view());
  if (!answer.ok()) return std::move(answer).error();
  return page_of(std::move(*answer));
}

ApiResult<std::string> ApiClient::for_each(const ResourceInfo& resource, std::string_view ns,
                                           ListOptions options,
                                           const std::function<void(json::Value)>& take) {
  while (true) {
    auto page = list_page(resource, ns, options);
    if (!page.ok()) return std::move(page).error();
    for (json::Value& item : page->items) take(std::move(item));
    if (page->continue_token.empty()) return page->resource_version;
    options.continue_token = page->continue_token;
  }
}

ApiResult<void> ApiClient::stream_lines(std::string target, std::string_view accept, std::int64_t timeout_ms,
                                        const std::function<bool(std::string_view)>& on_line,
                                        std::stop_token stop) {
  http::ClientRequest request;
  request.target = std::move(target);
  request.headers.emplace_back("Accept", accept.empty() ? "application/json" : std::string(accept));
  request.timeout_ms = timeout_ms;
  std::string pending;
  bool ended = false;
  const auto on_data = [&](std::string_view data) {
    while (!ended) {
      const std::size_t newline = data.find('\n');
      if (newline == std::string_view::npos) break;
      bool go_on = false;
      if (pending.empty()) {
        go_on = on_line(data.substr(0, newline));
      } else {
        pending.append(data.substr(0, newline));
        go_on = on_line(pending);
        pending.clear();
      }
      data.remove_prefix(newline + 1);
      if (!go_on) ended = true;
    }
    if (!ended) pending.append(data);
    return !ended;
  };
  auto answer = transport_->stream(
      request, [](int, const http::Headers&) {}, on_data, stop);
  if (stop.stop_requested() || ended) return {};
  if (!answer.ok()) return from_transport(answer.error());
  if (answer->status < 200 || answer->status >= 300) return from_answer(*answer);
  if (!pending.empty()) on_line(pending);
  return {};
}

}  // namespace coxswain::client
