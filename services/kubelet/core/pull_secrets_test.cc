#include "services/kubelet/core/pull_secrets.h"

#include <catch2/catch.hpp>

#include "libs/common/base/strings.h"
#include "libs/common/json/json.h"

using namespace coxswain;
using namespace coxswain::kubelet;

namespace {

std::string config(const std::string& server, const std::string& user = "u") {
  return R"({"auths":{")" + server + R"(":{"username":")" + user + R"(","password":"p"}}})";
}

}  // namespace

TEST_CASE("a credential goes to its registry and to no other") {
  struct Row {
    const char* key;
    const char* image;
    bool matches;
  };
  const Row rows[] = {
      {"registry.example.com", "registry.example.com/a/b:1", true},
      {"registry.example.com", "registry.example.com:5000/a", false},
      {"registry.example.com:5000", "registry.example.com:5000/a", true},
      {"https://registry.example.com/v2/", "registry.example.com/a", true},
      {"example.com", "registry.example.com/a", false},
      {"registry.example.com", "registry.example.com.evil.org/a", false},
      {"*.example.com", "registry.example.com/a", true},
      {"*.example.com", "a.b.example.com/a", false},
      {"reg?stry.example.com", "registry.example.com/a", true},
      {"registry.example.com/team", "registry.example.com/team/app:1", true},
      {"registry.example.com/team", "registry.example.com/team:1", true},
      {"registry.example.com/team", "registry.example.com/teammate/app", false},
      {"127.0.0.1:5000", "127.0.0.1:5000/a@sha256:0123", true},
      {"https://index.docker.io/v1/", "busybox", true},
      {"docker.io", "library/busybox:1", true},
      {"index.docker.io", "docker.io/me/app", true},
      {"mydocker.io", "busybox", false},
      {"localhost:5000", "localhost:5000/a", true},
  };
  for (const Row& row : rows) {
    INFO(row.key << " for " << row.image);
    CHECK(credentials_for(row.image, {config(row.key)}).size() == (row.matches ? 1 : 0));
  }
}

TEST_CASE("formats of pull secrets, the longest key first, damaged ones passed over") {
  const std::string image = "r.example.com/team/app";
  const auto found =
      credentials_for(image, {"not json", "[]", R"({"auths":7})", config("r.example.com", "wide"),
                              R"({"r.example.com/team":{"auth":"bmFycm93OmE6Yg=="}})"});
  REQUIRE(found.size() == 2);
  CHECK(found[0].user == "narrow");
  CHECK(found[0].password == "a:b");
  CHECK(found[1].user == "wide");
}

TEST_CASE("the header of the Engine is padded base64url of every length") {
  for (const char* user : {"a", "ab", "abc", "abcd"}) {
    const std::string header = registry_auth_header({"s", user, "p?>~"});
    CHECK(header.size() % 4 == 0);
    CHECK(header.find_first_of("+/") == std::string::npos);
    const auto text = base64url_decode(header.substr(0, header.find('=')));
    REQUIRE(text.has_value());
    CHECK(json::parse(*text)->get_string("username") == user);
  }
}
