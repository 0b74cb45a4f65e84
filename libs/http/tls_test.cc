// Who may talk to whom: certificates that are right, missing, foreign, expired, or for another purpose.
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
#include "libs/common/pki/pki.h"
#include "libs/http/client.h"
#include "libs/http/server.h"
#include "libs/http/test_peer.h"

using namespace coxswain;
using namespace coxswain::http;

namespace {

constexpr std::int64_t kYear_ms = 365LL * 24 * 3600 * 1000;

struct Authority {
  explicit Authority(std::int64_t now_ms = system_clock().unix_ms()) : now_ms(now_ms) {
    std::string pattern = (std::filesystem::temp_directory_path() / "coxswain-tls-XXXXXX").string();
    dir = mkdtemp(pattern.data());
    ca = *pki::ensure_ca(dir, now_ms);
  }
  ~Authority() { std::filesystem::remove_all(dir); }
  pki::KeyPair issue(const std::string& name, bool server, bool client, std::int64_t at_ms) const {
    pki::CertificateRequest request;
    request.common_name = name;
    request.organizations = {"group-a", "group-b"};
    request.server = server;
    request.client = client;
    if (server) request.ip_addresses = {"127.0.0.1"};
    return *pki::ensure_certificate(dir, name, ca, request, at_ms);
  }
  std::int64_t now_ms;
  std::string dir;
  pki::KeyPair ca;
};

// Answers with who asked.
void whoami(std::shared_ptr<Exchange> exchange) {
  const PeerIdentity& peer = exchange->request().peer;
  std::string text =
      peer.common_name.empty() ? "anonymous" : peer.common_name + ":" + join(peer.organizations, ",");
  if (exchange->request().path == "/big") text = std::string(20 * 1024 * 1024, 'x');
  if (exchange->request().path == "/watch") {
    exchange->begin(200, {});
    exchange->write({Chunk::of(text)});
    auto keep = std::make_shared<std::shared_ptr<Exchange>>(exchange);
    exchange->on_closed([keep] { keep->reset(); });
    return;
  }
  if (!exchange->request().body.empty()) text = std::to_string(exchange->request().body.size());
  exchange->respond({200, {}, {Chunk::of(std::move(text))}});
}

struct Fixture {
  explicit Fixture(bool require = false) {
    const auto pair = cluster.issue("server", true, false, cluster.now_ms);
    ServerOptions options;
    options.tls = {pair.certificate_path, pair.key_path, cluster.ca.certificate_path, require};
    auto started = serve(options, whoami);
    REQUIRE(started.ok());
    server = std::move(*started);
  }
  Result<ClientResponse> ask(const std::string& ca_path, const pki::KeyPair& pair,
                             const std::string& target = "/", const std::string& body = {}) const {
    ClientOptions options;
    options.base_url = "https://127.0.0.1:" + std::to_string(server->port());
    options.ca_pem_path = ca_path;
    options.certificate_pem_path = pair.certificate_path;
    options.key_pem_path = pair.key_path;
    ClientRequest request;
    request.target = target;
    request.body = body;
    if (!body.empty()) request.method = "POST";
    return (*make_client(options))->send(request);
  }
  Authority cluster;
  std::unique_ptr<Server> server;
};

}  // namespace

TEST_CASE("a client of the cluster is known by its certificate") {
  Fixture f;
  const auto pair = f.cluster.issue("alice", false, true, f.cluster.now_ms);
  const auto answer = f.ask(f.cluster.ca.certificate_path, pair);
  REQUIRE(answer.ok());
  CHECK(answer->body == "alice:group-a,group-b");
}

TEST_CASE("PEM text does as well as files") {
  Fixture f;
  const auto pair = f.cluster.issue("alice", false, true, f.cluster.now_ms);
  ClientOptions options;
  options.base_url = "https://127.0.0.1:" + std::to_string(f.server->port());
  options.ca_pem = *pki::read_file(f.cluster.ca.certificate_path);
  options.certificate_pem = *pki::read_file(pair.certificate_path);
  options.key_pem = *pki::read_file(pair.key_path);
  const auto answer = (*make_client(options))->send({});
  REQUIRE(answer.ok());
  CHECK(answer->body == "alice:group-a,group-b");
}

TEST_CASE("no certificate: anonymous, or refused where one is required") {
  Fixture open, closed(true);
  const auto answer = open.ask(open.cluster.ca.certificate_path, {});
  REQUIRE(answer.ok());
  CHECK(answer->body == "anonymous");
  CHECK_FALSE(closed.ask(closed.cluster.ca.certificate_path, {}).ok());
}

TEST_CASE("certificates that must not be believed") {
  Fixture f;
  const std::string& ca = f.cluster.ca.certificate_path;
  SECTION("of another authority with the same name") {
    const Authority other;
    CHECK_FALSE(f.ask(ca, other.issue("alice", false, true, other.now_ms)).ok());
  }
  SECTION("expired") {
    CHECK_FALSE(f.ask(ca, f.cluster.issue("alice", false, true, f.cluster.now_ms - 2 * kYear_ms)).ok());
  }
  SECTION("not yet valid") {
    CHECK_FALSE(f.ask(ca, f.cluster.issue("alice", false, true, f.cluster.now_ms + kYear_ms)).ok());
  }
  SECTION("a server's, used by a client") {
    CHECK_FALSE(f.ask(ca, f.cluster.issue("web", true, false, f.cluster.now_ms)).ok());
  }
  const auto good =
      f.ask(ca, f.cluster.issue("bob", false, true, f.cluster.now_ms));  // the server is unharmed
  REQUIRE(good.ok());
  CHECK(good->body == "bob:group-a,group-b");
}

