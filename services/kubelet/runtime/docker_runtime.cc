#include "services/kubelet/runtime/docker_runtime.h"

#include <algorithm>

#include "libs/common/base/strings.h"
#include "libs/http/client.h"
#include "services/kubelet/runtime/docker_json.h"

namespace coxswain::kubelet {
namespace {

constexpr const char* kApi = "/v1.41";
constexpr std::int64_t kCallTimeoutMs = 120'000;  // a busy disk makes create and start slow
constexpr std::int64_t kPullTimeoutMs = 900'000;
constexpr std::size_t kExecOutputBytes = 10 * 1024;
constexpr std::size_t kPullLineBytes = 64 * 1024;

Error to_error(int status, std::string_view body) {
  const std::string message = docker_message(body);
  const ErrorCode code = status == 404   ? ErrorCode::kNotFound
                         : status == 409 ? ErrorCode::kConflict
                         : status == 400 ? ErrorCode::kInvalidArgument
                                         : ErrorCode::kInternal;
  return make_error(code,
                    message.empty() ? "the container runtime answered " + std::to_string(status) : message);
}

class DockerRuntime : public Runtime {
 public:
  DockerRuntime(std::unique_ptr<http::Client> client, std::string socket, std::string owner)
      : client_(std::move(client)), socket_(std::move(socket)), owner_(std::move(owner)) {}

