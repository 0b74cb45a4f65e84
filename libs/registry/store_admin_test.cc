// /store/v1 over a store administration that the test holds in its hands.
#include <filesystem>
#include <thread>

#include "libs/common/base/strings.h"
#include "libs/registry/test_cluster.h"
#include "libs/store/backup/snapshot_file.h"
#include "libs/store/engine/engine.h"
#include "libs/store/mvcc/history.h"
#include "libs/store/node/node.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

using store::MemberRecord;
using store::MemberRole;

// Answers from a thread of its own, as the store does, with what the test wants.
class FakeAdmin : public store::StoreAdmin {
 public:
  explicit FakeAdmin(std::shared_ptr<store::Engine> engine) : engine_(std::move(engine)) {}
  ~FakeAdmin() override {
    for (std::thread& thread : threads_) thread.join();
  }

  store::GroupStatus status() const override {
    store::GroupStatus status;
    status.cluster_id = "c0ffee";
    status.member = 1;
    status.leader = 2;
    status.term = 5;
    status.last_index = 30;
    status.committed_index = 29;
    status.applied_index = 28;
    status.log_bytes = 4096;
    status.stats.revision = 17;
    status.stats.serving = false;
    status.stats.alarm = "members differ";
    status.agreed_hash = "abcd";
    status.stats.not_serving_reason = "alone";
    store::MemberView one{{1, MemberRole::kVoter, "one", "h1:1", "https://h1:2", UINT64_MAX}, true, true};
    store::MemberView two{{2, MemberRole::kLearner, "two", "h2:1", "", 0}, true, false, true, 27};
    two.differs = true;
    status.members = {one, two};
    return status;
  }
  void add_member(std::string name, std::string peer_address, MemberDone done) override {
    asked = "add " + name + " " + peer_address;
    answer(std::move(done), {3, MemberRole::kLearner, name, peer_address, "", 0});
  }
  void promote_member(std::uint64_t id, MemberDone done) override {
    asked = "promote " + std::to_string(id);
    answer(std::move(done), {id, MemberRole::kVoter, "x", "h:1", "", 0});
  }
  void remove_member(std::uint64_t id, MemberDone done) override {
    asked = "remove " + std::to_string(id);
    answer(std::move(done), {id, MemberRole::kRemoved, "x", "h:1", "", 0});
  }
  void replace_member(std::uint64_t id, MemberDone done) override {
    asked = "replace " + std::to_string(id);
    answer(std::move(done), {id + 1, MemberRole::kVoter, "x", "h:1", "", 0});
  }
  void transfer_leader(std::uint64_t id, LeaderDone done) override {
    asked = "leader " + std::to_string(id);
    const Result<std::uint64_t> result =
        failure.message.empty() ? Result<std::uint64_t>(id == 0 ? 2 : id) : Result<std::uint64_t>(failure);
    threads_.emplace_back([done = std::move(done), result] { done(result); });
  }
  Result<std::unique_ptr<store::EngineImage>> image() const override {
    if (!failure.message.empty()) return failure;
    if (stale_images > 0) {
      --stale_images;
      return store::open_memory_engine()->image();
    }
    return engine_->image();
  }

  std::string asked;
  Error failure;                 // without a message: none
  mutable int stale_images = 0;  // so many come first that have nothing yet

 private:
  void answer(MemberDone done, const MemberRecord& record) {
    const Result<MemberRecord> result =
        failure.message.empty() ? Result<MemberRecord>(record) : Result<MemberRecord>(failure);
    threads_.emplace_back([done = std::move(done), result] { done(result); });
  }
  const std::shared_ptr<store::Engine> engine_;
  std::vector<std::thread> threads_;
};

// A store in memory of which the engine is known.
struct Administered {
  std::shared_ptr<store::Engine> engine = store::open_memory_engine();
  std::unique_ptr<store::Store> store;
  FakeAdmin admin{engine};
  std::unique_ptr<Registry> registry;

  explicit Administered(bool with_admin = true, bool authenticate = false) {
    store::NodeOptions node;
    node.member.engine = engine;
    node.member.raft.id = 1;
    node.member.raft.seed = 1;
    node.member.initial.voters = {1};
    node.member.clock = &system_clock();
    store = *store::open_node(std::move(node));
    Options options;
    options.authenticate = authenticate;
    options.store_admin = with_admin ? &admin : nullptr;
    registry = std::make_unique<Registry>(*store, options);
    REQUIRE(registry->bootstrap().ok());
  }

