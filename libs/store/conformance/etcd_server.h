// A real etcd for tests: Debian's etcd-server on free loopback ports, its data in a directory of its own.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libs/store/conformance/stores.h"
#include "libs/store/etcd/open.h"

namespace coxswain::store::testing {

bool etcd_installed();

struct EtcdOptions {
  int members = 1;
  bool tls = false;  // for clients, who need a certificate then
  std::vector<std::string> flags;
};

class EtcdServer {
 public:
  explicit EtcdServer(EtcdOptions options = {});
  ~EtcdServer();
  EtcdServer(const EtcdServer&) = delete;
  EtcdServer& operator=(const EtcdServer&) = delete;

  void kill(int member);  // -9
  void pause(int member, bool on);
  void start(int member);  // again, with what it had
  // Its data, while it is killed: gone; copied aside; put back.
  void wipe(int member);
  void save(int member);
  void restore(int member);
  std::uint16_t port(int member = 0) const { return members_[static_cast<std::size_t>(member)].client_port; }

  // How to reach it, each caller below a prefix of its own.
  EtcdStoreOptions options() const;
  // Another authority than the one it trusts, with a client certificate of it: {ca, certificate, key}.
  EtcdStoreOptions with_foreign_certificate() const;

 private:
  struct Member {
    std::uint16_t client_port = 0;
    std::uint16_t peer_port = 0;
    pid_t process = -1;
  };
  std::vector<std::string> arguments(int member) const;
  std::string url(std::uint16_t port, bool client) const;
  std::string dir(int member) const { return dir_.path() + "/" + std::to_string(member); }

  const EtcdOptions options_;
  const TempDir dir_;
  std::vector<Member> members_;
};

// Between a store and an etcd; one direction can be made silent, all connections cut.
class Proxy {
 public:
  explicit Proxy(std::uint16_t target);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  std::uint16_t port() const { return port_; }
  void swallow_answers(bool on) { swallow_answers_ = on; }
  void swallow_requests(bool on) { swallow_requests_ = on; }
  void refuse(bool on) { refuse_ = on; }  // new connections
  void cut();                             // those that there are
  // Requests are held; cut() then leaves etcd's side open, and release() sends it what was held: late.
  void hold_requests(bool on) { hold_requests_ = on; }
  void release() { release_ = true; }

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    std::string held;  // requests
  };
  void run();
  void let_go();
  void accept(std::vector<Pair>* kept);
  bool shuttle(Pair& pair, bool from_client, bool from_server);

  const std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> swallow_answers_{false};
  std::atomic<bool> swallow_requests_{false};
  std::atomic<bool> refuse_{false};
  std::atomic<bool> hold_requests_{false};
  std::atomic<bool> release_{false};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // guards pairs_
  std::vector<Pair> pairs_;
  std::vector<Pair> late_;  // the thread's: without a client
  std::thread thread_;
};

}  // namespace coxswain::store::testing
