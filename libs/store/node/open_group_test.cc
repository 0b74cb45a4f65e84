// Members as processes have them: a directory, an identity and certificates each, on real connections.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/common/pki/pki.h"
#include "libs/store/conformance/stores.h"
#include "libs/store/open.h"
#include "libs/store/peer/handshake.h"

namespace coxswain::store::testing {
namespace {

using std::chrono::milliseconds;

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

template <typename T>
Result<T> wait(const std::function<void(std::function<void(Result<T>)>)>& ask) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  ask([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return future.get();
}

class Cluster {
 public:
  Cluster() { std::signal(SIGPIPE, SIG_IGN); }

  GroupStoreOptions options(std::uint64_t id, std::vector<std::uint64_t> others) {
    GroupStoreOptions out;
    out.local.dir = temp_.path() + "/" + std::to_string(id);
    out.member_id = id;
    others.push_back(id);
    for (const std::uint64_t other : others) out.members.push_back({other, address(other)});
    out.listen_address = "127.0.0.1";
    out.client_url = "https://127.0.0.1:" + std::to_string(6442 + id);
    const std::int64_t now_ms = system_clock().unix_ms();
    const pki::KeyPair ca = pki::ensure_ca(temp_.path(), now_ms).value();
    pki::CertificateRequest request;
    request.common_name = member_name(id);
    request.organizations = {kMembersOrganization};
    request.server = request.client = true;
    const std::string name = "member-" + std::to_string(id);
    const pki::KeyPair pair = pki::ensure_certificate(temp_.path(), name, ca, request, now_ms).value();
    out.ca_path = ca.certificate_path;
    out.certificate_path = pair.certificate_path;
    out.key_path = pair.key_path;
    out.election_timeout_ms = 300;
    out.on_removed = [this](const std::string& why) {
      const std::lock_guard lock(mutex_);
      told_ += "removed: " + why + "\n";
    };
    out.on_event = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      told_ += text + "\n";
    };
    return out;
  }
  void open(std::uint64_t id, const GroupStoreOptions& with) {
    auto store = open_group_store(with);
    if (!store.ok()) FAIL(store.error().message);
    stores_[id] = *std::move(store);
  }
  void open_three() {
    for (std::uint64_t id = 1; id <= 3; ++id)
      open(id, options(id, id == 1   ? std::vector<std::uint64_t>{2, 3}
                           : id == 2 ? std::vector<std::uint64_t>{1, 3}
                                     : std::vector<std::uint64_t>{1, 2}));
  }
  void close(std::uint64_t id) { stores_.erase(id); }
  void wipe(std::uint64_t id) { std::filesystem::remove_all(temp_.path() + "/" + std::to_string(id)); }
  std::string dir(std::uint64_t id) const { return temp_.path() + "/" + std::to_string(id); }

  Store& operator[](std::uint64_t id) { return *stores_.at(id); }
  StoreAdmin& admin(std::uint64_t id) { return *admin_of(*stores_.at(id)); }
  std::uint64_t leader() {
    std::uint64_t found = 0;
    REQUIRE(eventually([&] {
      for (const auto& [id, store] : stores_) {
        const GroupStatus status = admin(id).status();
        if (status.leader == id) found = id;
      }
      return found != 0;
    }));
    return found;
  }
  Result<TxnResult> put(std::uint64_t at, const std::string& key, const std::string& value) {
    return stores_.at(at)->txn_wait(txn({}, {testing::put(key, value)}));
  }
  std::string get(std::uint64_t at, const std::string& key) {
    const Result<void> fresh = wait_barrier(at);
    if (!fresh.ok()) return fresh.error().message;
    const auto entry = stores_.at(at)->get(key);
    return entry.ok() ? std::string((*entry)->value) : entry.error().message;
  }
  Result<void> wait_barrier(std::uint64_t at) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    auto future = promise->get_future();
    stores_.at(at)->barrier([promise](Result<void> outcome) { promise->set_value(std::move(outcome)); });
    return future.get();
  }
  Result<MemberRecord> add(std::uint64_t at, std::uint64_t id) {
    return wait<MemberRecord>(
        [&](auto done) { admin(at).add_member("m" + std::to_string(id), address(id), std::move(done)); });
  }
  Result<MemberRecord> promote(std::uint64_t at, std::uint64_t id) {
    return wait<MemberRecord>([&](auto done) { admin(at).promote_member(id, std::move(done)); });
  }
  Result<MemberRecord> remove(std::uint64_t at, std::uint64_t id) {
    return wait<MemberRecord>([&](auto done) { admin(at).remove_member(id, std::move(done)); });
  }
  Result<std::uint64_t> transfer(std::uint64_t at, std::uint64_t id) {
    return wait<std::uint64_t>([&](auto done) { admin(at).transfer_leader(id, std::move(done)); });
  }
  bool told(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return told_.find(what) != std::string::npos;
  }