  std::shared_ptr<LocalExchange> send(const std::string& method, const std::string& target,
                                      const std::string& body = {}, const http::PeerIdentity& who = {}) {
    http::Request request = make_request(method, target, body);
    request.peer = who;
    auto exchange = std::make_shared<LocalExchange>(std::move(request));
    registry->handle(exchange);
    REQUIRE(exchange->wait_done());
    return exchange;
  }
  json::Value json(const std::string& method, const std::string& target, int code,
                   const std::string& body = {}) {
    const auto exchange = send(method, target, body);
    INFO(method << " " << target << " " << body << " -> " << exchange->status() << " " << exchange->body());
    REQUIRE(exchange->status() == code);
    const auto value = json::parse(exchange->body());
    REQUIRE(value.ok());
    return *value;
  }
};

std::string field_of(const json::Value& status) {
  const json::Value* causes = status.find_path({"details", "causes"});
  REQUIRE(causes != nullptr);
  return causes->as_array().front().get_string("field");
}

}  // namespace

TEST_CASE("the store's status and members are told") {
  Administered cluster;
  const json::Value status = cluster.json("GET", "/store/v1/status", 200);
  CHECK(status.get_string("clusterId") == "c0ffee");
  CHECK(status.get_string("member") == "1");
  CHECK(status.get_string("leader") == "2");
  CHECK(status.get_string("role") == "follower");
  CHECK(status.get_int("term", 0) == 5);
  CHECK(status.get_int("revision", 0) == 17);
  CHECK(status.get_int("appliedIndex", 0) == 28);
  CHECK(status.get_string("notServingReason") == "alone");
  CHECK(status.get_string("alarm") == "members differ");
  CHECK(status.get_string("agreedHash") == "abcd");
  const json::Value members = cluster.json("GET", "/store/v1/members/", 200);
  CHECK(members.get_string("clusterId") == "c0ffee");
  const json::Array& list = members.find("members")->as_array();
  REQUIRE(list.size() == 2);
  CHECK(list[0].get_string("id") == "1");
  CHECK(list[0].get_string("dataId") == "18446744073709551615");  // no client rounds it
  CHECK(list[0].find("matchIndex") == nullptr);
  CHECK(list[1].get_string("role") == "learner");
  CHECK(list[1].get_int("matchIndex", 0) == 27);
  CHECK(list[1].get_bool("differs"));
  CHECK(json::write(*status.find("members")) == json::write(*members.find("members")));
}

TEST_CASE("members are changed, and the leader is") {
  Administered cluster;
  const json::Value added =
      cluster.json("POST", "/store/v1/members", 201, R"({"name":"three","peerAddress":"10.0.0.3:2380"})");
  CHECK(cluster.admin.asked == "add three 10.0.0.3:2380");
  CHECK(added.get_string("id") == "3");
  CHECK(added.get_string("role") == "learner");
  CHECK(cluster.json("POST", "/store/v1/members/3/promote", 200).get_string("role") == "voter");
  CHECK(cluster.admin.asked == "promote 3");
  CHECK(cluster.json("POST", "/store/v1/members/3/replace", 201).get_string("id") == "4");
  CHECK(cluster.admin.asked == "replace 3");
  CHECK(cluster.json("DELETE", "/store/v1/members/3", 200).get_string("role") == "removed");
  CHECK(cluster.admin.asked == "remove 3");
  CHECK(cluster.json("POST", "/store/v1/leader", 200).get_string("leader") == "2");
  CHECK(cluster.admin.asked == "leader 0");
  CHECK(cluster.json("POST", "/store/v1/leader", 200, R"({"member":3})").get_string("leader") == "3");
  CHECK(cluster.json("POST", "/store/v1/leader", 200, R"({"member":"4"})").get_string("leader") == "4");
}

TEST_CASE("what the store refuses is a Status that says so") {
  Administered cluster;
  struct Row {
    ErrorCode code;
    int status;
    const char* reason;
  };
  for (const Row& row :
       {Row{ErrorCode::kInvalidArgument, 422, "Invalid"}, Row{ErrorCode::kNotFound, 404, "NotFound"},
        Row{ErrorCode::kConflict, 409, "Conflict"}, Row{ErrorCode::kUnavailable, 503, "ServiceUnavailable"},
        Row{ErrorCode::kDeadlineExceeded, 504, "Timeout"}}) {
    cluster.admin.failure = make_error(row.code, "because of that");
    const std::string member = R"({"name":"three","peerAddress":"10.0.0.3:2380"})";
    for (const json::Value& answer : {cluster.json("POST", "/store/v1/members", row.status, member),
                                      cluster.json("POST", "/store/v1/members/3/promote", row.status),
                                      cluster.json("POST", "/store/v1/members/3/replace", row.status),
                                      cluster.json("DELETE", "/store/v1/members/3", row.status),
                                      cluster.json("POST", "/store/v1/leader", row.status)}) {
      CHECK(answer.get_string("kind") == "Status");
      CHECK(answer.get_string("reason") == row.reason);
      CHECK(answer.get_string("message").find("because of that") != std::string::npos);
    }
  }
}

