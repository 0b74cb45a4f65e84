// Over a real etcd: what the conformance suite cannot see.
#include <catch2/catch.hpp>

#include <future>
#include <thread>

#include "libs/store/conformance/etcd_server.h"
#include "libs/store/etcd/protobuf.h"
#include "libs/store/etcd/raw_etcd.h"

namespace coxswain::store::testing {
namespace {

using std::chrono::milliseconds;

EtcdServer& shared_etcd() {
  static EtcdServer server;
  return server;
}

Revision must_put(Store& store, const std::string& key, const std::string& value) {
  return store.txn_wait({{}, {put(key, value)}}).value().revision;
}

Result<void> barrier(Store& store) {
  std::promise<Result<void>> promise;
  auto future = promise.get_future();
  store.barrier([&promise](Result<void> result) { promise.set_value(std::move(result)); });
  return future.get();
}

bool soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 3'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

std::string refusal(const EtcdStoreOptions& options, ErrorCode code) {
  const auto opened = open_etcd_store(options);
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().code == code);
  CHECK(opened.error().message.find('\n') == std::string::npos);
  return opened.error().message;
}

bool says(const std::string& text, const std::string& part) {
  UNSCOPED_INFO(text);
  return text.find(part) != std::string::npos;
}

TEST_CASE("what one process wrote is there for the next, and watches go on where they were") {
  const EtcdStoreOptions options = shared_etcd().options();
  std::string before;
  {
    const auto store = open_etcd_store(options).value();
    for (int i = 1; i <= 5; ++i) CHECK(must_put(*store, "a", std::to_string(i)) == i);
    REQUIRE(store->txn_wait({{{"a", 5}}, {put_spliced("b", "<>", 1), remove("a", "bye")}}).value().succeeded);
    Revision progress = 0;
    before = show(drain(store->watch("", 2).value().get(), 100, &progress).value());
  }
  const auto store = open_etcd_store(options).value();
  CHECK(store->revision() >= 6);  // a slow etcd costs a tick
  CHECK(show(store->get("b").value()) == "b=<6>@6/6#1");
  CHECK(show(store->get("a", 3).value()) == "a=3@1/3#3");
  Revision progress = 0;
  CHECK(show(drain(store->watch("", 2).value().get(), 100, &progress).value()) == before);
  CHECK(progress == store->revision());
}

TEST_CASE("a start with less history than there was: old reads go to etcd, old watches are told") {
  EtcdStoreOptions options = shared_etcd().options();
  {
    const auto store = open_etcd_store(options).value();
    for (int i = 1; i <= 9; ++i) must_put(*store, "a" + std::to_string(i % 3), std::to_string(i));
  }
  options.limits.history_events = 2;
  const auto store = open_etcd_store(options).value();
  CHECK(store->watch("", 5).error().code == ErrorCode::kCompacted);
  CHECK(store->watch("", 7).ok());
  CHECK(show(store->get("a1", 4).value()) == "a1=4@1/4#2");
  CHECK(store->get("a0", 2).error().code == ErrorCode::kNotFound);
  const RangeResult page = store->range({"a", "a0", 5, 1}).value();
  CHECK(show(page.entries) == "a1=4@1/4#2");
  CHECK(page.more);
  CHECK(page.remaining == 1);
  CHECK(show(store->range({"a", "", 5, 0}).value().entries) == "a0=3@3/3#1 a1=4@1/4#2 a2=5@2/5#2");
}

TEST_CASE("many keys and large ones are loaded in pages") {
  const EtcdStoreOptions options = shared_etcd().options();
  {
    const auto store = open_etcd_store(options).value();
    for (int i = 0; i < 30; ++i) {
      Txn txn;
      for (int k = 0; k < 100; ++k) txn.ops.push_back(put("s" + std::to_string(i * 100 + k), "v"));
      REQUIRE(store->txn_wait(txn).ok());
    }
    for (int i = 0; i < 80; ++i) must_put(*store, "z" + std::to_string(i), std::string(1u << 20, 'z'));
  }
  const auto store = open_etcd_store(options).value();
  CHECK(store->count("s") == 3000);
  CHECK(store->count("z") == 80);
  CHECK(store->get("z79").value()->value == std::string(1u << 20, 'z'));
}

TEST_CASE("after a barrier one process sees what another one was told") {
  const EtcdStoreOptions options = shared_etcd().options();
  const auto one = open_etcd_store(options).value();
  const auto other = open_etcd_store(options).value();
  const auto stranger = open_etcd_store(shared_etcd().options()).value();
  for (int i = 0; i < 200; ++i) {
    const std::string value = std::to_string(i);
    const Revision revision = must_put(*one, "a", value);
    if (i % 10 == 0) must_put(*stranger, "a", "moves etcd's revision on");
    REQUIRE(barrier(*other).ok());
    REQUIRE(other->get("a").value()->value == value);
    REQUIRE(other->revision() >= revision);
  }
  // Whoever lost a race sees why.
  const Revision now = one->get("a").value()->mod_revision;
  REQUIRE(one->txn_wait({{{"a", now}}, {put("a", "x")}}).value().succeeded);
  const TxnResult lost = other->txn_wait({{{"a", now}}, {put("a", "y")}}).value();
  CHECK_FALSE(lost.succeeded);
  CHECK(lost.current->value == "x");
  CHECK(other->get("a").value()->value == "x");
  // A bookmark of a quiet watch follows what strangers do, too.
  const auto watcher = one->watch("b", 0).value();
  must_put(*stranger, "a", "again");
  REQUIRE(barrier(*one).ok());
  CHECK(watcher->poll(10).value().progress == one->revision());
  CHECK(one->revision() > lost.revision);
}

TEST_CASE("what others wrote below the prefix is left alone") {
  EtcdStoreOptions options = shared_etcd().options();
  RawEtcd raw(options);
  raw.put(options.prefix + "/pods/a", "a Kubernetes cluster's");
  CHECK(says(refusal(options, ErrorCode::kInvalidArgument), "choose another --etcd-prefix"));
  CHECK(raw.range({options.prefix + "/", options.prefix + "0"}).kvs.size() == 1);
  options = shared_etcd().options();
  raw.put(options.prefix + "/meta/format", "coxswain etcd store 99");
  CHECK(says(refusal(options, ErrorCode::kInvalidArgument), "newer release"));
  raw.put(options.prefix + "/meta/format", "something");
  CHECK(says(refusal(options, ErrorCode::kInvalidArgument), "not written by Coxswain"));
}

TEST_CASE("what somebody writes by hand is named until it is gone, and harms nothing else") {
  const EtcdStoreOptions options = shared_etcd().options();
  const auto store = open_etcd_store(options).value();
  must_put(*store, "a", "1");
  RawEtcd raw(options);
  raw.put(options.prefix + "/data/b", "x");
  REQUIRE(soon([&] { return !store->stats().serving; }));
  CHECK(says(store->stats().not_serving_reason, options.prefix + "/data/b was not written by Coxswain"));
  CHECK(must_put(*store, "a", "2") == 3);
  const auto next = open_etcd_store(options).value();
  CHECK(show(next->range({}).value().entries) == show(store->range({}).value().entries));
  REQUIRE(soon([&] { return !next->stats().serving; }));
  // Of a store with less history: it is in what is loaded, not in what is watched.
  EtcdStoreOptions short_history = options;
  short_history.limits.history_events = 1;
  const auto other = open_etcd_store(short_history).value();
  REQUIRE(soon([&] { return !other->stats().serving; }));
  REQUIRE(raw.call("/etcdserverpb.KV/DeleteRange", etcd::encode_range({options.prefix + "/data/b"})).ok());
  REQUIRE(soon([&] { return store->stats().serving && next->stats().serving && other->stats().serving; }));
  CHECK(open_etcd_store(options).value()->stats().serving);
}

TEST_CASE("what is too much for etcd is refused, and the next write goes through") {
  const auto store = open_etcd_store(shared_etcd().options()).value();
  Txn many;
  for (int i = 0; i < 129; ++i) many.ops.push_back(put("k" + std::to_string(i), "v"));
  CHECK(store->txn_wait(many).error().code == ErrorCode::kInvalidArgument);
  const std::string two_mib(2u << 20, 'x');
  CHECK(store->txn_wait({{}, {put("a", two_mib)}}).error().code == ErrorCode::kInvalidArgument);
  CHECK(store->txn_wait({{}, {put("a", std::string(5u << 20, 'x'))}}).error().code ==
        ErrorCode::kInvalidArgument);
  CHECK(must_put(*store, "a", "fits") == 1);
}

TEST_CASE("a full etcd is read-only until it has room") {
  EtcdOptions small;
  small.flags = {"--quota-backend-bytes=2000000"};
  EtcdServer etcd(small);
  const auto store = open_etcd_store(etcd.options()).value();
  must_put(*store, "a", "1");
  Result<TxnResult> last = TxnResult{};
  // It looks at its size only now and then.
  REQUIRE(soon([&] { return !(last = store->txn_wait({{}, {put("b", std::string(100'000, 'x'))}})).ok(); }));
  CHECK(last.error().code == ErrorCode::kResourceExhausted);
  CHECK(store->stats().read_only);
  CHECK(says(store->stats().read_only_reason, "NOSPACE"));
  CHECK(store->get("a").value()->value == "1");
  REQUIRE(barrier(*store).ok());
}

TEST_CASE("old versions are compacted by age, by one of all") {
  EtcdStoreOptions options = shared_etcd().options();
  options.limits.retention_ms = 500;
  const auto one = open_etcd_store(options).value();
  const auto other = open_etcd_store(options).value();
  for (int i = 1; i <= 5; ++i) must_put(*one, "a", std::to_string(i));
  REQUIRE(soon([&] { return one->stats().compacted >= 5 && other->stats().compacted >= 5; }));
  CHECK(one->get("a", 4).error().code == ErrorCode::kCompacted);
  CHECK(other->range({"", "", 4, 0}).error().code == ErrorCode::kCompacted);
  CHECK(show(one->get("a").value()) == "a=5@1/5#5");
  RawEtcd raw(options);
  etcd::KeyRange old{options.prefix + "/data/a"};
  const Revision base = raw.range({options.prefix + "/meta/format"}).kvs.front().create_revision;
  old.revision = base + 4;
  CHECK(soon([&] { return !raw.call(etcd::kRangePath, etcd::encode_range(old)).ok(); }));
}

// ---- certificates ----

TEST_CASE("certificates that do not fit: one line says why and what to do") {
  EtcdOptions with_tls;
  with_tls.tls = true;
  EtcdServer etcd(with_tls);
  const EtcdStoreOptions good = etcd.options();
  REQUIRE(open_etcd_store(good).ok());

  CHECK(says(refusal(etcd.with_foreign_certificate(), ErrorCode::kPermissionDenied), "--etcd-certfile"));
  EtcdStoreOptions without = good;
  without.certificate_path = without.key_path = "";
  CHECK(says(refusal(without, ErrorCode::kPermissionDenied), "--etcd-certfile"));
  EtcdStoreOptions other_ca = good;
  other_ca.ca_path = etcd.with_foreign_certificate().certificate_path;
  other_ca.ca_path = other_ca.ca_path.substr(0, other_ca.ca_path.rfind('/')) + "/ca.crt";
  CHECK(says(refusal(other_ca, ErrorCode::kPermissionDenied), "--etcd-cafile"));
  EtcdStoreOptions other_name = good;
  other_name.endpoints[0].host = "127.0.0.2";
  other_name.start_timeout_ms = 300;  // nobody listens there
  CHECK(says(refusal(other_name, ErrorCode::kUnavailable), "127.0.0.2"));
  EtcdStoreOptions missing = good;
  missing.key_path = "/nowhere/key";
  CHECK(says(refusal(missing, ErrorCode::kInvalidArgument), "/nowhere/key must be the key"));
  EtcdStoreOptions half = good;
  half.key_path = "";
  CHECK(says(refusal(half, ErrorCode::kInvalidArgument), "belong together"));

  EtcdStoreOptions plain = good;
  plain.ca_path = plain.certificate_path = plain.key_path = "";
  plain.start_timeout_ms = 500;
  CHECK(says(refusal(plain, ErrorCode::kUnavailable), "etcd at 127.0.0.1"));
  EtcdStoreOptions tls_to_plain = good;
  tls_to_plain.endpoints = shared_etcd().options().endpoints;
  tls_to_plain.start_timeout_ms = 500;
  CHECK(says(refusal(tls_to_plain, ErrorCode::kUnavailable), "does not speak TLS"));
}

TEST_CASE("etcd's own users: the certificate's name needs a role for the prefix") {
  EtcdOptions with_tls;
  with_tls.tls = true;
  EtcdServer etcd(with_tls);
  const EtcdStoreOptions options = etcd.options();
  RawEtcd raw(options);
  const auto must = [&](const std::string& method, const std::vector<std::string>& fields) {
    std::string request;
    for (std::size_t i = 0; i < fields.size(); ++i)
      etcd::put_field(&request, static_cast<std::uint32_t>(i + 1), fields[i]);
    REQUIRE(raw.call("/etcdserverpb.Auth/" + method, request).ok());
  };
  for (const char* user : {"root", "client"}) must("UserAdd", {user, "secret"});
  for (const char* role : {"root", "coxswain"}) must("RoleAdd", {role});
  must("UserGrantRole", {"root", "root"});
  std::string read_and_write;
  etcd::put_field(&read_and_write, 1, std::int64_t{2});
  etcd::put_field(&read_and_write, 2, options.prefix + "/");
  etcd::put_field(&read_and_write, 3, options.prefix + "0");
  must("RoleGrantPermission", {"coxswain", read_and_write});

  SECTION("with it") {
    must("UserGrantRole", {"client", "coxswain"});
    must("AuthEnable", {});
    const auto store = open_etcd_store(options).value();
    CHECK(must_put(*store, "a", "1") == 1);
    REQUIRE(store->txn_wait({{}, {remove("a", "bye"), remove("b")}}).value().succeeded);
    REQUIRE(barrier(*store).ok());
    REQUIRE(store->compact(1).ok());
    CHECK(open_etcd_store(options).value()->revision() == 2);
  }
  SECTION("without") {
    must("AuthEnable", {});
    CHECK(says(refusal(options, ErrorCode::kPermissionDenied), "with a role for the prefix"));
  }
}

TEST_CASE("plain text leaves the machine only when it is asked to") {
  EtcdStoreOptions options;
  options.endpoints = {{"192.0.2.1", 2379}};
  CHECK(says(refusal(options, ErrorCode::kInvalidArgument), "plain text"));
  options.plain = true;
  options.start_timeout_ms = 300;
  refusal(options, ErrorCode::kUnavailable);
  EtcdStoreOptions nobody = shared_etcd().options();
  for (const char* bad : {"", "/", "coxswain", "/coxswain/"}) {
    nobody.prefix = bad;
    CHECK(says(refusal(nobody, ErrorCode::kInvalidArgument), "--etcd-prefix"));
  }
}

TEST_CASE("somebody else's server is not taken for etcd") {
  Proxy closed(1);  // accepts, then closes
  EtcdStoreOptions options;
  options.endpoints = {{"127.0.0.1", closed.port()}};
  options.start_timeout_ms = 300;
  CHECK(says(refusal(options, ErrorCode::kUnavailable), std::to_string(closed.port())));
}

}  // namespace
}  // namespace coxswain::store::testing