 private:
  std::string address(std::uint64_t id) {
    if (ports_.count(id) == 0) ports_[id] = free_port();
    return "127.0.0.1:" + std::to_string(ports_[id]);
  }

  TempDir temp_;
  std::mutex mutex_;
  std::string told_;  // guarded by mutex_
  std::map<std::uint64_t, int> ports_;
  std::map<std::uint64_t, std::unique_ptr<Store>> stores_;
};

}  // namespace

TEST_CASE("three members serve through each of them, and introduce themselves", "[open-group]") {
  Cluster cluster;
  cluster.open_three();
  for (std::uint64_t id = 1; id <= 3; ++id)
    REQUIRE(cluster.put(id, "key-" + std::to_string(id), std::to_string(id)).ok());
  for (std::uint64_t id = 1; id <= 3; ++id)
    for (std::uint64_t key = 1; key <= 3; ++key)
      CHECK(cluster.get(id, "key-" + std::to_string(key)) == std::to_string(key));
  for (std::uint64_t id = 1; id <= 3; ++id) {
    CHECK(eventually([&] {
      const GroupStatus status = cluster.admin(id).status();
      return status.members.size() == 3 && status.members[2].record.client_url == "https://127.0.0.1:6445" &&
             status.members[0].record.data_id != 0 && status.member == id && status.stats.serving;
    }));
  }
}

TEST_CASE("who leads is killed or leaves, and the others go on", "[open-group]") {
  Cluster cluster;
  cluster.open_three();
  const std::uint64_t first = cluster.leader();
  const std::uint64_t other = first % 3 + 1;
  REQUIRE(eventually([&] { return cluster.admin(other).status().leader == first; }));
  const auto moved = cluster.transfer(other, other);  // asked of a follower
  INFO((moved.ok() ? std::string() : moved.error().message));
  REQUIRE(moved.ok());
  CHECK(*moved == other);
  CHECK(cluster.transfer(other, 9).error().code == ErrorCode::kNotFound);
  cluster.close(other);
  const std::uint64_t third = 6 - first - other;
  REQUIRE(cluster.put(third, "after", "the leader left").ok());
  CHECK(cluster.get(first, "after") == "the leader left");
}

TEST_CASE("groups of one that begin at the same address are not the same", "[open-group]") {
  Cluster cluster;
  cluster.open(1, cluster.options(1, {}));
  const std::string first = cluster.admin(1).status().cluster_id;
  cluster.close(1);
  cluster.open(1, cluster.options(1, {}));
  CHECK(cluster.admin(1).status().cluster_id == first);
  cluster.close(1);
  cluster.wipe(1);
  cluster.open(1, cluster.options(1, {}));
  CHECK(cluster.admin(1).status().cluster_id != first);
}

TEST_CASE("the log that is kept for others has a bound in bytes", "[open-group]") {
  Cluster cluster;
  GroupStoreOptions options = cluster.options(1, {});
  options.local.log_segment_bytes = 64u << 10;
  options.local.checkpoint_log_bytes = 128u << 10;
  options.local.keep_log_bytes = 1u << 20;
  cluster.open(1, options);
  for (int i = 0; i < 8; ++i) {
    for (int k = 0; k < 64; ++k) REQUIRE(cluster.put(1, "key", std::string(16u << 10, 'v')).ok());
    CHECK(eventually([&] { return cluster.admin(1).status().log_bytes < 2 << 20; }));
  }
}

