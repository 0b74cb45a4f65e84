#include "libs/client/daemon.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <thread>

#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"
#include "libs/common/metrics/metrics.h"
#include "libs/http/server.h"

namespace coxswain::client {
namespace {

void answer(Daemon& daemon, std::shared_ptr<http::Exchange> exchange) {
  const std::string& path = exchange->request().path;
  http::Response response;
  response.headers.emplace_back("Content-Type", std::string(metrics::kContentType));
  if (path == "/healthz" || path == "/livez" || path == "/readyz") {
    response.body.push_back(http::Chunk::of(daemon.health(&response.status)));
  } else if (path == "/metrics") {
    response.body.push_back(http::Chunk::of(daemon.metrics()));
  } else {
    response.status = 404;
    response.body.push_back(http::Chunk::literal("there is /healthz and /metrics\n"));
  }
  exchange->respond(std::move(response));
}

Result<std::unique_ptr<http::Server>> serve_health(Daemon& daemon, const std::string& address) {
  if (address.empty()) return std::unique_ptr<http::Server>();
  const std::size_t colon = address.rfind(':');
  const auto port =
      colon == std::string::npos ? std::nullopt : parse_uint64(std::string_view(address).substr(colon + 1));
  if (!port || *port > 65535)
    return make_error(ErrorCode::kInvalidArgument,
                      "'" + address + "' is not ADDRESS:PORT for --healthz-bind-address");
  http::ServerOptions options;
  options.address = address.substr(0, colon);
  options.port = static_cast<std::uint16_t>(*port);
  options.tls_enabled = false;
  options.io_threads = 1;
  options.max_connections = 100;
  return http::serve(
      options, [&daemon](std::shared_ptr<http::Exchange> exchange) { answer(daemon, std::move(exchange)); });
}

int fail(const DaemonOptions& options, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", options.name.c_str(), error.message.c_str());
  return 1;
}

// Waits for SIGTERM or SIGINT; a timer ends a body that does not come back.
void watch_signals(Daemon& daemon, const DaemonOptions& options, const sigset_t& signals,
                   std::stop_token done) {
  const timespec tick{0, 200'000'000};
  std::int64_t waited_ms = 0;
  while (!done.stop_requested()) {
    if (sigtimedwait(&signals, nullptr, &tick) > 0) {
      log_info("stopping", {{"daemon", options.name}});
      daemon.request_stop();
    }
    if (!daemon.stop_token().stop_requested()) continue;
    waited_ms += 200;
    if (waited_ms > options.stop_grace_ms) _exit(0);
  }
}

}  // namespace

Daemon::Registration Daemon::add_health_check(std::string name, std::function<std::string()> check) {
  std::lock_guard lock(mutex_);
  checks_.push_back({++next_id_, std::move(name), std::move(check)});
  return {*this, next_id_};
}

Daemon::Registration Daemon::add_metrics(std::function<void(std::string&)> write) {
  std::lock_guard lock(mutex_);
  metrics_.push_back({++next_id_, std::move(write)});
  return {*this, next_id_};
}

void Daemon::remove(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  std::erase_if(checks_, [id](const Check& check) { return check.id == id; });
  std::erase_if(metrics_, [id](const Writer& writer) { return writer.id == id; });
}

std::string Daemon::health(int* status) const {
  std::lock_guard lock(mutex_);
  std::string failures;
  for (const Check& check : checks_) {
    const std::string problem = check.problem();
    if (!problem.empty()) failures += check.name + ": " + problem + "\n";
  }
  *status = failures.empty() ? 200 : 500;
  return failures.empty() ? "ok" : failures;
}

std::string Daemon::metrics() const {
  std::string out;
  metrics::process(out);
  std::lock_guard lock(mutex_);
  for (const Writer& writer : metrics_) writer.write(out);
  return out;
}

int run_daemon(const DaemonOptions& options, const std::function<Result<void>(Daemon&)>& body) {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  mallopt(M_ARENA_MAX, 2);  // many threads that mostly wait: an arena each would only waste memory
  LogLevel level = LogLevel::kInfo;
  if (!parse_log_level(options.log_level, &level)) {
    return fail(options,
                make_error(ErrorCode::kInvalidArgument, "--log-level is debug, info, warning or error"));
  }
  set_log_level(level);
  Daemon daemon;
  auto server = serve_health(daemon, options.healthz_bind_address);
  if (!server.ok()) return fail(options, server.error());
  Result<void> result;
  {
    std::jthread watcher([&](std::stop_token done) { watch_signals(daemon, options, signals, done); });
    result = body(daemon);
  }
  if (*server != nullptr) (*server)->shutdown(0);
  return result.ok() ? 0 : fail(options, result.error());
}

void restart_process() {
  std::string text;
  if (FILE* f = std::fopen("/proc/self/cmdline", "r")) {
    char buffer[4096];
    for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof(buffer), f)) > 0;) text.append(buffer, n);
    std::fclose(f);
  }
  std::vector<char*> arguments;
  for (std::size_t at = 0; at < text.size(); at = text.find('\0', at) + 1) {
    arguments.push_back(text.data() + at);
    if (text.find('\0', at) == std::string::npos) break;
  }
  arguments.push_back(nullptr);
  // Not closed here and now: other threads still use them, and a late write must not hit a reused number.
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  execv("/proc/self/exe", arguments.data());
  _exit(1);
}

void wait_for_stop(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait(lock, stop, [] { return false; });
}

}  // namespace coxswain::client
