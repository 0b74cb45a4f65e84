// Leader election on a coordination.k8s.io/v1 Lease, with the record that upstream components use, so that
// ours and theirs can stand in one election.
//
// The times by default: a leader that dies is followed within 15 s. Whoever waits sees its last renewal at
// the latest a retry period later, waits for the lease's duration from there, and then needs two calls of a
// retry period at most: 1.5 + 10 + 2 * 1.5. Upstream's 15 s, 10 s and 2 s can be asked for.
//
// Clocks of candidates are never compared: a candidate measures, on its own monotonic clock, how long
// the record has not changed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "libs/client/api_client.h"
#include "libs/common/base/clock.h"

namespace coxswain::client {

struct LeaderElectionOptions {
  std::string ns = "kube-system";
  std::string name;      // of the Lease, e.g. "kube-scheduler"
  std::string identity;  // unique; "" becomes <hostname>_<uuid>, kept across restart_process()
  std::int64_t lease_duration_ms = 10'000;
  std::int64_t renew_deadline_ms = 6'000;
  std::int64_t retry_period_ms = 1'500;
};

// The times as they are written on a command line.
struct LeaderElectionFlags {
  std::string lease_duration = "10s";
  std::string renew_deadline = "6s";
  std::string retry_period = "1500ms";
};

// Adds upstream's flags to a CLI::App.
template <typename App>
void add_leader_election_flags(App& app, LeaderElectionFlags& flags) {
  app.add_option("--leader-elect-lease-duration", flags.lease_duration,
                 "How long others wait for a leader that is silent")
      ->capture_default_str();
  app.add_option("--leader-elect-renew-deadline", flags.renew_deadline,
                 "After how long without a renewal a leader gives up")
      ->capture_default_str();
  app.add_option("--leader-elect-retry-period", flags.retry_period,
                 "Between two attempts to take or to renew")
      ->capture_default_str();
}

// kInvalidArgument with the flag's name when a time is none, or when two could lead at once: the renew
// deadline and two calls of a retry period must be shorter than the lease's duration, which is in whole
// seconds.
Result<LeaderElectionOptions> leader_election_options(std::string lease, const LeaderElectionFlags& flags);

class LeaderElector {
 public:
  LeaderElector(ApiClient& client, LeaderElectionOptions options, Clock& clock = system_clock());

  // Waits for leadership, then runs `lead` on this thread while another keeps the lease renewed. Its
  // stop token fires on `stop` and on loss. Afterwards: released the lease and true, or lost it and
  // false: the caller must exit at once, somebody else leads.
  bool run(std::stop_token stop, const std::function<void(std::stop_token)>& lead);

  // One attempt to take or renew; true while this candidate holds the lease. For run() and tests.
  bool try_acquire_or_renew();
  void release();
  // Whether this candidate leads, as Prometheus text. Any thread.
  void write_metrics(std::string& out) const;
  const std::string& identity() const { return options_.identity; }

 private:
  struct Record {
    std::string holder;
    std::int64_t duration_seconds = 0;
    std::string acquire_time;
    std::string renew_time;
    std::int64_t transitions = 0;
    bool operator==(const Record&) const = default;
  };
  // Of the holder's, as observed here; <= 0: it may be taken.
  std::int64_t lease_left_ms() const;
  // How long a candidate waits before its next attempt: no longer than the lease still lasts.
  std::int64_t retry_after_ms() const;
  static Record read(const json::Value& lease);
  json::Value write(const Record& record, const json::Value& lease) const;

  ApiClient client_;  // own: its calls are as short as the retry period, see run()
  LeaderElectionOptions options_;
  Clock& clock_;
  std::atomic<bool> leads_{false};
  Record observed_;  // used by one thread at a time
  std::optional<std::int64_t> observed_ms_;
};

}  // namespace coxswain::client
