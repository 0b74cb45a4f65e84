#include "libs/common/kubeconfig/kubeconfig.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <catch2/catch.hpp>

#include "libs/common/pki/pki.h"

using namespace coxswain;

namespace {
struct TempDir {
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "coxswain-kc-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name, const std::string& text) const {
    REQUIRE(pki::write_file_atomic(path + "/" + name, text, 0600).ok());
    return path + "/" + name;
  }
  std::string path;
};
}  // namespace

TEST_CASE("what is written is read back") {
  TempDir dir;
  kubeconfig::Config config;
  config.server = "https://127.0.0.1:6443";
  config.user = "system:node:a";
  config.ns = "007";  // a string, though it looks like a number
  config.token = "t: #1";
  config.ca_pem = "CA";
  config.certificate_pem = "CERT";
  config.key_pem = "KEY";
  REQUIRE(kubeconfig::save(dir.path + "/sub/k.conf", config, "coxswain").ok());
  const auto loaded = kubeconfig::load(dir.path + "/sub/k.conf");
  REQUIRE(loaded.ok());
  CHECK(loaded->server == config.server);
  CHECK(loaded->user == config.user);
  CHECK(loaded->ns == "007");
  CHECK(loaded->token == "t: #1");
  CHECK(pki::read_file(dir.path + "/sub/k.conf")->find("namespace: \"007\"") != std::string::npos);
  CHECK(loaded->ca_pem == "CA");
  CHECK(loaded->certificate_pem == "CERT");
  CHECK(loaded->key_pem == "KEY");
}

TEST_CASE("files beside the kubeconfig, several files, the first wins") {
  TempDir dir;
  dir.file("ca.pem", "THE CA");
  const std::string one =
      dir.file("one", "current-context: c\ncontexts:\n- {name: c, context: {cluster: k, user: u}}\n");
  const std::string two = dir.file("two",
                                   "current-context: other\nclusters:\n- {name: k, cluster: {server: "
                                   "'https://h:1/', certificate-authority: ca.pem}}\n"
                                   "users:\n- {name: u, user: {tokenFile: token}}\n");
  dir.file("token", "t\n");
  setenv("KUBECONFIG", (one + ":" + dir.path + "/missing:" + two).c_str(), 1);
  const auto loaded = kubeconfig::load();
  unsetenv("KUBECONFIG");
  REQUIRE(loaded.ok());
  CHECK(loaded->server == "https://h:1");
  CHECK(loaded->ca_pem == "THE CA");
  CHECK(loaded->token == "t");
}

TEST_CASE("errors say what is wrong") {
  TempDir dir;
  const std::pair<const char*, const char*> rows[] = {
      {"a: [", "bad"},
      {"clusters: []", "current-context"},
      {"current-context: x", "no context"},
      {"current-context: c\ncontexts: [{name: c, context: {cluster: k}}]", "no cluster"},
      {"current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters: [{name: k, cluster: {}}]",
       "no server"},
      {"current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters: [{name: k, cluster: "
       "{server: s, certificate-authority-data: '!'}}]",
       "base64"},
  };
  for (const auto& [text, expected] : rows) {
    INFO(text);
    const auto loaded = kubeconfig::load(dir.file("bad", text));
    REQUIRE_FALSE(loaded.ok());
    CHECK(loaded.error().message.find(expected) != std::string::npos);
  }
  CHECK_FALSE(kubeconfig::load(dir.path + "/nothing").ok());
}
