// What `coxctl store` shows of a group whose members answer, hang, or are somebody else.
#include "cli/store_members.h"

#include <catch2/catch.hpp>

#include "libs/client/fake_transport.h"

using namespace coxswain;  // NOLINT: a test

namespace {

json::Value parse(const std::string& text) {
  const auto value = json::parse(text);
  REQUIRE(value.ok());
  return *value;
}

std::string record(int id, const std::string& more) {
  return R"({"id":")" + std::to_string(id) + R"(","name":"m)" + std::to_string(id) + R"(","peerAddress":"h)" +
         std::to_string(id) + R"(:1")" + more + "}";
}

// A group of three and a fourth that was removed; member 3 does not answer and lags by 40, member 2 by 5.
std::string status(int member, const std::string& role, int applied) {
  std::string members =
      "[" +
      record(1, R"(,"role":"voter","clientUrl":"https://h1","inGroup":true,"votes":true,"matchIndex":100)") +
      "," +
      record(2,
             R"(,"role":"learner","clientUrl":"https://h2","inGroup":true,"votes":false,"matchIndex":95)") +
      "," +
      record(3, R"(,"role":"voter","clientUrl":"https://h3","inGroup":true,"votes":true,"matchIndex":60)") +
      "," + record(4, R"(,"role":"removed","clientUrl":"https://h4","inGroup":false,"votes":false)") + "," +
      record(5, R"(,"role":"voter","clientUrl":"","inGroup":true,"votes":true)") + "]";
  return R"({"clusterId":"c","member":")" + std::to_string(member) + R"(","role":")" + role +
         R"(","leader":"1","term":3,"revision":)" + std::to_string(applied) +
         R"(,"lastIndex":100,"committedIndex":99,"appliedIndex":)" + std::to_string(applied) +
         R"(,"stateBytes":1536,"logBytes":16777216,"serving":true,"readOnly":false,"members":)" + members +
         "}";
}

std::shared_ptr<client::ApiClient> client_of(const client::FakeTransport::Handler& handler) {
  return std::make_shared<client::ApiClient>(std::make_shared<client::FakeTransport>(handler),
                                             client::ApiClient::Options());
}

cli::StoreMembers ask(const std::string& second) {
  // Members are asked by threads, which must not check anything by Catch.
  const auto answer = [](const std::string& body) {
    return [body](const http::ClientRequest& request) -> Result<http::ClientResponse> {
      return request.target == "/store/v1/status" ? client::answer_of(200, body)
                                                  : client::answer_of(404, request.target);
    };
  };
  const auto first = client_of(answer(status(1, "leader", 99)));
  const auto group = cli::ask_members(
      *first, "https://balancer", [&](const std::string& url) -> Result<std::shared_ptr<client::ApiClient>> {
        if (url == "https://h2") return client_of(answer(second));
        return client_of([url](const http::ClientRequest&) -> Result<http::ClientResponse> {
          return make_error(ErrorCode::kUnavailable, "connection refused by " + url);
        });
      });
  REQUIRE(group.ok());
  return *group;
}

}  // namespace

TEST_CASE("the store's members are shown side by side") {
  const std::string table = cli::status_table(ask(status(2, "learner", 94)));
  CHECK(table ==
        "ID   NAME   ROLE      TERM   REVISION   LAG   DB-SIZE   LOG-SIZE   HEALTH        ENDPOINT\n"
        "1    m1     leader    3      99         0     1.5 KiB   16.0 MiB   ok            https://h1\n"
        "2    m2     learner   3      94         5     1.5 KiB   16.0 MiB   ok            https://h2\n"
        "3    m3     voter     -      -          40    -         -          unreachable   https://h3\n"
        "5    m5     voter     -      -          -     -         -          unreachable   <unknown>\n"
        "member 3: unreachable: connection refused by https://h3\n"
        "member 5: unreachable: it has not said yet where its api-server is\n");
}

TEST_CASE("another member at an address is not taken for the one that should be there") {
  const cli::StoreMembers group = ask(status(7, "follower", 94));
  CHECK_FALSE(group.members[1].reachable());
  CHECK(group.members[1].error == "member 7 answers there");
}

TEST_CASE("what is wrong with a member is told, for people and for programs") {
  cli::StoreMembers group = ask(status(2, "learner", 94));
  json::Value& ill = group.members[1].status;
  const auto health = [&] {
    const json::Value document = cli::status_document(group);
    const json::Value& member = document.find("members")->as_array()[1];
    return member.get_string("health") + ": " + member.get_string("reason");
  };
  CHECK(health() == "ok: ");
  ill.set("leader", "0");
  CHECK(health() == "no-leader: it knows of no leader: is there a quorum?");
  ill.set("alarm", "members have different states");
  CHECK(health() == "alarm: members have different states");
  ill.set("serving", false);
  ill.set("notServingReason", "no quorum");
  CHECK(health() == "not-serving: no quorum");
  ill.set("readOnly", true);
  ill.set("readOnlyReason", "no space");
  CHECK(health() == "read-only: no space");
  CHECK(cli::status_table(group).find("member 2: read-only: no space\n") != std::string::npos);
  const json::Value document = cli::status_document(group);
  CHECK(document.get_string("clusterId") == "c");
  CHECK(document.find("members")->as_array().size() == 4);
  CHECK_FALSE(document.find("members")->as_array()[2].get_bool("reachable", true));
}

TEST_CASE("an error of the member that is asked first is the answer") {
  const auto first = client_of([](const http::ClientRequest&) -> Result<http::ClientResponse> {
    return client::answer_of(403, R"({"kind":"Status","code":403,"reason":"Forbidden","message":"no"})");
  });
  const auto group = cli::ask_members(*first, "", nullptr);
  REQUIRE_FALSE(group.ok());
  CHECK(group.error().reason == "Forbidden");
}

TEST_CASE("sizes and lists of members are as people and flags have them") {
  CHECK(cli::human_bytes(0) == "0 B");
  CHECK(cli::human_bytes(1023) == "1023 B");
  CHECK(cli::human_bytes(1024) == "1.0 KiB");
  CHECK(cli::human_bytes(std::int64_t{5} << 40) == "5.0 TiB");
  CHECK(cli::initial_cluster(*parse(status(1, "leader", 9)).find("members")) ==
        "1=h1:1,2=h2:1,3=h3:1,5=h5:1");
  CHECK(cli::initial_cluster(nullptr).empty());
  CHECK(cli::member_table(*parse(status(1, "leader", 9)).find("members")).find("4    m4     removed") !=
        std::string::npos);
}

TEST_CASE("members that differ, or that cannot be asked, are not called equal") {
  const auto says = [](int id, const char* hash) {
    return cli::HashAnswer{parse(record(id, "")),
                           json::Value::object({{"revision", 7}, {"keys", 3}, {"hash", hash}}), ""};
  };
  const cli::HashAnswer silent{parse(record(3, "")), nullptr, "connection refused"};
  const auto equal = cli::judge_hashes({says(1, "sha256:aa"), says(2, "sha256:aa")}, 7);
  CHECK(equal.equal);
  CHECK(equal.said == "equal: 2 members at revision 7");
  CHECK(equal.table ==
        "ID   NAME   REVISION   KEYS   HASH\n"
        "1    m1     7          3      sha256:aa\n"
        "2    m2     7          3      sha256:aa\n");
  for (const auto& answers : {std::vector{says(1, "sha256:aa"), says(2, "sha256:bb")},
                              std::vector{says(1, "sha256:aa"), says(2, "sha256:bb"), says(3, "sha256:aa")},
                              std::vector{silent, says(1, "sha256:aa"), says(2, "sha256:bb")}}) {
    const auto verdict = cli::judge_hashes(answers, 7);
    CHECK_FALSE(verdict.equal);
    CHECK(verdict.said.starts_with("error: members differ at revision 7"));
  }
  const auto unsure = cli::judge_hashes({says(1, "sha256:aa"), silent}, 7);
  CHECK_FALSE(unsure.equal);
  CHECK(unsure.said.starts_with("error: 1 of 2 members could not be asked"));
  CHECK(unsure.table.find("member 3: connection refused\n") != std::string::npos);
  CHECK_FALSE(cli::judge_hashes({silent}, 7).equal);
  CHECK_FALSE(cli::judge_hashes({}, 7).equal);
}
