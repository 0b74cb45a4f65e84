// Which api-servers the Service `kubernetes` leads to.
#include "libs/registry/cluster/server_endpoints.h"

#include <atomic>
#include <thread>
#include <catch2/catch.hpp>

#include "libs/common/base/strings.h"
#include "libs/registry/test_cluster.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kEndpoints = "/api/v1/namespaces/default/endpoints";
const std::string kSlices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const ServerAddress kA{"192.0.2.1", 6443};
const ServerAddress kB{"192.0.2.2", 6443};
const ServerAddress kC{"192.0.2.1", 6444};

std::string text(const ServerAddress& server) { return server.ip + ":" + std::to_string(server.port); }

// "192.0.2.1:6443 192.0.2.2:6443", sorted.
template <typename Servers>
std::string text_of(const Servers& servers) {
  std::string out;
  for (const auto& server : servers) out += (out.empty() ? "" : " ") + text(server);
  return out;
}

// What an Endpoints, or all slices, lead to.
std::string targets(const json::Value& endpoints) {
  std::vector<ServerAddress> out;
  if (const json::Value* subsets = endpoints.find("subsets")) {
    for (const json::Value& subset : subsets->as_array()) {
      const auto port = subset.find("ports")->as_array()[0].get_int("port");
      for (const json::Value& address : subset.find("addresses")->as_array())
        out.push_back({address.get_string("ip"), static_cast<std::int32_t>(port)});
    }
  }
  std::sort(out.begin(), out.end());
  return text_of(out);
}
std::string targets(const std::vector<json::Value>& slices) {
  std::vector<ServerAddress> out;
  for (const json::Value& slice : slices) {
    REQUIRE(slice.find("ports")->as_array().size() == 1);
    const auto port = slice.find("ports")->as_array()[0].get_int("port");
    for (const json::Value& endpoint : slice.find("endpoints")->as_array())
      out.push_back({endpoint.find("addresses")->as_array()[0].as_string(), static_cast<std::int32_t>(port)});
  }
  std::sort(out.begin(), out.end());
  return text_of(out);
}

// "create endpointslices/kubernetes": in the order of the plan.
std::vector<std::string> steps(const std::vector<ObjectChange>& plan) {
  std::vector<std::string> out;
  for (const ObjectChange& change : plan) {
    const char* verb = change.type == ObjectChange::Type::kCreate    ? "create "
                       : change.type == ObjectChange::Type::kReplace ? "replace "
                                                                     : "delete ";
    out.push_back(verb + change.collection.substr(change.collection.rfind('/') + 1) + "/" + change.name);
  }
  return out;
}
using Steps = std::vector<std::string>;

// The objects as a server without other duties would hold them.
struct Objects {
  json::Value endpoints;
  std::map<std::string, json::Value> slices;
  int version = 0;

  std::vector<json::Value> list() const {
    std::vector<json::Value> out;
    for (const auto& [name, slice] : slices) out.push_back(slice);
    return out;
  }
  Steps reach(std::vector<ServerAddress> live) {
    const auto plan = plan_server_endpoints(std::move(live), endpoints, list());
    for (const ObjectChange& change : plan) {
      const bool slice = change.collection == kSlices;
      if (!slice) REQUIRE(change.collection == kEndpoints);
      json::Value& held = slice ? slices[change.name] : endpoints;
      if (change.type == ObjectChange::Type::kDelete) {
        CHECK(change.body.get_string_path({"preconditions", "resourceVersion"}) ==
              held.get_string_path({"metadata", "resourceVersion"}));
        slices.erase(change.name);
        continue;
      }
      CHECK(change.body.get_string_path({"metadata", "resourceVersion"}) ==
            (held.is_null() ? "" : held.get_string_path({"metadata", "resourceVersion"})));
      held = change.body;
      held["metadata"].set("resourceVersion", std::to_string(++version));
    }
    return steps(plan);
  }
};

// Moved by the test while others read it.
class TestClock : public Clock {
 public:
  std::int64_t now_ms() const override { return now_ms_; }
  std::int64_t unix_ms() const override { return 1'700'000'000'000 + now_ms_; }
  void advance_ms(std::int64_t ms) { now_ms_ += ms; }

 private:
  std::atomic<std::int64_t> now_ms_{0};
};

Options server_at(const ServerAddress& address, Clock* clock) {
  Options options;
  options.authenticate = false;
  options.several_servers = true;
  options.advertise_address = address.ip;
  options.advertise_port = address.port;
  options.clock = clock;
  return options;
}