TEST_CASE("bad requests to the store name their field and change nothing") {
  struct Row {
    const char* method;
    const char* path;
    const char* body;
    int code;
    const char* field;  // null: none
  };
  const Row rows[] = {
      {"POST", "members", R"({"peerAddress":"h:1"})", 422, "name"},
      {"POST", "members", R"({"name":"a b","peerAddress":"h:1"})", 422, "name"},
      {"POST", "members", R"({"name":7,"peerAddress":"h:1"})", 422, "name"},
      {"POST", "members", R"({"name":"a"})", 422, "peerAddress"},
      {"POST", "members", R"({"name":"a","peerAddress":"h"})", 422, "peerAddress"},
      {"POST", "members", R"({"name":"a","peerAddress":"h:0"})", 422, "peerAddress"},
      {"POST", "members", R"({"name":"a","peerAddress":"h:1","x":1})", 422, "x"},
      {"POST", "members", "", 422, "name"},
      {"POST", "members", "[]", 400, nullptr},
      {"POST", "members", "{", 400, nullptr},
      {"POST", "leader", R"({"member":0})", 422, "member"},
      {"POST", "leader", R"({"member":-1})", 422, "member"},
      {"POST", "leader", R"({"member":"one"})", 422, "member"},
      {"POST", "leader", R"({"member":1.5})", 422, "member"},
      {"POST", "leader", R"({"membr":1})", 422, "membr"},
      {"POST", "compact", "", 422, "revision"},
      {"POST", "compact", R"({"revision":-3})", 422, "revision"},
      {"POST", "compact", R"({"revision":1000000})", 422, "revision"},
      {"GET", "hash?revision=-1", "", 422, "revision"},
      {"GET", "hash?revision=x", "", 422, "revision"},
      {"GET", "hash?revision=1000000", "", 504, nullptr},
      {"POST", "members/x/promote", "", 404, nullptr},
      {"POST", "members/0/promote", "", 404, nullptr},
      {"POST", "members/99999999999999999999/promote", "", 404, nullptr},
      {"GET", "members/1", "", 405, nullptr},
      {"PUT", "members", "{}", 405, nullptr},
      {"POST", "snapshot", "", 405, nullptr},
      {"GET", "nothing", "", 404, nullptr},
      {"GET", "", "", 404, nullptr},
      {"GET", "status/x", "", 404, nullptr},
  };
  Administered cluster;
  for (const Row& row : rows) {
    INFO(row.method << " " << row.path << " " << row.body);
    const json::Value answer =
        cluster.json(row.method, std::string("/store/v1/") + row.path, row.code, row.body);
    CHECK(answer.get_string("kind") == "Status");
    CHECK_FALSE(answer.get_string("reason").empty());
    CHECK_FALSE(answer.get_string("message").empty());
    if (row.field != nullptr) CHECK(field_of(answer) == row.field);
  }
  CHECK(cluster.admin.asked.empty());
}

TEST_CASE("only masters administer the store") {
  Administered cluster(true, true);
  const http::PeerIdentity node{"system:node:n1", {"system:nodes"}};
  for (const char* path : {"/store/v1/status", "/store/v1/snapshot", "/store/v1/nothing", "/store/v1"}) {
    INFO(path);
    CHECK(cluster.send("GET", path)->status() == 401);
    const auto answer = cluster.send("GET", path, "", node);
    CHECK(answer->status() == 403);
    CHECK(json::parse(answer->body())->get_string("reason") == "Forbidden");
  }
  CHECK(cluster.send("DELETE", "/store/v1/members/1", "", node)->status() == 403);
  CHECK(cluster.admin.asked.empty());
  CHECK(cluster.send("GET", "/store/v1/status", "", {"root", {"system:masters"}})->status() == 200);
  CHECK(cluster.send("GET", "/store/v10/status", "", node)->status() == 404);
}

TEST_CASE("a store of another kind says what to use instead") {
  Administered cluster(false);
  const json::Value answer = cluster.json("GET", "/store/v1/status", 501);
  CHECK(answer.get_string("reason") == "NotImplemented");
  CHECK(answer.get_string("message").find("etcdctl") != std::string::npos);
  CHECK(cluster.json("GET", "/store/v1/nothing", 404).get_string("kind") == "Status");
}

