// One try of a probe or hook: HTTP, TCP or a command in the container.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libs/http/client.h"
#include "services/kubelet/pods/prober.h"

namespace coxswain::kubelet {
namespace {

int resolve_port(const api::IntOrString& port, const v1::Container& container) {
  if (port.is_int) return port.int_value;
  for (const auto& p : container.ports) {
    if (p.name == port.string_value) return p.containerPort;
  }
  return std::atoi(port.string_value.c_str());
}

ProbeOutcome tcp_connect(const std::string& host, int port, std::int64_t timeout_ms) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const std::string where = "dial tcp " + host + ":" + std::to_string(port) + ": ";
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    return {false, where + "not an IPv4 address"};
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return {false, where + std::strerror(errno)};
  int error = 0;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      pollfd waiter{fd, POLLOUT, 0};
      socklen_t size = sizeof error;
      if (::poll(&waiter, 1, static_cast<int>(timeout_ms)) <= 0) {
        error = ETIMEDOUT;
      } else {
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
  }
  const linger hard{1, 0};  // no TIME_WAIT per probe
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(fd);
  if (error != 0) return {false, where + std::strerror(error)};
  return {true, ""};
}

}  // namespace

ProbeOutcome http_get(const v1::HTTPGetAction& action, const v1::Container& container, const std::string& ip,
                      std::int64_t timeout_ms) {
  const std::string host = action.host.empty() ? ip : action.host;
  const std::string scheme = action.scheme == "HTTPS" ? "https" : "http";
  http::ClientOptions options;
  options.base_url = scheme + "://" + host + ":" + std::to_string(resolve_port(action.port, container));
  options.insecure_skip_verify = true;  // as documented for probes: the certificate is not checked
  options.user_agent = "kube-probe/1.36";
  options.connect_timeout_ms = timeout_ms;
  auto client = http::make_client(options);
  if (!client.ok()) return {false, client.error().message};
  http::ClientRequest request;
  request.target = action.path.empty() ? "/" : action.path[0] == '/' ? action.path : "/" + action.path;
  for (const auto& h : action.httpHeaders) request.headers.emplace_back(h.name, h.value);
  request.headers.emplace_back("Connection", "close");
  request.timeout_ms = timeout_ms;
  request.max_body_bytes = 1 << 20;
  auto answer = (*client)->send(request);
  if (!answer.ok())
    return {false, "Get \"" + options.base_url + request.target + "\": " + answer.error().message};
  if (answer->status >= 200 && answer->status < 400) return {true, "", answer->status};
  return {false, "HTTP probe failed with statuscode: " + std::to_string(answer->status), answer->status};
}

ProbeOutcome run_probe_action(Runtime& runtime, const std::string& container_id,
                              const v1::Container& container, const v1::Probe& probe, const std::string& ip) {
  const std::int64_t timeout_ms = std::max(1, probe.timeoutSeconds) * 1000;
  if (probe.httpGet) return http_get(*probe.httpGet, container, ip, timeout_ms);
  if (probe.tcpSocket) {
    const std::string host = probe.tcpSocket->host.empty() ? ip : probe.tcpSocket->host;
    return tcp_connect(host, resolve_port(probe.tcpSocket->port, container), timeout_ms);
  }
  if (probe.exec) {
    auto ran = runtime.exec(container_id, probe.exec->command, timeout_ms);
    if (!ran.ok()) {
      const bool late = ran.error().code == ErrorCode::kDeadlineExceeded;
      return {false, late ? "command timed out after " + std::to_string(timeout_ms / 1000) + "s"
                          : ran.error().message};
    }
    return {ran->exit_code == 0, ran->output};
  }
  if (probe.grpc) return {false, "grpc probes are not supported by this kubelet"};
  return {true, ""};
}

ProbeOutcome run_hook(Runtime& runtime, const std::string& container_id, const v1::Container& container,
                      const v1::LifecycleHandler& hook, const std::string& ip, std::int64_t timeout_ms) {
  v1::Probe probe;
  probe.exec = hook.exec;
  probe.httpGet = hook.httpGet;
  probe.tcpSocket = hook.tcpSocket;
  probe.timeoutSeconds = static_cast<std::int32_t>(std::max<std::int64_t>(1, timeout_ms / 1000));
  ProbeOutcome outcome = run_probe_action(runtime, container_id, container, probe, ip);
  if (outcome.http_status != 0) outcome.success = true;
  return outcome;
}

}  // namespace coxswain::kubelet