TEST_CASE("a group of one grows to three and shrinks again", "[open-group]") {
  Cluster cluster;
  cluster.open(1, cluster.options(1, {}));
  REQUIRE(cluster.put(1, "before", "alone").ok());
  const std::string id = cluster.admin(1).status().cluster_id;
  for (std::uint64_t next = 2; next <= 3; ++next) {
    const auto added = cluster.add(1, next);
    REQUIRE(added.ok());
    REQUIRE(added->id == next);
    CHECK(cluster.add(1, next).error().code == ErrorCode::kConflict);  // the same address
    GroupStoreOptions joining =
        cluster.options(next, next == 2 ? std::vector<std::uint64_t>{1} : std::vector<std::uint64_t>{1, 2});
    joining.join = true;
    CHECK(open_group_store(joining).error().message.find("cluster id") != std::string::npos);
    joining.cluster_id = id;
    cluster.open(next, joining);
    CHECK(eventually([&] { return cluster.promote(1, next).ok(); }));
    CHECK(cluster.get(next, "before") == "alone");
  }
  CHECK(cluster.admin(3).status().members.size() == 3);
  REQUIRE(cluster.put(3, "three", "members").ok());

  // Whoever leads can be removed as well, and is told why nobody wants to hear it any more.
  const std::uint64_t leader = cluster.leader();
  const std::uint64_t stays = leader % 3 + 1;
  REQUIRE(cluster.remove(stays, leader).ok());
  CHECK(eventually([&] {
    return cluster[leader].stats().not_serving_reason.find("was removed from this cluster") !=
           std::string::npos;
  }));
  CHECK(eventually([&] { return cluster.told("removed: member " + std::to_string(leader)); }));
  CHECK(cluster.promote(stays, leader).error().code == ErrorCode::kConflict);
  REQUIRE(cluster.put(stays, "two", "members").ok());
  cluster.close(leader);
  const std::uint64_t last = 6 - leader - stays;
  const auto removed = cluster.remove(stays, last);
  INFO((removed.ok() ? "" : removed.error().message));
  REQUIRE(removed.ok());
  cluster.close(last);
  REQUIRE(cluster.put(stays, "one", "member").ok());
  CHECK(cluster.remove(stays, stays).error().code == ErrorCode::kConflict);
  CHECK(cluster.add(stays, 9)->id == 4);  // an id is never given again
}

TEST_CASE("a directory that is not what it was is refused", "[open-group]") {
  Cluster cluster;
  cluster.open_three();
  REQUIRE(cluster.put(1, "key", "value").ok());
  REQUIRE(eventually([&] { return cluster.admin(1).status().members[2].record.data_id != 0; }));

  SECTION("wiped") {
    cluster.close(3);
    cluster.wipe(3);
    cluster.open(3, cluster.options(3, {1, 2}));
    CHECK(eventually([&] { return cluster.told("had another data directory"); }));
    CHECK(eventually([&] { return !cluster[3].stats().serving; }));
    REQUIRE(cluster.put(2, "key", "still").ok());
  }
  SECTION("an old copy") {
    cluster.close(3);
    std::filesystem::copy(cluster.dir(3), cluster.dir(3) + ".old", std::filesystem::copy_options::recursive);
    cluster.open(3, cluster.options(3, {1, 2}));
    for (int i = 0; i < 20; ++i) REQUIRE(cluster.put(1, "key", std::to_string(i)).ok());
    REQUIRE(cluster.get(3, "key") == "19");
    cluster.close(3);
    cluster.wipe(3);
    std::filesystem::rename(cluster.dir(3) + ".old", cluster.dir(3));
    cluster.open(3, cluster.options(3, {1, 2}));
    // Whether it can be told depends on who leads: then it stops, else it catches up.
    CHECK(eventually([&] {
      return cluster[3].stats().not_serving_reason.find("lacks entries") != std::string::npos ||
             cluster.get(3, "key") == "19";
    }));
  }
  SECTION("another member's") {
    cluster.close(3);
    GroupStoreOptions wrong = cluster.options(2, {1, 3});
    wrong.local.dir = cluster.dir(3);
    CHECK(open_group_store(wrong).error().message.find("of member 3, not of member 2") != std::string::npos);
  }
  SECTION("another cluster's") {
    cluster.close(3);
    GroupStoreOptions wrong = cluster.options(3, {1, 2});
    wrong.cluster_id = "other";
    CHECK(open_group_store(wrong).error().message.find("not to other") != std::string::npos);
    CHECK(open_local_store(wrong.local).error().message.find("member 3 of a group") != std::string::npos);
  }
  SECTION("in use") {
    CHECK(open_group_store(cluster.options(3, {1, 2})).error().code == ErrorCode::kUnavailable);
  }
  SECTION("of one who was alone") {
    cluster.close(3);
    cluster.wipe(3);
    LocalStoreOptions alone;
    alone.dir = cluster.dir(3);
    REQUIRE(open_local_store(alone).ok());
    CHECK(open_group_store(cluster.options(3, {1, 2})).error().message.find("was alone") !=
          std::string::npos);
  }
}

}  // namespace coxswain::store::testing
