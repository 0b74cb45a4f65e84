// A Runtime in memory that records every call and fails on demand, for tests. runtime_contract.h holds it to
// what a Docker Engine does.
//
// It "runs" a little shell: {"true"}, {"sleep", N}, {"sh", "-c", SCRIPT} with the commands `echo WORDS`,
// `exit N`, `sleep N` (until killed), `trap 'exit 0' TERM` (obeys SIGTERM) and `while ...` (until killed).
// Other programs are missing. A container of kPauseImage runs until it is killed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "libs/common/base/clock.h"
#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

// A clock that tests move while other threads read it.
class SharedManualClock : public Clock {
 public:
  std::int64_t now_ms() const override { return ms_; }
  std::int64_t unix_ms() const override { return 1'700'000'000'000 + ms_; }
  void advance_ms(std::int64_t ms) { ms_ += ms; }

 private:
  std::atomic<std::int64_t> ms_{0};
};

class FakeRuntime : public Runtime {
 public:
  explicit FakeRuntime(const Clock& clock) : clock_(clock) {}

  Result<RuntimeInfo> info() override;
  Result<std::vector<ObservedContainer>> list() override;
  Result<ObservedContainer> inspect(const std::string& id) override;
  Result<std::string> create(const ContainerSpec& spec) override;
  Result<void> start(const std::string& id) override;
  Result<void> signal(const std::string& id, const std::string& sig) override;
  Result<void> remove(const std::string& id) override;
  Result<ExecResult> exec(const std::string& id, const std::vector<std::string>& command,
                          std::int64_t timeout_ms) override;
  Result<void> logs(const std::string& id, const LogOptions& options,
                    const std::function<bool(std::string_view)>& sink, std::stop_token stop) override;
  Result<void> watch(const std::function<void(const RuntimeEvent&)>& on_event, std::stop_token stop) override;
  Result<std::optional<ImageInfo>> find_image(const std::string& reference) override;
  Result<void> pull(const std::string& reference, const std::string& auth_base64) override;
  Result<void> load_image(const std::string& tar) override;
  Result<std::vector<ImageInfo>> images() override;
  Result<void> ensure_network(const NetworkSpec& network) override;

  // --- What tests do behind the kubelet's back ------------------------------------------------------
  void add_image(const std::string& reference, bool in_registry = false);
  void end_container(const std::string& id, int exit_code, bool oom = false);  // with its event
  void fail_call(std::size_t n);            // the n-th call from now, counted from 0, fails once
  void fail_next(const std::string& verb);  // the next call of this kind fails
  void set_reachable(bool reachable);       // false: every call is kUnavailable
  std::vector<std::string> calls() const;   // "create NAME", "start NAME", "signal NAME SIGTERM", ...
  std::vector<std::string> calls(std::string_view verb) const;  // the names that `verb` was called with
  std::string id_of(const std::string& container_name) const;   // newest, by ContainerSpec::name's label

 private:
  struct Container {
    ContainerSpec spec;
    ObservedContainer seen;
    std::string log;
    bool obeys_term = false;
  };
  // Records the call; the error that it has to answer, if any. Needs mutex_.
  std::optional<Error> enter(const std::string& verb, const std::string& what);
  std::string name_of(const std::string& id) const;
  void run(Container& c);
  void end(Container& c, int exit_code);
  void report(const Container& c, const std::string& action);

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Container> containers_;  // by id
  std::set<std::string> images_, registry_;
  std::deque<std::pair<std::size_t, RuntimeEvent>> events_;  // by serial number
  std::size_t next_event_ = 0;
  std::vector<std::string> calls_;
  std::int64_t calls_until_failure_ = -1;
  std::string failing_verb_;
  bool reachable_ = true;
  int next_id_ = 1;
};

}  // namespace coxswain::kubelet
