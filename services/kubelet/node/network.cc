#include "services/kubelet/node/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"

extern char** environ;

namespace coxswain::kubelet {
namespace {

// DOCKER-USER belongs to iptables, whichever back end it uses here: only its own tool may edit it.
int iptables(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"iptables", "-w", "5"});
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int failed =
      ::posix_spawnp(&pid, "iptables", &files, nullptr, const_cast<char* const*>(arguments.data()), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) return -1;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Result<void> run_nft(const std::string& commands) {
  nft_ctx* context = ::nft_ctx_new(NFT_CTX_DEFAULT);
  if (!context) return make_error(ErrorCode::kResourceExhausted, "cannot make an nftables context");
  ::nft_ctx_buffer_error(context);
  ::nft_ctx_buffer_output(context);
  const int failed = ::nft_run_cmd_from_buffer(context, commands.c_str());
  const std::string message = failed ? ::nft_ctx_get_error_buffer(context) : "";
  ::nft_ctx_free(context);
  if (!failed) return {};
  return make_error(ErrorCode::kPermissionDenied,
                    "cannot set nftables rules (run the kubelet as root with CAP_NET_ADMIN): " +
                        message.substr(0, message.find('\n')));
}

}  // namespace

std::optional<std::string> first_address(const std::string& cidr) {
  const auto parts = split(cidr, '/');
  in_addr address{};
  if (parts.size() != 2 || ::inet_pton(AF_INET, parts[0].c_str(), &address) != 1) return std::nullopt;
  const auto bits = parse_int64(parts[1]);
  if (!bits || *bits < 8 || *bits > 29) return std::nullopt;
  const std::uint32_t mask = ~std::uint32_t{0} << (32 - *bits);
  address.s_addr = htonl((ntohl(address.s_addr) & mask) + 1);
  char text[INET_ADDRSTRLEN];
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return std::string(text);
}

std::string forwarding_ruleset(const std::string& pod_cidr, const std::string& cluster_cidr) {
  return "add table ip coxswain-kubelet\n"
         "delete table ip coxswain-kubelet\n"
         "table ip coxswain-kubelet {\n"
         "  chain postrouting {\n"
         "    type nat hook postrouting priority srcnat; policy accept;\n"
         "    ip saddr " +
         pod_cidr + " ip daddr " + cluster_cidr +
         " return\n"
         "    ip saddr " +
         pod_cidr + " oifname != \"" + std::string(kBridge) +
         "\" masquerade\n"
         "  }\n"
         "}\n";
}

Result<void> set_up_forwarding(const std::string& pod_cidr, const std::string& cluster_cidr) {
  std::ofstream("/proc/sys/net/ipv4/ip_forward") << "1\n";
  COX_RETURN_IF_ERROR(run_nft(forwarding_ruleset(pod_cidr, cluster_cidr)));
  // Docker's FORWARD policy is drop: without this, NodePorts and other nodes' pods cannot reach ours.
  for (const char* direction : {"-o", "-i"}) {
    if (iptables({"-C", "DOCKER-USER", direction, kBridge, "-j", "ACCEPT"}) == 0) continue;
    if (iptables({"-I", "DOCKER-USER", direction, kBridge, "-j", "ACCEPT"}) != 0) {
      log_debug("no DOCKER-USER chain: Docker does not filter here");
    }
  }
  return {};
}

void allow_hairpin(const std::string& bridge) {
  std::error_code error;
  for (const auto& port : std::filesystem::directory_iterator("/sys/class/net/" + bridge + "/brif", error)) {
    const std::string path = port.path().string() + "/hairpin_mode";
    std::ifstream current(path);
    if (current.get() == '1') continue;
    std::ofstream(path) << "1\n";
  }
}

}  // namespace coxswain::kubelet
