// The parts of the benchmark. Each prints its rows, and is run in a process of its own with an empty
// directory `dir` (run_restart: with that of run_fill).
#pragma once

#include <string>

namespace coxswain::store::bench {

struct Settings {
  std::string dir;
  bool quick = false;  // a hundredth of it: does it run at all?
  bool etcd = false;   // it is installed: measure it, too
  double seconds() const { return quick ? 0.2 : 8; }
};

void run_one_member(const Settings& settings);
void run_group(const Settings& settings);
void run_small_updates(const Settings& settings);
void run_fill(const Settings& settings);
void run_restart(const Settings& settings);
void run_reads(const Settings& settings);

}  // namespace coxswain::store::bench
