#include "libs/store/bench/etcd_clients.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>

#include "libs/common/base/check.h"
#include "libs/store/bench/machine.h"
#include "libs/store/etcd/protobuf.h"
#include "libs/store/etcd/raw_etcd.h"

namespace coxswain::store::bench {
namespace {

using etcd::Client;

constexpr int kConnections = 8;

EtcdStoreOptions options_of(const testing::EtcdServer& etcd, int member) {
  EtcdStoreOptions options = etcd.options();
  options.endpoints = {{"127.0.0.1", etcd.port(member)}};
  options.request_timeout_ms = 60'000;
  return options;
}

struct Request {
  std::string_view path;
  std::string body;
};
using Requests = std::function<Request(std::uint64_t n)>;

// One connection and its thread, with as many calls under way as it has clients.
class Connection : private Client::Events {
 public:
  Connection(EtcdStoreOptions options, int clients, const Requests& requests,
             std::atomic<std::uint64_t>& asked, std::atomic<std::uint64_t>& answered, std::uint64_t most)
      : options_(std::move(options)),
        requests_(requests),
        asked_(asked),
        answered_(answered),
        most_(most),
        clients_(clients),
        client_(options_, nullptr, *this),
        thread_([this] { run(); }) {}
  ~Connection() override { thread_.join(); }
  void stop() { stopping_ = true; }

 private:
  void connected() override {}
  void disconnected(const Error& why) override { std::fprintf(stderr, "%s\n", why.message.c_str()); }

  void run() {
    while (!client_.connected()) client_.step(wake_.fd(), 10);
    for (int i = 0; i < clients_; ++i) next();
    while (under_way_ > 0) client_.step(wake_.fd(), 10);
  }
  void next() {
    if (stopping_) return;
    const std::uint64_t n = asked_.fetch_add(1);
    if (n >= most_) return;
    const Request request = requests_(n);
    ++under_way_;
    client_.call(request.path, request.body, [this](const Client::Answer& answer) {
      COX_CHECK(answer.ok());
      --under_way_;
      answered_.fetch_add(1);
      next();
    });
  }

  const EtcdStoreOptions options_;
  const Requests& requests_;
  std::atomic<std::uint64_t>& asked_;
  std::atomic<std::uint64_t>& answered_;
  const std::uint64_t most_;
  const int clients_;
  std::atomic<bool> stopping_{false};
  int under_way_ = 0;
  const etcd::Wake wake_;
  Client client_;
  std::thread thread_;
};

class Connections {
 public:
  Connections(const testing::EtcdServer& etcd, int member, int clients, Requests requests, std::uint64_t most)
      : requests_(std::move(requests)) {
    const int n = std::min(kConnections, clients);
    for (int i = 0; i < n; ++i)
      all_.push_back(std::make_unique<Connection>(options_of(etcd, member), clients / n, requests_, asked_,
                                                  answered_, most));
  }
  ~Connections() {
    for (const auto& connection : all_) connection->stop();
  }
  std::uint64_t answered() const { return answered_; }
  void wait() { all_.clear(); }

 private:
  const Requests requests_;
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> answered_{0};
  std::vector<std::unique_ptr<Connection>> all_;
};

void sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

Done measure(const testing::EtcdServer& etcd, int member, const Work& work, Requests requests) {
  Connections connections(etcd, member, work.clients, std::move(requests), static_cast<std::uint64_t>(-1));
  sleep(work.seconds / 5);
  Done done{-static_cast<double>(connections.answered()), -now_seconds(), -processor_seconds()};
  sleep(work.seconds);
  done.operations += static_cast<double>(connections.answered());
  done.seconds += now_seconds();
  done.processor_seconds += processor_seconds();
  return done;
}

Request put_of(const Work& work, std::uint64_t n) {
  const std::uint64_t key = work.keys > 0 ? n % work.keys : n;
  return {etcd::kPutPath, etcd::encode_put(key_of(work.prefix, key), value_of(work.value_bytes, n))};
}

// Who leads, and who answers: the same?
bool says_it_leads(const std::string& status) {
  constexpr std::uint64_t kHeader = 1, kLeader = 4;  // of StatusResponse, rpc.proto
  std::uint64_t leader = 0;
  etcd::FieldReader reader(status);
  while (reader.next())
    if (reader.field() == kLeader) leader = reader.number();
  static_assert(kHeader == 1);
  return leader != 0 && leader == etcd::decode_header_of(status).value().member_id;
}

}  // namespace

int etcd_leader(const testing::EtcdServer& etcd, int members) {
  for (int tries = 0; tries < 1000; ++tries) {
    for (int i = 0; i < members; ++i) {
      const auto answer = testing::RawEtcd(options_of(etcd, i)).call(etcd::kStatusPath, "");
      if (answer.ok() && says_it_leads(*answer)) return i;
    }
    sleep(0.05);
  }
  COX_CHECK(false);
  return 0;
}

Done etcd_put(const testing::EtcdServer& etcd, int member, const Work& work) {
  return measure(etcd, member, work, [&work](std::uint64_t n) { return put_of(work, n); });
}

Done etcd_read_fresh(const testing::EtcdServer& etcd, int member, const Work& work) {
  return measure(etcd, member, work, [&work](std::uint64_t n) {
    return Request{etcd::kRangePath,
                   etcd::encode_range({key_of(work.prefix, n % work.keys), "", 0, 0, false})};
  });
}

void etcd_fill(const testing::EtcdServer& etcd, int member, const Work& work) {
  Connections(
      etcd, member, work.clients, [&work](std::uint64_t n) { return put_of(work, n); }, work.keys)
      .wait();
}

std::vector<double> etcd_put_one_by_one(const testing::EtcdServer& etcd, const Work& work) {
  testing::RawEtcd client(options_of(etcd, 0));
  std::vector<double> took;
  const double until = now_seconds() + work.seconds;
  for (std::uint64_t n = 0; now_seconds() < until; ++n) {
    const Request request = put_of(work, n);
    const double began = now_seconds();
    COX_CHECK(client.call(request.path, request.body).ok());
    took.push_back((now_seconds() - began) * 1e6);
  }
  return took;
}

}  // namespace coxswain::store::bench