TEST_CASE("a snapshot is streamed, and is the state of its revision") {
  Administered cluster;
  for (int i = 0; i < 50; ++i) {
    const std::string body = R"({"metadata":{"name":"m)" + std::to_string(i) + R"("},"data":{"v":")" +
                             std::string(20000, 'x') + "\"}}";
    cluster.json("POST", "/api/v1/namespaces/default/configmaps", 201, body);
  }
  cluster.json("DELETE", "/api/v1/namespaces/default/configmaps/m7", 200);
  const auto answer = cluster.send("GET", "/store/v1/snapshot");
  REQUIRE(answer->status() == 200);
  CHECK(http::find_header(answer->headers(), "Content-Type") == "application/octet-stream");
  std::size_t n = 0;
  store::SnapshotDecoder decoder({nullptr, [&](const store::EntryPtr& entry) {
                                    const auto stored = cluster.store->get(entry->key);
                                    REQUIRE(stored.ok());
                                    CHECK((*stored)->value == entry->value);
                                    CHECK((*stored)->mod_revision == entry->mod_revision);
                                    ++n;
                                    return Result<void>();
                                  }});
  REQUIRE(decoder.feed(answer->body()).ok());
  const auto summary = decoder.finish();
  REQUIRE(summary.ok());
  CHECK(summary->header.revision == cluster.store->revision());
  CHECK(summary->header.cluster_id == "c0ffee");
  CHECK(static_cast<std::int64_t>(n) == cluster.store->count(""));
  const json::Value hash = cluster.json("GET", "/store/v1/hash", 200);
  CHECK(hash.get_string("hash") == "sha256:" + summary->state_hash);
  CHECK(hash.get_int("keys", 0) == static_cast<std::int64_t>(n));
}

TEST_CASE("the hash of a revision stays as it is while the store goes on") {
  Administered cluster;
  const std::string maps = "/api/v1/namespaces/default/configmaps";
  cluster.json("POST", maps, 201, R"({"metadata":{"name":"a"},"data":{"v":"1"}})");
  const json::Value then = cluster.json("GET", "/store/v1/hash", 200);
  const std::string at = std::to_string(then.get_int("revision", 0));
  cluster.json("PUT", maps + "/a", 200, R"({"metadata":{"name":"a"},"data":{"v":"2"}})");
  cluster.json("POST", maps, 201, R"({"metadata":{"name":"b"}})");
  const json::Value again = cluster.json("GET", "/store/v1/hash?revision=" + at, 200);
  CHECK(again.get_string("hash") == then.get_string("hash"));
  CHECK(again.get_int("keys", 0) == then.get_int("keys", 0));
  CHECK(cluster.json("GET", "/store/v1/hash", 200).get_string("hash") != then.get_string("hash"));
  const std::int64_t now = cluster.store->revision();
  const json::Value compacted =
      cluster.json("POST", "/store/v1/compact", 200, R"({"revision":")" + std::to_string(now) + "\"}");
  CHECK(compacted.get_int("compactedRevision", 0) == now);
  CHECK(cluster.json("GET", "/store/v1/hash?revision=" + at, 410).get_string("reason") == "Expired");
}

TEST_CASE("what is read is never older than what was acknowledged, though the engine follows") {
  Administered cluster;
  const json::Value hash = cluster.json("GET", "/store/v1/hash", 200);
  const std::string at = std::to_string(hash.get_int("revision", 0));
  for (const std::string& target : {std::string("/store/v1/hash"), "/store/v1/hash?revision=" + at}) {
    cluster.admin.stale_images = 3;
    CHECK(cluster.json("GET", target, 200).get_string("hash") == hash.get_string("hash"));
    CHECK(cluster.admin.stale_images == 0);
  }
  cluster.admin.stale_images = 3;
  const auto answer = cluster.send("GET", "/store/v1/snapshot");
  store::SnapshotDecoder decoder({});
  REQUIRE(decoder.feed(answer->body()).ok());
  CHECK(std::to_string(decoder.finish()->header.revision) == at);
}

TEST_CASE("a snapshot that cannot be taken is a Status, and a client that leaves ends it") {
  Administered cluster;
  cluster.admin.failure = make_error(ErrorCode::kUnavailable, "being reopened");
  CHECK(cluster.json("GET", "/store/v1/snapshot", 503).get_string("message").find("being reopened") !=
        std::string::npos);
  CHECK(cluster.json("GET", "/store/v1/hash", 503).get_string("kind") == "Status");
  cluster.admin.failure = {};
  for (int i = 0; i < 20; ++i) {  // more than there may be at once: each gives its place back
    auto exchange = std::make_shared<LocalExchange>(make_request("GET", "/store/v1/snapshot"));
    cluster.registry->handle(exchange);
    exchange->close();
    (void)exchange->wait_done(100);
  }
  CHECK(cluster.send("GET", "/store/v1/snapshot")->status() == 200);
}
