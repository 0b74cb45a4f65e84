// pods/log: streams a container's log from its kubelet, with back-pressure. One thread per open log:
// the client library blocks; the number is bounded.
#include "libs/common/base/strings.h"
#include "libs/http/client.h"
#include "libs/registry/blocking_stream.h"
#include "libs/registry/core.h"
#include "libs/registry/object.h"

namespace coxswain::registry {
namespace {

constexpr std::int64_t kMaxLogStreams = 256;

std::string names_of(const json::Value& pod, std::string_view list) {
  std::string text;
  const json::Value* containers = pod.find_path({"spec", list});
  if (containers == nullptr || !containers->is_array()) return text;
  for (const json::Value& container : containers->as_array()) {
    if (!text.empty()) text += ' ';
    text += container.get_string("name");
  }
  return text;
}

bool has_container(const json::Value& pod, const std::string& name) {
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"}) {
    const std::vector<std::string> names = split(names_of(pod, list), ' ');
    for (const std::string& candidate : names) {
      if (candidate == name) return true;
    }
  }
  return false;
}

api::ApiResult<std::string> choose_container(const Call& call, const json::Value& pod) {
  const std::string asked(call.request().query_value("container"));
  const std::string& name = call.info.name;
  const std::string init = names_of(pod, "initContainers");
  const std::string all = names_of(pod, "containers");
  if (!asked.empty()) {
    if (has_container(pod, asked)) return asked;
    return api::bad_request("container " + asked + " is not valid for pod " + name);
  }
  if (all.find(' ') == std::string::npos && init.empty()) return all;
  std::string message =
      "a container name must be specified for pod " + name + ", choose one of: [" + all + "]";
  if (!init.empty()) message += " or one of the init containers: [" + init + "]";
  return api::bad_request(message);
}

struct NodeAddress {
  std::string host;
  std::int64_t port = 10250;
};

api::ApiResult<NodeAddress> find_node(const Call& call, const std::string& node_name) {
  const Result<store::EntryPtr> entry = call.core.store.get("/registry/core/nodes/" + node_name);
  if (!entry.ok()) return api::not_found({"", "nodes"}, node_name);
  const json::Value node = decode_stored(**entry);
  NodeAddress address;
  const json::Value* addresses = node.find_path({"status", "addresses"});
  for (const char* type : {"InternalIP", "ExternalIP", "Hostname"}) {
    if (addresses == nullptr || !addresses->is_array() || !address.host.empty()) break;
    for (const json::Value& item : addresses->as_array()) {
      if (item.get_string("type") == type) address.host = item.get_string("address");
    }
  }
  if (address.host.empty()) return api::internal_error("node " + node_name + " has no address yet");
  if (const json::Value* endpoint = node.find_path({"status", "daemonEndpoints", "kubeletEndpoint"})) {
    address.port = endpoint->get_int("Port", address.port);
  }
  return address;
}

std::string log_target(const Call& call, const std::string& container) {
  std::string target = "/containerLogs/" + url_encode(call.info.ns) + "/" + url_encode(call.info.name) + "/" +
                       url_encode(container);
  char separator = '?';
  for (const char* key : {"follow", "tailLines", "sinceSeconds", "sinceTime", "timestamps", "previous",
                          "limitBytes", "stream"}) {
    if (!call.request().has_query(key)) continue;
    target += separator;
    target += std::string(key) + "=" + url_encode(call.request().query_value(key));
    separator = '&';
  }
  return target;
}

// Shared between the thread that reads from the kubelet and the connection.
struct LogStream : BlockingStream {
  explicit LogStream(CallPtr c) : BlockingStream(c->exchange), call(std::move(c)) {}
  const CallPtr call;
  http::ClientOptions options;
  std::string target;
  bool follow = false;
};

void pump_log(const std::shared_ptr<LogStream>& stream) {
  const CallPtr& call = stream->call;
  Result<std::unique_ptr<http::Client>> client = http::make_client(stream->options);
  if (!client.ok()) return respond_status(call, api::internal_error(client.error().message));
  http::ClientRequest request;
  request.target = stream->target;
  request.timeout_ms = stream->follow ? 0 : 300'000;
  bool begun = false;
  const auto begin = [&] {
    if (begun) return;
    begun = true;
    call->exchange->begin(200, {{"Content-Type", "text/plain"}});
  };
  Result<http::ClientResponse> response = (*client)->stream(
      request,
      [&](int status, const http::Headers&) {
        if (status < 300) begin();
      },
      [&](std::string_view data) {
        begin();
        return stream->push(std::string(data));
      },
      stream->token());
  if (begun) {
    call->exchange->end();
    return;
  }
  if (!response.ok()) {
    return respond_status(call, api::internal_error("Get \"" + stream->options.base_url + stream->target +
                                                    "\": " + response.error().message));
  }
  if (response->status >= 300) {
    const std::string why(trim(response->body));
    if (const Result<json::Value> parsed = json::parse(why);
        parsed.ok() && parsed->get_string("kind") == "Status") {
      return respond_status(call, api::Status::from_json(*parsed));
    }
    return respond_status(call, response->status == 404  ? api::not_found({"", "pods"}, call->info.name)
                                : response->status < 500 ? api::bad_request(why)
                                                         : api::internal_error(why));
  }
  begin();
  call->exchange->end();
}

}  // namespace

void handle_log(const CallPtr& call) {
  const Result<store::EntryPtr> entry = call->core.store.get(call->key());
  if (!entry.ok()) return respond_status(call, api::not_found(call->group_resource(), call->info.name));
  const json::Value pod = decode_stored(**entry);
  api::ApiResult<std::string> container = choose_container(*call, pod);
  if (!container.ok()) return respond_status(call, container.error());
  const std::string node_name = pod.get_string_path({"spec", "nodeName"});
  if (node_name.empty()) {  // not scheduled yet: an empty log, as Kubernetes says
    http::Response response;
    response.headers.emplace_back("Content-Type", "text/plain");
    return respond_raw(call, std::move(response));
  }
  api::ApiResult<NodeAddress> node = find_node(*call, node_name);
  if (!node.ok()) return respond_status(call, node.error());
  if (call->core.log_streams.fetch_add(1) >= kMaxLogStreams) {
    call->core.log_streams.fetch_sub(1);
    return respond_status(call, api::too_many_requests("too many open logs; try again later", 1));
  }
  auto stream = std::make_shared<LogStream>(call);
  stream->options = call->core.options.kubelet_client;
  const bool ipv6 = node->host.find(':') != std::string::npos;
  stream->options.base_url =
      "https://" + (ipv6 ? "[" + node->host + "]" : node->host) + ":" + std::to_string(node->port);
  stream->target = log_target(*call, *container);
  stream->follow = query_bool(call->request(), "follow");
  stream->watch_client();
  call->core.log_threads.run(
      [stream] {
        pump_log(stream);
        stream->call->core.log_streams.fetch_sub(1);
      },
      [stream] { stream->cancel(); });
}

}  // namespace coxswain::registry
