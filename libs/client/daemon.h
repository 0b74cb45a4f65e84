// What every daemon does around its own work: signals, /healthz and /metrics, log level, exit code.
//
//   return run_daemon({.name = "scheduler", .healthz_bind_address = "127.0.0.1:10259"},
//                     [&](Daemon& daemon) { ...; return Result<void>(); });
#pragma once

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
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
  // While it lives, what was added is asked. Keep it no longer than what the function refers to.
  class [[nodiscard]] Registration {
   public:
    Registration(Daemon& daemon, std::uint64_t id) : daemon_(&daemon), id_(id) {}
    Registration(Registration&& other) noexcept
        : daemon_(std::exchange(other.daemon_, nullptr)), id_(other.id_) {}
    Registration& operator=(Registration&&) = delete;
    ~Registration() {
      if (daemon_ != nullptr) daemon_->remove(id_);
    }

   private:
    Daemon* daemon_;
    std::uint64_t id_;
  };

  // Fires on SIGTERM or SIGINT, or when the body asks.
  std::stop_token stop_token() const { return stop_.get_token(); }
  void request_stop() { stop_.request_stop(); }
  // /healthz answers 500 with the text while a check returns one; "" is healthy.
  Registration add_health_check(std::string name, std::function<std::string()> check);
  // Appends Prometheus text to /metrics. Must not block.
  Registration add_metrics(std::function<void(std::string&)> write);

  std::string health(int* status) const;
  std::string metrics() const;

 private:
  std::stop_source stop_;
  mutable std::mutex mutex_;
  struct Check {
    std::uint64_t id;
    std::string name;
    std::function<std::string()> problem;
  };
  struct Writer {
    std::uint64_t id;
    std::function<void(std::string&)> write;
  };
  void remove(std::uint64_t id);

  std::uint64_t next_id_ = 0;  // guarded by mutex_, like those below
  std::vector<Check> checks_;
  std::vector<Writer> metrics_;
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