TEST_CASE("servers that a client must not believe") {
  Fixture f;
  const Authority other;
  const auto wrong_ca = f.ask(other.ca.certificate_path, {});
  REQUIRE_FALSE(wrong_ca.ok());
  CHECK(wrong_ca.error().code == ErrorCode::kUnauthenticated);
  ClientOptions options;
  options.base_url =
      "https://localhost:" + std::to_string(f.server->port());  // the certificate is for 127.0.0.1
  options.ca_pem_path = f.cluster.ca.certificate_path;
  const auto wrong_name = (*make_client(options))->send({});
  REQUIRE_FALSE(wrong_name.ok());
  CHECK(wrong_name.error().code == ErrorCode::kUnauthenticated);
  options.insecure_skip_verify = true;
  CHECK((*make_client(options))->send({}).ok());
}

TEST_CASE("large bodies both ways over TLS") {
  Fixture f;
  const auto big = f.ask(f.cluster.ca.certificate_path, {}, "/big");
  REQUIRE(big.ok());
  CHECK(big->body.size() == 20 * 1024 * 1024);
  const auto posted = f.ask(f.cluster.ca.certificate_path, {}, "/", std::string(3 * 1024 * 1024, 'y'));
  REQUIRE(posted.ok());
  CHECK(posted->body == std::to_string(3 * 1024 * 1024));
  const auto too_large = f.ask(f.cluster.ca.certificate_path, {}, "/", std::string(3 * 1024 * 1024 + 1, 'y'));
  REQUIRE(too_large.ok());
  CHECK(too_large->status == 413);
}

TEST_CASE("peers that never shake hands, or speak plain HTTP, are let go") {
  Authority cluster;
  const auto pair = cluster.issue("server", true, false, cluster.now_ms);
  ServerOptions options;
  options.tls = {pair.certificate_path, pair.key_path, cluster.ca.certificate_path, false};
  options.header_timeout_ms = 300;
  auto server = serve(options, whoami);
  REQUIRE(server.ok());
  http::testing::RawPeer silent((*server)->port()), plain((*server)->port());
  plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(plain.receive_all().find("HTTP/1.1 200") == std::string::npos);
  const auto before = system_clock().now_ms();
  CHECK(silent.receive_all().empty());
  CHECK(system_clock().now_ms() - before < 20'000);  // the server hung up, not we
}

TEST_CASE("TLS files that cannot be used are named") {
  Authority cluster;
  const auto pair = cluster.issue("server", true, false, cluster.now_ms);
  const auto other = cluster.issue("other", true, false, cluster.now_ms);
  const std::pair<TlsConfig, std::string> rows[] = {
      {{"/nowhere.crt", pair.key_path, "", false}, "/nowhere.crt"},
      {{pair.certificate_path, "/nowhere.key", "", false}, "/nowhere.key"},
      {{pair.certificate_path, other.key_path, "", false}, other.key_path},
      {{pair.certificate_path, pair.key_path, "/nowhere.ca", false}, "/nowhere.ca"},
  };
  for (const auto& [tls, named] : rows) {
    ServerOptions options;
    options.tls = tls;
    const auto server = serve(options, whoami);
    REQUIRE_FALSE(server.ok());
    CHECK(server.error().message.find(named) != std::string::npos);
  }
}

TEST_CASE("watches over TLS: many cancelled at once, and the server goes down in time") {
  Fixture f;
  ClientOptions options;
  options.base_url = "https://127.0.0.1:" + std::to_string(f.server->port());
  options.ca_pem_path = f.cluster.ca.certificate_path;
  auto client = std::move(*make_client(options));
  std::stop_source stop;
  std::atomic<int> started{0}, cancelled{0}, ended{0};
  std::vector<std::thread> watchers;
  for (int i = 0; i < 20; ++i) {
    watchers.emplace_back([&, i] {
      ClientRequest request;
      request.target = "/watch";
      request.timeout_ms = 0;
      const auto token = i % 2 == 0 ? stop.get_token() : std::stop_token();
      const auto result = client->stream(
          request, {},
          [&](std::string_view) {
            ++started;
            return true;
          },
          token);
      if (!result.ok() && result.error().code == ErrorCode::kCancelled)
        ++cancelled;
      else
        ++ended;
    });
  }
  while (started < 20) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  stop.request_stop();
  const auto before = system_clock().now_ms();
  while (cancelled < 10 && system_clock().now_ms() - before < 30'000)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(cancelled == 10);
  const auto closing = system_clock().now_ms();
  f.server->shutdown(30'000);
  CHECK(system_clock().now_ms() - closing < 20'000);
  for (auto& watcher : watchers) watcher.join();
  CHECK(ended == 10);
}
