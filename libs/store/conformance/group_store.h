// Three members in one process, on a network that the test holds in its hands, as one store: whatever is
// asked goes to another one of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/store/open.h"

namespace coxswain::store::testing {

class GroupStore : public Store {
 public:
  virtual void cut_off(int member, bool on) = 0;  // nothing comes or goes
  virtual void set_loss(double probability) = 0;
  virtual void stop(int member) = 0;     // and lets go of its directory
  virtual void restart(int member) = 0;  // from what it had
  virtual int leader() = 0;              // waits for one that the others follow
  virtual Store& member(int i) = 0;
  virtual std::uint64_t applied(int member) = 0;    // the last entry
  virtual std::uint64_t log_first(int member) = 0;  // the oldest one that it can send
};

struct GroupOptions {
  int members = 3;
  std::uint64_t seed = 1;
  StoreLimits limits;
  std::size_t log_segment_bytes = 64 << 10;
  std::size_t checkpoint_log_bytes = 16 << 10;
  std::int64_t tick_ms = 20;
  bool tls = false;        // real connections; cut_off() and set_loss() have no effect then
  std::vector<Env*> logs;  // not owned: where each member keeps its log; empty: on the real disk
};
std::unique_ptr<GroupStore> open_group(const std::string& dir, GroupOptions options);

}  // namespace coxswain::store::testing