struct Shared {
  TestClock clock;
  std::unique_ptr<store::Store> store = std::move(store::open_memory_store().value());

  std::unique_ptr<Registry> start(const ServerAddress& address) {
    auto server = std::make_unique<Registry>(*store, server_at(address, &clock));
    REQUIRE(server->bootstrap().ok());
    return server;
  }
  // As a server that is not of this process renews.
  void put_lease(const ServerAddress& address) {
    store::Op put{store::Op::Type::kPut, server_lease_key(address), "{}", store::kNoSplice};
    REQUIRE(store->txn_wait({{}, {put}}).ok());
  }
};

bool leads_to(Registry& server, const std::string& wanted) {
  std::string seen;
  for (int i = 0; i < 5'000; ++i) {
    const auto endpoints = json::parse(server.call("GET", kEndpoints + "/kubernetes").body);
    const auto slices = json::parse(server.call("GET", kSlices).body);
    REQUIRE((endpoints.ok() && slices.ok()));
    seen = targets(*endpoints);
    if (seen == wanted && targets(slices->find("items")->as_array()) == wanted) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  UNSCOPED_INFO("it leads to " << seen);
  return false;
}

}  // namespace

TEST_CASE("lease keys say whose they are") {
  CHECK(server_lease_key(kA) == "/coxswain/masterleases/192.0.2.1:6443");
  CHECK(parse_server_lease_key(server_lease_key(kC)) == kC);
  for (const char* bad : {"", "/coxswain/masterleases/", "/coxswain/masterleases/10.0.0.1",
                          "/coxswain/masterleases/:1", "/coxswain/masterleases/a:1",
                          "/coxswain/masterleases/10.0.0.1:0", "/coxswain/masterleases/10.0.0.1:65536",
                          "/coxswain/masterleases/10.0.0.1:x", "/registry/masterleases/10.0.0.1:1"}) {
    INFO(bad);
    CHECK_FALSE(parse_server_lease_key(bad).has_value());
  }
}

