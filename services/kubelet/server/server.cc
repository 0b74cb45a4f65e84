#include "services/kubelet/server/server.h"
#include "services/kubelet/core/task_group.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <thread>

#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
#include "libs/common/json/json.h"
#include "services/kubelet/server/log_query.h"

namespace coxswain::kubelet {
namespace {

constexpr int kMaxStreams = 128;
constexpr std::size_t kMaxQueuedBytes = 1 << 20;  // per stream, towards a slow reader

void answer(http::Exchange& exchange, int status, std::string text,
            std::string type = "text/plain; charset=utf-8") {
  http::Response response;
  response.status = status;
  response.headers = {{"Content-Type", std::move(type)}};
  response.body = {http::Chunk::of(std::move(text))};
  exchange.respond(std::move(response));
}

class ServerImpl : public KubeletServer {
 public:
  ServerImpl(PodManager& pods, Runtime& runtime) : pods_(pods), runtime_(runtime) {}
  ~ServerImpl() override { stop(); }

  Result<void> start(const ServerSettings& settings) {
    http::ServerOptions options;
    options.address = settings.address;
    options.port = settings.port;
    options.tls = settings.tls;
    options.tls.require_client_certificate = true;
    options.io_threads = 1;
    COX_ASSIGN_OR_RETURN(
        server_, http::serve(options, [this](std::shared_ptr<http::Exchange> e) { handle(std::move(e)); }));
    return {};
  }
  std::uint16_t port() const override { return server_->port(); }
  void stop() override {
    stop_.request_stop();
    if (server_) server_->shutdown(500);
    streams_.wait();
    server_.reset();
  }

 private:
  void handle(std::shared_ptr<http::Exchange> exchange) {
    const http::Request& request = exchange->request();
    if (request.method != "GET") return answer(*exchange, 405, "only GET is served here\n");
    if (request.path == "/healthz") return answer(*exchange, 200, "ok");
    if (request.path == "/pods") return list_pods(*exchange);
    const auto parts = split(request.path, '/');
    if (parts.size() == 5 && parts[1] == "containerLogs") {
      if (streams_.running() >= kMaxStreams) return answer(*exchange, 429, "too many log streams\n");
      auto query = parse_log_query(request, system_clock().unix_ms());
      if (!query.ok()) return answer(*exchange, 400, query.error().message + "\n");
      streams_.run([this, exchange, parts, query = *query] {
        stream_logs(exchange, parts[2], parts[3], parts[4], query);
      });
      return;
    }
    answer(*exchange, 404, "404 page not found\n");
  }

  void list_pods(http::Exchange& exchange) {
    json::Value items = json::Value::array();
    for (const auto& pod : pods_.pods()) items.push_back(to_json(*pod));
    answer(exchange, 200,
           json::write(
               json::Value::object({{"kind", "PodList"}, {"apiVersion", "v1"}, {"items", std::move(items)}})),
           "application/json");
  }

  // Waits until the reader has taken most of what is queued; false when it is gone.
  bool has_room(http::Exchange& exchange) {
    while (exchange.queued_bytes() > kMaxQueuedBytes) {
      if (exchange.closed() || stop_.stop_requested()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return !exchange.closed();
  }

  void stream_logs(const std::shared_ptr<http::Exchange>& exchange, const std::string& ns,
                   const std::string& pod, const std::string& container, const LogQuery& query) {
    const auto id = pods_.log_container(ns, pod, container, query.previous);
    if (!id.ok()) {
      answer(*exchange, id.error().code == ErrorCode::kNotFound ? 404 : 400, id.error().message + "\n");
      return;
    }
    std::stop_source ended;
    exchange->on_closed([ended]() mutable { ended.request_stop(); });
    const std::stop_callback chained(stop_.get_token(), [&] { ended.request_stop(); });
    exchange->begin(200, {{"Content-Type", "text/plain; charset=utf-8"}});
    std::int64_t left = query.limit_bytes;
    const auto sink = [&](std::string_view bytes) {
      if (query.limit_bytes >= 0) bytes = bytes.substr(0, static_cast<std::size_t>(left));
      left -= static_cast<std::int64_t>(bytes.size());
      if (!has_room(*exchange) || !exchange->write({http::Chunk::of(std::string(bytes))})) return false;
      return query.limit_bytes < 0 || left > 0;
    };
    const auto read = runtime_.logs(*id, query.options, sink, ended.get_token());
    if (!read.ok())
      exchange->write({http::Chunk::of("cannot read the logs: " + read.error().message + "\n")});
    exchange->end();
  }

  PodManager& pods_;
  Runtime& runtime_;
  std::stop_source stop_;
  TaskGroup streams_;
  std::unique_ptr<http::Server> server_;
};

Result<std::int64_t> number(const http::Request& request, const char* name) {
  const auto value = parse_int64(request.query_value(name));
  if (!value || *value < 0)
    return make_error(ErrorCode::kInvalidArgument, std::string(name) + " must be a number of at least 0");
  return *value;
}

}  // namespace

Result<LogQuery> parse_log_query(const http::Request& request, std::int64_t now_unix_ms) {
  LogQuery out;
  const auto flag = [&](const char* name) {
    const auto v = request.query_value(name);
    return v == "true" || v == "1";
  };
  out.options.follow = flag("follow");
  out.options.timestamps = flag("timestamps");
  out.previous = flag("previous");
  if (request.has_query("tailLines")) {
    COX_ASSIGN_OR_RETURN(out.options.tail, number(request, "tailLines"));
  }
  if (request.has_query("limitBytes")) {
    COX_ASSIGN_OR_RETURN(out.limit_bytes, number(request, "limitBytes"));
  }
  if (request.has_query("sinceSeconds")) {
    COX_ASSIGN_OR_RETURN(const std::int64_t seconds, number(request, "sinceSeconds"));
    out.options.since_unix_s = now_unix_ms / 1000 - seconds;
  }
  if (request.has_query("sinceTime")) {
    std::int64_t ms = 0;
    if (!parse_rfc3339(std::string(request.query_value("sinceTime")), &ms)) {
      return make_error(ErrorCode::kInvalidArgument, "sinceTime must be an RFC 3339 time");
    }
    out.options.since_unix_s = ms / 1000;
  }
  return out;
}

Result<std::unique_ptr<KubeletServer>> serve_kubelet(const ServerSettings& settings, PodManager& pods,
                                                     Runtime& runtime) {
  auto server = std::make_unique<ServerImpl>(pods, runtime);
  COX_RETURN_IF_ERROR(server->start(settings));
  return std::unique_ptr<KubeletServer>(std::move(server));
}

}  // namespace coxswain::kubelet
