// The flags of every daemon that takes part in a leader election; upstream's names. For main.cc files, which
// link CLI11.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <CLI/CLI.hpp>

#include "libs/client/leader_elector.h"

namespace coxswain::client {

// Durations look like 15s. Whether they fit together is for check_timings() to say.
inline void add_election_flags(CLI::App& app, LeaderElectionOptions& options) {
  const auto add = [&app](const char* name, std::int64_t& ms, const char* what) {
    app.add_option(name, ms, what)
        ->transform(
            CLI::AsNumberWithUnit(std::map<std::string, std::int64_t>{{"ms", 1}, {"s", 1000}, {"m", 60'000}},
                                  CLI::AsNumberWithUnit::UNIT_REQUIRED, "DURATION"));
  };
  add("--leader-elect-lease-duration", options.lease_duration_ms,
      "How long the others wait for a leader that is silent (default 15s)");
  add("--leader-elect-renew-deadline", options.renew_deadline_ms,
      "How long a leader that cannot renew goes on (default 10s)");
  add("--leader-elect-retry-period", options.retry_period_ms,
      "How often the Lease is renewed, or tried for (default 2s)");
}

}  // namespace coxswain::client
