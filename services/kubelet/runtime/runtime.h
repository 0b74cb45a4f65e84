// The container runtime as the kubelet needs it: small idempotent verbs. docker_runtime.h talks to a
// Docker Engine; fake_runtime.h keeps everything in memory. runtime_contract.h is the test of both.
//
// Thread-safe. Every call is bounded in time. Errors: kUnavailable when the runtime cannot be reached,
// kNotFound, kInvalidArgument (it refused), kIo.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"
#include "services/kubelet/core/model.h"

namespace coxswain::kubelet {

struct Mount {
  std::string source;  // on the host
  std::string target;
  bool read_only = false;
  std::string propagation;  // "" private, "rslave", "rshared"
};

struct PortBinding {
  int container_port = 0;
  int host_port = 0;
  std::string protocol = "tcp";
  std::string host_ip;
};

struct ContainerSpec {
  std::string name;  // unique; creating it again finds the first
  std::string image;
  std::vector<std::string> command;  // entry point; empty: the image's
  std::vector<std::string> args;     // empty and no command: the image's
  std::vector<std::string> env;      // "A=b"
  std::string working_dir;
  std::map<std::string, std::string> labels;
  std::vector<Mount> mounts;
  std::vector<PortBinding> ports;
  std::string hostname;
  std::string network;  // a network's name, "host" or "container:ID"
  std::string ipc;      // "shareable", "host" or "container:ID"
  std::string pid;      // "", "host" or "container:ID"
  std::string user;     // "1000:1000"; "": the image's
  std::vector<std::string> groups;
  std::map<std::string, std::string> sysctls;
  std::int64_t cpu_shares = 0;
  std::int64_t cpu_quota_us = 0;
  std::int64_t cpu_period_us = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t pids_limit = 0;
  int oom_score_adj = 0;
  bool privileged = false;
  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  bool read_only_root = false;
  bool no_new_privileges = false;
  bool seccomp_unconfined = false;
  bool tty = false;
  bool stdin_open = false;
  bool stdin_once = false;
  std::string stop_signal;
};

struct ImageInfo {
  std::string id;  // "sha256:..."
  std::vector<std::string> names;
  std::int64_t size_bytes = 0;
  std::string user;  // the image's USER
};

struct RuntimeInfo {
  std::string version;  // "20.10.24"
  std::string operating_system;
  std::string kernel;
  std::string architecture;
};

struct RuntimeEvent {
  std::string action;  // "die", "destroy", "start", "oom"
  std::string id;
  std::string pod_uid;
};

struct ExecResult {
  int exit_code = 0;
  std::string output;  // stdout and stderr, cut at 10 KiB
};

struct LogOptions {
  bool follow = false;
  bool timestamps = false;
  std::int64_t tail = -1;         // lines; < 0: all
  std::int64_t since_unix_s = 0;  // 0: all
};

struct NetworkSpec {
  std::string name;
  std::string bridge;
  std::string subnet;  // "10.244.0.0/24"
  std::string gateway;
};

inline constexpr std::string_view kLabelPrefix = "io.coxswain.";

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual Result<RuntimeInfo> info() = 0;
  // All containers that carry our labels, dead ones too. State, not times or exit codes: inspect() those.
  virtual Result<std::vector<ObservedContainer>> list() = 0;
  virtual Result<ObservedContainer> inspect(const std::string& id) = 0;
  // The id of the new container, or of the one that has the name already.
  virtual Result<std::string> create(const ContainerSpec& spec) = 0;
  virtual Result<void> start(const std::string& id) = 0;                           // ok when running
  virtual Result<void> signal(const std::string& id, const std::string& sig) = 0;  // ok when not running
  virtual Result<void> remove(const std::string& id) = 0;  // kills first; ok when absent
  virtual Result<ExecResult> exec(const std::string& id, const std::vector<std::string>& command,
                                  std::int64_t timeout_ms) = 0;  // kDeadlineExceeded
  // Log bytes, demultiplexed, until the end (or the container's end when following). `sink` returns
  // false to stop.
  virtual Result<void> logs(const std::string& id, const LogOptions& options,
                            const std::function<bool(std::string_view)>& sink, std::stop_token stop) = 0;
  // Blocks, reporting changes of our containers, until `stop` or the connection ends.
  virtual Result<void> watch(const std::function<void(const RuntimeEvent&)>& on_event,
                             std::stop_token stop) = 0;
  virtual Result<std::optional<ImageInfo>> find_image(const std::string& reference) = 0;
  // The error's message is the registry's, in one line.
  virtual Result<void> pull(const std::string& reference, const std::string& auth_base64) = 0;
  virtual Result<void> load_image(const std::string& tar) = 0;
  virtual Result<std::vector<ImageInfo>> images() = 0;
  virtual Result<void> ensure_network(const NetworkSpec& network) = 0;
};

}  // namespace coxswain::kubelet
