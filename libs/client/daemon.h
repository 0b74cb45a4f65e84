// What every daemon does around its own work: signals, /healthz and /metrics, log level, exit code.
//
//   return run_daemon({.name = "scheduler", .healthz_bind_address = "127.0.0.1:10259"},
//                     [&](Daemon& daemon) { ...; return Result<void>(); });
#pragma once

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::client {

struct DaemonOptions {
  std::string name;  // "scheduler"; in messages
  std::string version;
  std::string log_level = "info";
  std::string healthz_bind_address;     // "127.0.0.1:10259"; "" serves nothing
  std::int64_t stop_grace_ms = 10'000;  // after a signal; a body that takes longer is cut off, exit 0
};

// Thread-safe.
class Daemon {
 public:
  // Fires on SIGTERM or SIGINT, or when the body asks.
  std::stop_token stop_token() const { return stop_.get_token(); }
  void request_stop() { stop_.request_stop(); }
  // /healthz answers 500 with the text while a check returns one; "" is healthy.
  void add_health_check(std::string name, std::function<std::string()> check);
  // Appends Prometheus text to /metrics. Must not block.
  void add_metrics(std::function<void(std::string&)> write);

  std::string health(int* status) const;
  std::string metrics() const;

 private:
  std::stop_source stop_;
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, std::function<std::string()>>> checks_;  // guarded by mutex_
  std::vector<std::function<void(std::string&)>> metrics_;                    // guarded by mutex_
};

// Call from main with no other thread running: it blocks SIGTERM and SIGINT for all threads to come
// and ignores SIGPIPE. The answer is main's exit code: 0, or 1 after an error, which is printed as one line
// on stderr.
int run_daemon(const DaemonOptions& options, const std::function<Result<void>(Daemon&)>& body);

// Replaces the process by a fresh one of the same program, arguments and pid: for a daemon that lost its
// lease (e.g. in a long outage of the api-server) and must drop all it was doing at once, yet shall stand
// by again without a supervisor. Every descriptor above stderr is closed.
[[noreturn]] void restart_process();

// Blocks until a stop is requested.
void wait_for_stop(std::stop_token stop);

}  // namespace coxswain::client