  Result<RuntimeInfo> info() override {
    // Not /info: the Engine answers that one only when no pull is looking for its registry, which takes 20 s
    // without a name server. A node is not down because an image cannot be found.
    COX_ASSIGN_OR_RETURN(const json::Value body, call("GET", "/version", nullptr, 10'000));
    RuntimeInfo out;
    out.version = body.get_string("Version");
    out.operating_system = body.get_string("Os");
    out.kernel = body.get_string("KernelVersion");
    out.architecture = body.get_string("Arch");
    return out;
  }

  Result<std::vector<ObservedContainer>> list() override {
    COX_ASSIGN_OR_RETURN(const json::Value body,
                         call("GET", "/containers/json?all=1&filters=" + filters(false)));
    std::vector<ObservedContainer> out;
    if (body.is_array()) {
      for (const auto& item : body.as_array()) out.push_back(from_docker_summary(item));
    }
    return out;
  }

  Result<ObservedContainer> inspect(const std::string& id) override {
    COX_ASSIGN_OR_RETURN(const json::Value body, call("GET", "/containers/" + id + "/json"));
    return from_docker_inspect(body);
  }

  Result<std::string> create(const ContainerSpec& spec) override {
    json::Value body = docker_create_body(spec);
    body["Labels"].set(std::string(kLabelPrefix) + "owner", owner_);
    auto made = call("POST", "/containers/create?name=" + url_encode(spec.name), &body);
    if (made.ok()) return made->get_string("Id");
    if (made.error().code != ErrorCode::kConflict) return std::move(made).error();
    COX_ASSIGN_OR_RETURN(const json::Value existing,
                         call("GET", "/containers/" + url_encode(spec.name) + "/json"));
    return existing.get_string("Id");
  }

  Result<void> start(const std::string& id) override {
    return simple("POST", "/containers/" + id + "/start");
  }

  Result<void> signal(const std::string& id, const std::string& sig) override {
    auto sent = simple("POST", "/containers/" + id + "/kill?signal=" + url_encode(sig));
    // 409: not running, 404: gone. Both are what a signal is for.
    if (!sent.ok() &&
        (sent.error().code == ErrorCode::kConflict || sent.error().code == ErrorCode::kNotFound)) {
      return {};
    }
    return sent;
  }

  Result<void> remove(const std::string& id) override {
    auto removed = simple("DELETE", "/containers/" + id + "?force=1&v=1");
    // 409: a removal is in progress already.
    if (!removed.ok() &&
        (removed.error().code == ErrorCode::kNotFound || removed.error().code == ErrorCode::kConflict)) {
      return {};
    }
    return removed;
  }

  Result<ExecResult> exec(const std::string& id, const std::vector<std::string>& command,
                          std::int64_t timeout_ms) override {
    json::Value words = json::Value::array();
    for (const auto& word : command) words.push_back(word);
    const json::Value body =
        json::Value::object({{"AttachStdout", true}, {"AttachStderr", true}, {"Cmd", std::move(words)}});
    COX_ASSIGN_OR_RETURN(const json::Value made, call("POST", "/containers/" + id + "/exec", &body));
    const std::string exec_id = made.get_string("Id");
    http::ClientRequest request;
    request.method = "POST";
    request.target = kApi + std::string("/exec/") + exec_id + "/start";
    request.headers = {{"Content-Type", "application/json"}};
    request.body = R"({"Detach":false,"Tty":false})";
    request.timeout_ms = std::max<std::int64_t>(timeout_ms, 1);
    ExecResult out;
    StreamDemux demux(false);
    const auto take = [&](std::string_view bytes) {
      out.output += bytes.substr(0, kExecOutputBytes - std::min(kExecOutputBytes, out.output.size()));
      return true;
    };
    auto ran = client_->stream(request, {}, [&](std::string_view bytes) { return demux.feed(bytes, take); });
    if (!ran.ok()) return unreachable(std::move(ran).error());
    if (ran->status >= 300) return to_error(ran->status, ran->body);
    COX_ASSIGN_OR_RETURN(const json::Value state, call("GET", "/exec/" + exec_id + "/json"));
    out.exit_code = static_cast<int>(state.get_int("ExitCode"));
    return out;
  }

  Result<void> logs(const std::string& id, const LogOptions& options,
                    const std::function<bool(std::string_view)>& sink, std::stop_token stop) override {
    COX_ASSIGN_OR_RETURN(const json::Value state, call("GET", "/containers/" + id + "/json"));
    const json::Value* tty = state.find_path({"Config", "Tty"});
    StreamDemux demux(tty && tty->is_bool() && tty->as_bool());
    http::ClientRequest request;
    request.target = kApi + std::string("/containers/") + id + "/logs?stdout=1&stderr=1";
    if (options.follow) request.target += "&follow=1";
    if (options.timestamps) request.target += "&timestamps=1";
    if (options.tail >= 0) request.target += "&tail=" + std::to_string(options.tail);
    if (options.since_unix_s > 0) request.target += "&since=" + std::to_string(options.since_unix_s);
    request.timeout_ms = options.follow ? 0 : kCallTimeoutMs;
    auto read = client_->stream(
        request, {}, [&](std::string_view bytes) { return demux.feed(bytes, sink); }, stop);
    if (!read.ok()) {
      if (read.error().code == ErrorCode::kCancelled) return {};
      return unreachable(std::move(read).error());
    }
    if (read->status >= 300) return to_error(read->status, read->body);
    return {};
  }

  Result<void> watch(const std::function<void(const RuntimeEvent&)>& on_event,
                     std::stop_token stop) override {
    http::ClientRequest request;
    request.target = kApi + std::string("/events?filters=") + filters(true);
    request.timeout_ms = 0;
    std::string line;
    const auto take = [&](std::string_view bytes) {
      line += bytes;
      for (std::size_t end = line.find('\n'); end != std::string::npos; end = line.find('\n')) {
        report(line.substr(0, end), on_event);
        line.erase(0, end + 1);
      }
      return line.size() < kPullLineBytes * 16;
    };
    auto read = client_->stream(request, {}, take, stop);
    if (!read.ok()) return unreachable(std::move(read).error());
    if (read->status >= 300) return to_error(read->status, read->body);
    return {};
  }

  Result<std::optional<ImageInfo>> find_image(const std::string& reference) override {
    auto body = call("GET", "/images/" + reference + "/json");
    if (body.ok()) return std::optional<ImageInfo>(from_docker_image(*body));
    if (body.error().code == ErrorCode::kNotFound) return std::optional<ImageInfo>();
    return std::move(body).error();
  }

  Result<void> pull(const std::string& reference, const std::string& auth_base64) override {
    // Without a tag Docker would pull every tag of the repository.
    const auto slash = reference.rfind('/');
    const bool tagged =
        reference.find_first_of(":@", slash == std::string::npos ? 0 : slash) != std::string::npos;
    http::ClientRequest request;
    request.method = "POST";
    request.target = kApi + std::string("/images/create?fromImage=") +
                     url_encode(tagged ? reference : reference + ":latest");
    if (!auth_base64.empty()) request.headers = {{"X-Registry-Auth", auth_base64}};
    request.timeout_ms = kPullTimeoutMs;
    std::string line;
    std::string error;
    const auto finish_line = [&] {
      if (auto parsed = json::parse(line); parsed.ok() && parsed->find("error"))
        error = parsed->get_string("error");
      line.clear();
    };
    const auto take = [&](std::string_view bytes) {
      for (const char c : bytes) {
        if (c == '\n') {
          finish_line();
        } else if (line.size() < kPullLineBytes) {
          line += c;
        }
      }
      return true;
    };
    auto pulled = client_->stream(request, {}, take);
    if (!pulled.ok()) return unreachable(std::move(pulled).error());
    if (pulled->status >= 300) return to_error(pulled->status, pulled->body);
    finish_line();
    if (!error.empty()) return make_error(ErrorCode::kUnavailable, error);
    return {};
  }

  Result<void> load_image(const std::string& tar) override {
    http::ClientRequest request;
    request.method = "POST";
    request.target = kApi + std::string("/images/load?quiet=1");
    request.headers = {{"Content-Type", "application/x-tar"}};
    request.body = tar;
    request.timeout_ms = kCallTimeoutMs;
    auto loaded = client_->send(request);
    if (!loaded.ok()) return unreachable(std::move(loaded).error());
    if (loaded->status >= 300) return to_error(loaded->status, loaded->body);
    if (loaded->body.find("\"error\"") != std::string::npos) {
      return make_error(ErrorCode::kInvalidArgument,
                        "the container runtime refused the image: " + loaded->body);
    }
    return {};
  }

  Result<std::vector<ImageInfo>> images() override {
    COX_ASSIGN_OR_RETURN(const json::Value body, call("GET", "/images/json"));
    std::vector<ImageInfo> out;
    if (body.is_array()) {
      for (const auto& item : body.as_array()) out.push_back(from_docker_image(item));
    }
    return out;
  }

  Result<void> ensure_network(const NetworkSpec& network) override {
    auto existing = call("GET", "/networks/" + url_encode(network.name));
    if (existing.ok()) {
      const json::Value* configs = existing->find_path({"IPAM", "Config"});
      const bool same = configs && configs->is_array() && !configs->as_array().empty() &&
                        configs->as_array().front().get_string("Subnet") == network.subnet;
      if (same) return {};
      // The node got another podCIDR. Docker refuses while containers use the network: say so.
      COX_RETURN_IF_ERROR(simple("DELETE", "/networks/" + url_encode(network.name)));
    } else if (existing.error().code != ErrorCode::kNotFound) {
      return std::move(existing).error();
    }
    const json::Value body = json::Value::object({
        {"Name", network.name},
        {"CheckDuplicate", true},
        {"Driver", "bridge"},
        {"IPAM", json::Value::object(
                     {{"Driver", "default"},
                      {"Config", json::Value::array({json::Value::object(
                                     {{"Subnet", network.subnet}, {"Gateway", network.gateway}})})}})},
        {"Options", json::Value::object({{"com.docker.network.bridge.name", network.bridge},
                                         {"com.docker.network.bridge.enable_ip_masquerade", "false"}})},
        {"Labels", json::Value::object({{std::string(kLabelPrefix) + "owner", owner_}})},
    });
    auto made = call("POST", "/networks/create", &body);
    if (!made.ok() && made.error().code != ErrorCode::kConflict) return std::move(made).error();
    return {};
  }

 private:
  std::string filters(bool events) const {
    json::Value f =
        json::Value::object({{"label", json::Value::array({std::string(kLabelPrefix) + "owner=" + owner_})}});
    if (events) {
      f.set("type", json::Value::array({"container"}));
      f.set("event", json::Value::array({"die", "destroy", "oom", "start"}));
    }
    return url_encode(json::write(f));
  }

  Error unreachable(Error error) const {
    if (error.code != ErrorCode::kUnavailable && error.code != ErrorCode::kIo) return error;
    return make_error(ErrorCode::kUnavailable,
                      "cannot reach the container runtime at " + socket_ +
                          ": start dockerd or pass its socket with --docker-socket (" + error.message + ")");
  }

  Result<json::Value> call(const std::string& method, const std::string& path,
                           const json::Value* body = nullptr, std::int64_t timeout_ms = kCallTimeoutMs) {
    http::ClientRequest request;
    request.method = method;
    request.target = kApi + path;
    request.timeout_ms = timeout_ms;
    if (body) {
      request.headers = {{"Content-Type", "application/json"}};
      request.body = json::write(*body);
    }
    auto answer = client_->send(request);
    if (!answer.ok()) return unreachable(std::move(answer).error());
    if (answer->status >= 400) return to_error(answer->status, answer->body);
    if (answer->body.empty()) return json::Value();
    return json::parse(answer->body);
  }

  Result<void> simple(const std::string& method, const std::string& path) {
    auto answer = call(method, path);
    if (!answer.ok()) return std::move(answer).error();
    return {};
  }

  static void report(const std::string& line, const std::function<void(const RuntimeEvent&)>& on_event) {
    auto parsed = json::parse(line);
    if (!parsed.ok()) return;
    RuntimeEvent event;
    event.action = parsed->get_string("Action");
    event.id = parsed->get_string_path({"Actor", "ID"});
    if (const json::Value* attributes = parsed->find_path({"Actor", "Attributes"})) {
      event.pod_uid = attributes->get_string(std::string(kLabelPrefix) + "pod-uid");
    }
    if (!event.id.empty()) on_event(event);
  }

  const std::unique_ptr<http::Client> client_;
  const std::string socket_;
  const std::string owner_;
};

}  // namespace

Result<std::unique_ptr<Runtime>> make_docker_runtime(const std::string& socket_path,
                                                     const std::string& owner) {
  http::ClientOptions options;
  options.base_url = "http://localhost";
  options.unix_socket = socket_path;
  options.user_agent = "coxswain-kubelet";
  COX_ASSIGN_OR_RETURN(auto client, http::make_client(options));
  return std::unique_ptr<Runtime>(std::make_unique<DockerRuntime>(std::move(client), socket_path, owner));
}

}  // namespace coxswain::kubelet
