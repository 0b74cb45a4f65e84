#include "services/kubelet/node/machine.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "libs/common/base/strings.h"

namespace coxswain::kubelet {
namespace {

std::string read_line(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return std::string(trim(line));
}

std::int64_t meminfo_bytes(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t kib = 0;
    words >> name >> kib;
    if (name == key + ":") return kib * 1024;
  }
  return 0;
}

// Lowering the score needs CAP_SYS_RESOURCE, which nested and hardened machines lack: dockerd then
// cannot start such a container either. Tried on ourselves, once.
int lowest_oom_score_adj() {
  const char* path = "/proc/self/oom_score_adj";
  const int own = static_cast<int>(parse_int64(read_line(path)).value_or(0));
  std::ofstream low(path);
  low << -998 << std::flush;
  if (!low) return own;
  std::ofstream(path) << own << std::flush;
  return -1000;
}

std::string os_name() {
  std::ifstream in("/etc/os-release");
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, 12, "PRETTY_NAME=") != 0) continue;
    std::string name = line.substr(12);
    if (name.size() > 1 && name.front() == '"') name = name.substr(1, name.size() - 2);
    return name;
  }
  return "Linux";
}

}  // namespace

std::string go_architecture() {
  utsname names{};
  ::uname(&names);
  const std::string machine = names.machine;
  return machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
}

Machine read_machine(const std::string& path) {
  Machine out;
  out.capacity.milli_cpu = ::sysconf(_SC_NPROCESSORS_ONLN) * 1000;
  out.capacity.memory_bytes = meminfo_bytes("MemTotal");
  static const int lowest = lowest_oom_score_adj();
  out.capacity.lowest_oom_score_adj = lowest;
  out.memory_available_bytes = meminfo_bytes("MemAvailable");
  struct statvfs fs {};
  if (::statvfs(path.c_str(), &fs) == 0) {
    out.disk_bytes = static_cast<std::int64_t>(fs.f_blocks) * static_cast<std::int64_t>(fs.f_frsize);
    out.disk_free_bytes = static_cast<std::int64_t>(fs.f_bavail) * static_cast<std::int64_t>(fs.f_frsize);
  }
  utsname names{};
  ::uname(&names);
  out.kernel = names.release;
  out.machine_id = read_line("/etc/machine-id");
  out.boot_id = read_line("/proc/sys/kernel/random/boot_id");
  out.system_uuid = read_line("/sys/class/dmi/id/product_uuid");
  if (out.system_uuid.empty()) out.system_uuid = out.machine_id;
  out.os_image = os_name();
  out.architecture = go_architecture();
  return out;
}

}  // namespace coxswain::kubelet
