#include "libs/store/bench/group.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

#include "libs/common/base/check.h"
#include "libs/common/base/clock.h"
#include "libs/common/pki/pki.h"
#include "libs/store/peer/handshake.h"

namespace coxswain::store::bench {
namespace {

constexpr std::uint64_t kMembers = 3;

// Held until all are chosen, so that none is chosen twice.
int hold_port(int* port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  COX_CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  COX_CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

Group::Group(const std::string& dir) : dir_(dir) {
  std::signal(SIGPIPE, SIG_IGN);
  std::filesystem::create_directory(dir);
  std::vector<int> held;
  for (std::uint64_t id = 1; id <= kMembers; ++id) {
    int port = 0;
    held.push_back(hold_port(&port));
    addresses_[id] = "127.0.0.1:" + std::to_string(port);
  }
  for (const int fd : held) ::close(fd);
  for (std::uint64_t id = 1; id <= kMembers; ++id) stores_[id] = open_group_store(options(id)).value();
  while ((leader_ = find_leader()) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  COX_CHECK(leader().txn_wait({}).ok());
  term_ = admin_of(leader())->status().term;
}

// The followers first: a leader hands over when it goes.
Group::~Group() {
  for (std::uint64_t id = 1; id <= kMembers; ++id)
    if (id != leader_) stores_.erase(id);
}

GroupStoreOptions Group::options(std::uint64_t id) const {
  GroupStoreOptions out;
  out.local.dir = dir_ + "/" + std::to_string(id);
  out.member_id = id;
  for (const auto& [other, address] : addresses_) out.members.push_back({other, address});
  out.listen_address = "127.0.0.1";
  const std::int64_t now_ms = system_clock().unix_ms();
  const pki::KeyPair ca = pki::ensure_ca(dir_, now_ms).value();
  pki::CertificateRequest request;
  request.common_name = member_name(id);
  request.organizations = {kMembersOrganization};
  request.server = request.client = true;
  const std::string name = "member-" + std::to_string(id);
  const pki::KeyPair pair = pki::ensure_certificate(dir_, name, ca, request, now_ms).value();
  out.ca_path = ca.certificate_path;
  out.certificate_path = pair.certificate_path;
  out.key_path = pair.key_path;
  return out;
}

// Whom a majority follows; 0: nobody.
std::uint64_t Group::find_leader() const {
  std::map<std::uint64_t, std::uint64_t> followed;
  for (const auto& [id, store] : stores_) ++followed[admin_of(*store)->status().leader];
  for (const auto& [id, n] : followed)
    if (id != 0 && n == kMembers) return id;
  return 0;
}

bool Group::same_leader() const {
  const GroupStatus status = admin_of(*stores_.at(leader_))->status();
  return status.leader == leader_ && status.term == term_;
}

}  // namespace coxswain::store::bench
