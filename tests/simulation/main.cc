// Runs the simulation. Every run is one number; the same number gives the same run.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <CLI/CLI.hpp>

#include "libs/store/raft/mutants.h"
#include "tests/simulation/world.h"

namespace coxswain::simulation {
namespace {

std::uint64_t current_seed = 0;
const char* planted_bug = "";

extern "C" void on_abort(int) {
  char line[160];
  const int size =
      std::snprintf(line, sizeof line, "%s%sseed %llu: an assertion of the core failed\n", planted_bug,
                    *planted_bug != 0 ? ": " : "", static_cast<unsigned long long>(current_seed));
  (void)!write(STDOUT_FILENO, line, static_cast<std::size_t>(size));
  _exit(3);
}

void add(Summary* sum, const Summary& one) {
  sum->virtual_ms += one.virtual_ms;
  sum->events += one.events;
  sum->writes += one.writes;
  sum->reads += one.reads;
  sum->unknown += one.unknown;
  sum->crashes += one.crashes;
  sum->partitions += one.partitions;
  sum->changes += one.changes;
  sum->snapshots += one.snapshots;
  sum->watched += one.watched;
  sum->damages += one.damages;
  sum->lost += one.lost;
  sum->unrepairable += one.unrepairable;
}

int run_seeds(std::uint64_t from, std::uint64_t count, bool verbose, bool quiet) {
  std::signal(SIGABRT, on_abort);
  Summary sum;
  for (current_seed = from; current_seed < from + count; ++current_seed) {
    try {
      add(&sum, World(current_seed, verbose).run());
    } catch (const Violation& violation) {
      std::printf("%s%sseed %llu: %s\n", planted_bug, *planted_bug != 0 ? ": " : "",
                  static_cast<unsigned long long>(current_seed), violation.what());
      std::fflush(stdout);
      return 1;
    }
  }
  if (!quiet) {
    std::printf(
        "seeds %llu to %llu: no violation in %.0f s of virtual time: %zu events, %zu writes, %zu reads, "
        "%zu unknown, %zu crashes, %zu partitions, %zu membership changes, %zu snapshots, "
        "%zu watched, %zu damages, %zu members lost by that, %zu quorums\n",
        static_cast<unsigned long long>(from), static_cast<unsigned long long>(from + count - 1),
        static_cast<double>(sum.virtual_ms) / 1000, sum.events, sum.writes, sum.reads, sum.unknown,
        sum.crashes, sum.partitions, sum.changes, sum.snapshots, sum.watched, sum.damages, sum.lost,
        sum.unrepairable);
  }
  return 0;
}

int run_jobs(std::uint64_t from, std::uint64_t count, unsigned jobs) {
  const std::uint64_t share = (count + jobs - 1) / jobs;
  for (unsigned job = 0; job < jobs; ++job) {
    if (fork() != 0) continue;
    const int code = run_seeds(from + job * share, share, false, false);
    std::fflush(stdout);
    _exit(code);
  }
  int failed = 0;
  for (int status = 0; wait(&status) > 0;)
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) ++failed;
  return failed == 0 ? 0 : 1;
}

#ifdef COXSWAIN_MUTANTS
// In a process of its own, which prints one line: by which seed and which invariant it was found.
pid_t try_mutant(raft::Mutant mutant, std::uint64_t from, std::uint64_t count) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child != 0) return child;
  raft::plant(mutant);
  planted_bug = to_string(mutant);
  const bool found = run_seeds(from, count, false, true) != 0;
  if (!found)
    std::printf("%s: NOT FOUND in %llu seeds\n", planted_bug, static_cast<unsigned long long>(count));
  std::fflush(stdout);
  _exit(found ? 1 : 0);
}

// Every planted bug must be found.
int run_mutants(std::uint64_t from, std::uint64_t count, unsigned jobs, const std::string& only) {
  int missed = 0, tried = 0;
  unsigned running = 0;
  const auto reap = [&] {
    int status = 0;
    if (wait(&status) <= 0) return;
    --running;
    // A crash without a word is no finding.
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 0) ++missed;
  };
  for (int i = 1; i < static_cast<int>(raft::Mutant::kCount); ++i) {
    const auto mutant = static_cast<raft::Mutant>(i);
    if (!only.empty() && only != to_string(mutant)) continue;
    while (running >= jobs) reap();
    (void)try_mutant(mutant, from, count);
    ++running;
    ++tried;
  }
  while (running > 0) reap();
  std::printf("%d of %d planted bugs found\n", tried - missed, tried);
  return missed == 0 && tried > 0 ? 0 : 1;
}
#endif

}  // namespace
}  // namespace coxswain::simulation

int main(int argc, char** argv) {
  using namespace coxswain::simulation;
  CLI::App app("Simulates groups of members under faults; every violation names the seed that repeats it.");
  std::uint64_t seeds = 100;
  std::uint64_t from = 1;
  unsigned jobs = 1;
  bool verbose = false;
  app.add_option("--seeds", seeds, "how many runs")->capture_default_str();
  app.add_option("--from", from, "the first seed")->capture_default_str();
  app.add_option("--jobs", jobs, "processes")->capture_default_str()->check(CLI::Range(1, 256));
  app.add_flag("--verbose", verbose, "print what happens");
#ifdef COXSWAIN_MUTANTS
  bool mutants = false;
  std::string mutant;
  app.add_flag("--mutants", mutants, "plant every bug in turn; each must be found");
  app.add_option("--mutant", mutant, "plant only this one");
#endif
  CLI11_PARSE(app, argc, argv);
#ifdef COXSWAIN_MUTANTS
  if (mutants || !mutant.empty()) return run_mutants(from, seeds, jobs, mutant);
#endif
  return jobs > 1 ? run_jobs(from, seeds, jobs) : run_seeds(from, seeds, verbose, false);
}
