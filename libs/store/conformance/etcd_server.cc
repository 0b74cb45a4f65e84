#include "libs/store/conformance/etcd_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "libs/common/base/check.h"
#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
#include "libs/common/pki/pki.h"

namespace coxswain::store::testing {
namespace {

// Empty: not installed.
std::string find_etcd() {
  const char* path = std::getenv("PATH");
  for (const std::string& dir : split(path != nullptr ? path : "", ':'))
    if (::access((dir + "/etcd").c_str(), X_OK) == 0) return dir + "/etcd";
  return "";
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int bind_loopback(std::uint16_t* port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  COX_CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  COX_CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

pki::KeyPair certificate(const std::string& dir, const std::string& name, bool server) {
  std::filesystem::create_directories(dir);
  const std::int64_t now = system_clock().unix_ms();
  const pki::KeyPair ca = pki::ensure_ca(dir, now).value();
  pki::CertificateRequest request;
  request.common_name = name;
  request.server = server;
  request.client = true;
  if (server) request.ip_addresses = {"127.0.0.1"};
  if (server) request.dns_names = {"localhost"};
  return pki::ensure_certificate(dir, name, ca, request, now).value();
}

}  // namespace

bool etcd_installed() { return !find_etcd().empty(); }

EtcdServer::EtcdServer(EtcdOptions options) : options_(std::move(options)) {
  members_.resize(static_cast<std::size_t>(options_.members));
  std::vector<int> held;  // so that no port is given twice
  for (Member& member : members_) {
    held.push_back(bind_loopback(&member.client_port));
    held.push_back(bind_loopback(&member.peer_port));
  }
  for (const int fd : held) ::close(fd);
  if (options_.tls) certificate(dir_.path() + "/pki", "server", true);
  for (int i = 0; i < options_.members; ++i) start(i);
}

EtcdServer::~EtcdServer() {
  for (int i = 0; i < options_.members; ++i) kill(i);
}

std::string EtcdServer::url(std::uint16_t port, bool client) const {
  return (client && options_.tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port);
}

std::vector<std::string> EtcdServer::arguments(int member) const {
  const Member& me = members_[static_cast<std::size_t>(member)];
  std::string cluster;
  for (std::size_t i = 0; i < members_.size(); ++i)
    cluster += (i > 0 ? ",m" : "m") + std::to_string(i) + "=" + url(members_[i].peer_port, false);
  std::vector<std::string> out = {find_etcd(),
                                  "--name=m" + std::to_string(member),
                                  "--data-dir=" + dir(member),
                                  "--listen-client-urls=" + url(me.client_port, true),
                                  "--advertise-client-urls=" + url(me.client_port, true),
                                  "--listen-peer-urls=" + url(me.peer_port, false),
                                  "--initial-advertise-peer-urls=" + url(me.peer_port, false),
                                  "--initial-cluster=" + cluster,
                                  "--heartbeat-interval=50",
                                  "--election-timeout=500",
                                  "--logger=zap",
                                  "--log-outputs=" + dir(member) + ".log"};
  if (options_.tls) {
    const std::string pki = dir_.path() + "/pki/";
    out.insert(out.end(), {"--cert-file=" + pki + "server.crt", "--key-file=" + pki + "server.key",
                           "--trusted-ca-file=" + pki + "ca.crt", "--client-cert-auth"});
  }
  out.insert(out.end(), options_.flags.begin(), options_.flags.end());
  return out;
}

void EtcdServer::start(int member) {
  std::vector<std::string> arguments = this->arguments(member);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log = dir(member) + ".err";
  const pid_t child = ::fork();
  COX_CHECK(child >= 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  members_[static_cast<std::size_t>(member)].process = child;
}

void EtcdServer::kill(int member) {
  pid_t& process = members_[static_cast<std::size_t>(member)].process;
  if (process < 0) return;
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
  process = -1;
}

void EtcdServer::pause(int member, bool on) {
  ::kill(members_[static_cast<std::size_t>(member)].process, on ? SIGSTOP : SIGCONT);
}

void EtcdServer::wipe(int member) { std::filesystem::remove_all(dir(member)); }

void EtcdServer::save(int member) {
  std::filesystem::copy(dir(member), dir(member) + ".saved", std::filesystem::copy_options::recursive);
}

void EtcdServer::restore(int member) {
  wipe(member);
  std::filesystem::rename(dir(member) + ".saved", dir(member));
}

EtcdStoreOptions EtcdServer::options() const {
  static std::atomic<int> counter{0};
  EtcdStoreOptions out;
  for (const Member& member : members_) out.endpoints.push_back({"127.0.0.1", member.client_port});
  out.prefix = "/test-" + std::to_string(++counter);
  out.limits.retention_ms = 0;
  if (!options_.tls) return out;
  const pki::KeyPair client = certificate(dir_.path() + "/pki", "client", false);
  out.ca_path = dir_.path() + "/pki/ca.crt";
  out.certificate_path = client.certificate_path;
  out.key_path = client.key_path;
  return out;
}

EtcdStoreOptions EtcdServer::with_foreign_certificate() const {
  EtcdStoreOptions out = options();
  const pki::KeyPair client = certificate(dir_.path() + "/foreign", "client", false);
  out.certificate_path = client.certificate_path;
  out.key_path = client.key_path;
  return out;
}

// ---- the proxy ----

Proxy::Proxy(std::uint16_t target) : target_(target) {
  listener_ = bind_loopback(&port_);
  COX_CHECK(::listen(listener_, 64) == 0);
  thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
}

void Proxy::cut() {
  const std::lock_guard lock(mutex_);
  for (const Pair& pair : pairs_) {
    ::shutdown(pair.client, SHUT_RDWR);
    if (pair.held.empty()) ::shutdown(pair.server, SHUT_RDWR);
  }
}

namespace {

bool send_all(int to, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto n = ::send(to, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

// Empty: it is over.
std::string receive(int from) {
  std::string buffer(64 << 10, '\0');
  const auto n = ::recv(from, buffer.data(), buffer.size(), 0);
  buffer.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return buffer;
}

}  // namespace

bool Proxy::shuttle(Pair& pair, bool from_client, bool from_server) {
  if (from_client) {
    const std::string bytes = receive(pair.client);
    if (bytes.empty()) return false;
    if (hold_requests_) {
      const std::lock_guard lock(mutex_);
      pair.held += bytes;
    } else if (!swallow_requests_ && !send_all(pair.server, bytes)) {
      return false;
    }
  }
  if (!from_server) return true;
  const std::string bytes = receive(pair.server);
  return !bytes.empty() && (swallow_answers_ || send_all(pair.client, bytes));
}

void Proxy::let_go() {
  if (!release_.exchange(false)) return;
  for (Pair& pair : late_) (void)send_all(pair.server, pair.held);
}

void Proxy::accept(std::vector<Pair>* kept) {
  Pair pair{::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC),
            ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
            {}};
  const sockaddr_in address = loopback(target_);
  if (!refuse_ && ::connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return kept->push_back(pair);
  ::close(pair.client);
  ::close(pair.server);
}

void Proxy::run() {
  while (!stopping_) {
    let_go();
    std::vector<pollfd> waits = {{listener_, POLLIN, 0}};
    for (const Pair& pair : pairs_) {
      waits.push_back({pair.client, POLLIN, 0});
      waits.push_back({pair.server, POLLIN, 0});
    }
    ::poll(waits.data(), waits.size(), 20);
    std::vector<Pair> kept;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      if (shuttle(pairs_[i], waits[1 + 2 * i].revents != 0, waits[2 + 2 * i].revents != 0)) {
        kept.push_back(pairs_[i]);
        continue;
      }
      ::close(pairs_[i].client);
      if (pairs_[i].held.empty()) {
        ::close(pairs_[i].server);
      } else {
        late_.push_back(pairs_[i]);
      }
    }
    if (waits[0].revents != 0) accept(&kept);
    const std::lock_guard lock(mutex_);
    pairs_ = std::move(kept);
  }
  for (const Pair& pair : pairs_) ::close(pair.client);
  for (const auto* pairs : {&pairs_, &late_})
    for (const Pair& pair : *pairs) ::close(pair.server);
}

}  // namespace coxswain::store::testing
