// Leader election on a coordination.k8s.io/v1 Lease, with the timings and the record that upstream
// components use, so that ours and theirs can stand in one election.
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
  std::int64_t lease_duration_ms = 15'000;
  std::int64_t renew_deadline_ms = 10'000;
  std::int64_t retry_period_ms = 2'000;
};

// The flags for its timings, named as upstream's; each daemon of an election has all of them. Values look
// like 15s.
struct ElectionFlag {
  const char* name;
  std::int64_t LeaderElectionOptions::*ms;
  const char* what;
};
inline constexpr ElectionFlag kElectionFlags[] = {
    {"--leader-elect-lease-duration", &LeaderElectionOptions::lease_duration_ms,
     "How long the others wait for a leader that is silent (default 15s)"},
    {"--leader-elect-renew-deadline", &LeaderElectionOptions::renew_deadline_ms,
     "How long a leader that cannot renew goes on (default 10s)"},
    {"--leader-elect-retry-period", &LeaderElectionOptions::retry_period_ms,
     "How often the Lease is renewed, or tried for (default 2s)"},
};
// kInvalidArgument when a leader could go on after somebody else may have taken the Lease.
Result<void> check_timings(const LeaderElectionOptions& options);

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