TEST_CASE("a server is dead when its lease has not moved for 15 s on the observer's clock") {
  struct Look {
    std::int64_t at_ms;
    std::vector<ServerLease> leases;
    std::string live;
    std::string expired;
    std::int64_t next_expiry_ms;
  };
  const std::string both = text(kA) + " " + text(kB);
  const std::string only = text(kA);
  const ServerLease mine{kA, 1};
  const std::vector<std::vector<Look>> stories = {
      // Alone; its own lease counts for nothing.
      {{0, {}, only, "", 0}, {60'000, {mine}, only, "", 0}},
      // Seen first, however old; then it does not move.
      {{0, {mine, {kB, 7}}, both, "", 15'000},
       {10'000, {mine, {kB, 7}}, both, "", 15'000},
       {14'999, {mine, {kB, 7}}, both, "", 15'000},
       {15'000, {mine, {kB, 7}}, only, text(kB), 0},
       {15'100, {mine, {kB, 7}}, only, text(kB), 0},
       {15'200, {mine}, only, "", 0},
       {15'300, {mine, {kB, 9}}, both, "", 30'300}},
      // Every renewal counts from when it was seen.
      {{0, {{kB, 7}}, both, "", 15'000},
       {10'000, {{kB, 8}}, both, "", 25'000},
       {24'999, {{kB, 8}}, both, "", 25'000},
       {25'000, {{kB, 8}}, only, text(kB), 0}},
      // It comes back before its lease was removed.
      {{0, {{kB, 7}}, both, "", 15'000},
       {10'000, {{kB, 7}}, both, "", 15'000},
       {16'000, {{kB, 7}}, only, text(kB), 0},
       {17'000, {{kB, 8}}, both, "", 32'000}},
      // The observer itself was away (no quorum for anybody): nobody is judged by that time.
      {{0, {{kB, 7}}, both, "", 15'000},
       {15'000, {{kB, 7}}, both, "", 30'000},
       {29'999, {{kB, 7}}, both, "", 30'000},
       {30'000, {{kB, 7}}, only, text(kB), 0}},
  };
  for (std::size_t i = 0; i < stories.size(); ++i) {
    ServerLeases leases;
    for (const Look& look : stories[i]) {
      INFO("story " << i << " at " << look.at_ms);
      const ServerLeases::Outcome outcome = leases.look(kA, look.leases, look.at_ms);
      CHECK(text_of(outcome.live) == look.live);
      std::vector<ServerAddress> expired;
      for (const ServerLease& lease : outcome.expired) expired.push_back(lease.server);
      CHECK(text_of(expired) == look.expired);
      CHECK(outcome.next_expiry_ms == look.next_expiry_ms);
    }
  }
}

TEST_CASE("the objects are brought from any state to the servers that live, and then left alone") {
  struct Step {
    std::vector<ServerAddress> live;
    Steps wanted;
  };
  const std::vector<std::vector<Step>> stories = {
      {{{kA}, {"create endpoints/kubernetes", "create endpointslices/kubernetes"}},
       {{kB, kA}, {"replace endpoints/kubernetes", "replace endpointslices/kubernetes"}},
       {{kA, kB}, {}},
       {{kB}, {"replace endpoints/kubernetes", "replace endpointslices/kubernetes"}},
       {{}, {}}},  // the last one leaves: whoever comes next finds where it was
      // Several on one machine: a slice for each port.
      {{{kA, kC},
        {"create endpoints/kubernetes", "create endpointslices/kubernetes",
         "create endpointslices/kubernetes-6444"}},
       {{kA, kB, kC}, {"replace endpoints/kubernetes", "replace endpointslices/kubernetes"}},
       {{kC},
        {"replace endpoints/kubernetes", "replace endpointslices/kubernetes",
         "delete endpointslices/kubernetes-6444"}},
       {{kC}, {}},
       {{kA, kC},
        {"replace endpoints/kubernetes", "replace endpointslices/kubernetes",
         "create endpointslices/kubernetes-6444"}}},
  };
  for (std::size_t i = 0; i < stories.size(); ++i) {
    Objects objects;
    for (const Step& step : stories[i]) {
      INFO("story " << i << ": " << text_of(step.live));
      CHECK(objects.reach(step.live) == step.wanted);
      if (step.live.empty()) continue;
      std::vector<ServerAddress> sorted = step.live;
      std::sort(sorted.begin(), sorted.end());
      CHECK(targets(objects.endpoints) == text_of(sorted));
      CHECK(targets(objects.list()) == text_of(sorted));
      CHECK(objects.reach(step.live) == Steps{});
    }
  }
}

TEST_CASE("what others wrote into the objects is put right, what they made beside them is left alone") {
  Objects objects;
  objects.reach({kA});
  SECTION("an address by hand") {
    objects.endpoints["subsets"].as_array()[0]["addresses"].push_back(
        json::Value::object({{"ip", "1.2.3.4"}}));
    CHECK(objects.reach({kA}) == Steps{"replace endpoints/kubernetes"});
  }
  SECTION("a label that keeps the mirroring controller away") {
    objects.endpoints["metadata"].erase("labels");
    CHECK(objects.reach({kA}) == Steps{"replace endpoints/kubernetes"});
  }
  SECTION("a slice that is gone") {
    objects.slices.clear();
    CHECK(objects.reach({kA}) == Steps{"create endpointslices/kubernetes"});
  }
  SECTION("slices of other people") {
    for (const char* name : {"mine", "kubernetes-of-mine", "kubernetes-"}) {
      objects.slices[name] = objects.slices["kubernetes"];
      objects.slices[name]["metadata"].set("name", name);
    }
    CHECK(objects.reach({kA}) == Steps{});
  }
}

TEST_CASE("servers that share a store are all led to; one that leaves is not") {
  Shared shared;
  const auto a = shared.start(kA);
  const auto b = shared.start(kB);
  auto c = shared.start(kC);
  REQUIRE(leads_to(*a, text_of(std::vector{kA, kC, kB})));
  CHECK(json::parse(a->call("GET", kSlices + "/kubernetes-6444").body)->get_string("addressType") == "IPv4");
  c->begin_shutdown();
  CHECK(leads_to(*a, text_of(std::vector{kA, kB})));
  CHECK(shared.store->count(kServerLeasePrefix) == 2);
  c.reset();
  b->begin_shutdown();
  CHECK(leads_to(*a, text(kA)));
  a->begin_shutdown();
  CHECK(shared.store->count(kServerLeasePrefix) == 0);
  CHECK(leads_to(*a, text(kA)));  // the last one: no better place to lead to
}

TEST_CASE("a server that dies is taken out after 15 s, not before, and its lease is removed") {
  Shared shared;
  const auto a = shared.start(kA);
  shared.put_lease(kB);
  REQUIRE(leads_to(*a, text_of(std::vector{kA, kB})));
  const ServerAddress waker{"192.0.2.9", 1};  // its leases wake the keeper, whose own wait is of real time
  shared.clock.advance_ms(10'000);
  shared.put_lease(waker);
  REQUIRE(leads_to(*a, text_of(std::vector{kA, kB, waker})));
  shared.clock.advance_ms(4'999);
  shared.put_lease(waker);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(leads_to(*a, text_of(std::vector{kA, kB, waker})));
  shared.clock.advance_ms(1);
  shared.put_lease(waker);
  CHECK(leads_to(*a, text_of(std::vector{kA, waker})));
  for (int i = 0; i < 5'000 && shared.store->get(server_lease_key(kB)).ok(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK_FALSE(shared.store->get(server_lease_key(kB)).ok());
  CHECK(shared.store->get(server_lease_key(kA)).ok());
}

TEST_CASE("a server alone writes no lease, and once all is right nothing at all") {
  Cluster cluster;
  CHECK(cluster.store->count(kServerLeasePrefix) == 0);
  const store::Revision before = cluster.store->revision();
  REQUIRE(cluster.registry->bootstrap().ok());
  cluster.registry->begin_shutdown();
  CHECK(cluster.store->revision() == before);
}

TEST_CASE("a lease is all that a server which shares its store writes when nothing changes") {
  Shared shared;
  const auto a = shared.start(kA);
  const store::Revision before = shared.store->revision();
  for (int i = 1; i <= 3; ++i) {
    const store::Revision renewed = shared.store->get(server_lease_key(kA)).value()->mod_revision;
    shared.clock.advance_ms(kServerLeaseRenewMs);
    shared.put_lease(kB);  // wakes it
    for (int n = 0; n < 5'000; ++n) {
      if (shared.store->get(server_lease_key(kA)).value()->mod_revision > renewed) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(shared.store->get(server_lease_key(kA)).value()->mod_revision > renewed);
    REQUIRE(leads_to(*a, text_of(std::vector{kA, kB})));
  }
  // 3 leases of B, 3 of A, and the two objects once.
  CHECK(shared.store->revision() == before + 8);
}

TEST_CASE("without a quorum a shutdown is not held up") {
  struct Stuck : store::Store {
    store::Store& inner;
    std::atomic<bool> stuck{false};
    std::vector<TxnDone> held;
    std::vector<BarrierDone> waiting;
    explicit Stuck(store::Store& s) : inner(s) {}
    Result<store::EntryPtr> get(std::string_view k, store::Revision r) const override {
      return inner.get(k, r);
    }
    Result<store::RangeResult> range(const store::RangeRequest& r) const override { return inner.range(r); }
    std::int64_t count(std::string_view p) const override { return inner.count(p); }
    void txn(store::Txn txn, TxnDone done) override {
      if (!stuck) return inner.txn(std::move(txn), std::move(done));
      held.push_back(std::move(done));
    }
    Result<std::unique_ptr<store::Watcher>> watch(std::string_view p, store::Revision r) override {
      return inner.watch(p, r);
    }
    Result<void> compact(store::Revision r) override { return inner.compact(r); }
    void barrier(BarrierDone done) override {
      if (!stuck) return done({});
      waiting.push_back(std::move(done));
    }
    store::Revision revision() const override { return inner.revision(); }
    store::Stats stats() const override { return inner.stats(); }
  };
  Shared shared;
  Stuck stuck(*shared.store);
  {
    Registry server(stuck, server_at(kA, nullptr));
    REQUIRE(server.bootstrap().ok());
    stuck.stuck = true;
    const std::int64_t before_ms = system_clock().now_ms();
    server.begin_shutdown();
    CHECK(system_clock().now_ms() - before_ms < 5'000);
    CHECK(stuck.held.size() == 1);
    for (auto& done : stuck.held) done(make_error(ErrorCode::kDeadlineExceeded, "closing"));
  }
}

TEST_CASE("servers on one machine may be led to by loopback, each by its own port") {
  Shared shared;
  const ServerAddress first{"127.0.0.1", 6443};
  const ServerAddress second{"127.0.0.1", 6444};
  const auto a = shared.start(first);
  const auto b = shared.start(second);
  CHECK(leads_to(*b, text_of(std::vector{first, second})));
}

TEST_CASE("an address that is refused keeps no other server from starting") {
  Shared shared;
  shared.put_lease({"2001:db8::1", 6443});  // not of the family of the slices
  const auto a = shared.start(kA);
  CHECK(a->call("GET", "/api/v1/namespaces/default").code == 200);
}
