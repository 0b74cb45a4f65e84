// What the store alone can do, durability on, beside etcd where that is installed. Rows of a Markdown table.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>
#include <CLI/CLI.hpp>

#include "libs/common/base/check.h"
#include "libs/store/bench/sections.h"
#include "libs/store/bench/table.h"
#include "libs/store/conformance/etcd_server.h"

namespace {

using namespace coxswain::store;

struct Section {
  const char* name;
  void (*run)(const bench::Settings&);
  const char* dir;
};
constexpr Section kSections[] = {{"one", bench::run_one_member, "one"},
                                 {"group", bench::run_group, "group"},
                                 {"updates", bench::run_small_updates, "updates"},
                                 {"keys", bench::run_fill, "keys"},
                                 {"keys", bench::run_restart, "keys"},
                                 {"reads", bench::run_reads, "reads"}};

// In a process of its own: what it takes of memory, processor and disk is its own, too.
bool run(const Section& section, const bench::Settings& settings) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  COX_CHECK(child >= 0);
  if (child == 0) {
    section.run(settings);
    std::fflush(nullptr);
    ::_exit(0);
  }
  int status = 0;
  COX_CHECK(::waitpid(child, &status, 0) == child);
  if (status != 0) std::fprintf(stderr, "the part \"%s\" failed\n", section.name);
  return status == 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures the store alone, beside etcd where it is installed.");
  std::string dir;
  std::vector<std::string> only;
  bool quick = false;
  bool no_etcd = false;
  app.add_option("DIR", dir, "an existing directory on the disk to measure; what is made in it is removed")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--only", only, "parts: one, group, updates, keys, reads")->delimiter(',');
  app.add_flag("--quick", quick, "a hundredth of the work: does it run at all?");
  app.add_flag("--no-etcd", no_etcd, "quote numbers instead of measuring etcd");
  CLI11_PARSE(app, argc, argv);

  const std::string home = dir + "/store-bench-" + std::to_string(::getpid());
  std::filesystem::create_directory(home);
  bool ok = true;
  ::mallopt(M_ARENA_MAX, 2);  // as the api-server has it
  ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  if (quick) std::fprintf(stderr, "--quick shows that it runs; the numbers mean little\n");
  bench::print_header();
  for (const Section& section : kSections) {
    if (!only.empty() && std::find(only.begin(), only.end(), section.name) == only.end()) continue;
    ok = run(section, {home + "/" + section.dir, quick, !no_etcd && testing::etcd_installed()}) && ok;
  }
  std::filesystem::remove_all(home);
  return ok ? 0 : 1;
}
