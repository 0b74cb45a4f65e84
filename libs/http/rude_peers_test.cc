// Peers that stall, flood, vanish or hang up half-way: each must cost itself, and nobody else.
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <mutex>
#include <thread>
#include <catch2/catch.hpp>

#include "libs/http/client.h"
#include "libs/http/server.h"
#include "libs/http/test_peer.h"

using namespace coxswain;
using namespace coxswain::http;
using coxswain::http::testing::RawPeer;

namespace {

constexpr std::size_t kBig = 8 * 1024 * 1024;

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

template <typename Condition>
bool eventually(Condition condition) {
  for (int waited = 0; waited < 60'000; waited += 5) {
    if (condition()) return true;
    sleep_ms(5);
  }
  return condition();
}

std::int64_t cpu_ms() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"; }

// /big: 8 MiB at once. /hold: keeps the exchange until release(). /watch: an open stream. Others: the path.
struct Fixture {
  explicit Fixture(ServerOptions options = {}) {
    options.tls_enabled = false;
    auto started =
        serve(options, [this](std::shared_ptr<Exchange> exchange) { handle(std::move(exchange)); });
    REQUIRE(started.ok());
    server = std::move(*started);
  }
  ~Fixture() {
    server->shutdown(0);  // no handler runs any more
    held.clear();
  }

  void handle(std::shared_ptr<Exchange> exchange) {
    const std::string path = exchange->request().path;
    if (path == "/hold" || path == "/watch") {
      if (path == "/watch") {
        exchange->begin(200, {});
        exchange->write({Chunk::literal("hello\n")});
        exchange->on_closed([this] { ++gone; });
      }
      std::lock_guard lock(mutex);
      held.push_back(std::move(exchange));
      return;
    }
    Response response;
    response.body.push_back(path == "/big" ? Chunk{nullptr, big}
                                           : Chunk::of(exchange->request().method + " " + path + " done"));
    exchange->respond(std::move(response));
    ++answered;
  }
  std::size_t held_count() {
    std::lock_guard lock(mutex);
    return held.size();
  }
  void release() {
    std::lock_guard lock(mutex);
    for (auto& exchange : held) exchange->respond({200, {}, {Chunk::literal("released")}});
    held.clear();
  }
  std::uint16_t port() const { return server->port(); }

  const std::string big = std::string(kBig, 'b');
  std::mutex mutex;
  std::vector<std::shared_ptr<Exchange>> held;
  std::atomic<int> gone{0};
  std::atomic<int> answered{0};
  std::unique_ptr<Server> server;
};

}  // namespace

TEST_CASE("a reader that is stuck does not slow others, and requests behind it are kept in order") {
  ServerOptions options;
  options.io_threads = 1;
  Fixture f(options);
  RawPeer stuck(f.port(), 4096);
  REQUIRE(stuck.send(get("/big")));
  REQUIRE(eventually([&] { return f.answered == 1; }));
  for (int i = 0; i < 3; ++i) {  // apart, so that each arrives while the answer cannot go out
    REQUIRE(stuck.send(get("/" + std::to_string(i))));
    sleep_ms(30);
  }
  const auto before = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    RawPeer other(f.port());
    REQUIRE(other.send(get("/other")));
    REQUIRE(other.receive_until("done").find("GET /other done") != std::string::npos);
  }
  CHECK(std::chrono::steady_clock::now() - before <
        std::chrono::seconds(15));  // not what a stuck reader gets
  const std::string all = stuck.receive_until("GET /2 done");
  CHECK(all.size() > kBig);
  const std::size_t first = all.find("GET /0 done"), second = all.find("GET /1 done"),
                    third = all.find("GET /2 done");
  REQUIRE(third != std::string::npos);
  CHECK((first < second && second < third));
}

TEST_CASE("a stuck reader is cut off after its time") {
  ServerOptions options;
  options.write_stall_timeout_ms = 300;
  Fixture f(options);
  RawPeer stuck(f.port(), 4096);
  REQUIRE(stuck.send(get("/big")));
  sleep_ms(1500);
  CHECK(stuck.receive_all().size() < kBig);
}

TEST_CASE("a flood behind an unanswered request waits in the kernel and burns no processor") {
  Fixture f;
  RawPeer flood(f.port());
  REQUIRE(flood.send(get("/hold")));
  REQUIRE(eventually([&] { return f.held_count() == 1; }));
  std::string requests;
  for (int i = 0; i < 20'000; ++i) requests += get("/flood");
  requests += get("/last");
  std::thread sender([&] { flood.send(requests); });
  std::atomic<std::size_t> answers{0};
  std::thread receiver([&] { answers = flood.receive_until("GET /last done").size(); });
  sleep_ms(100);
  const std::int64_t before_ms = cpu_ms();
  sleep_ms(500);
  CHECK(cpu_ms() - before_ms < 150);
  f.release();
  CHECK(eventually([&] { return f.answered == 20'001; }));
  sender.join();
  receiver.join();
  CHECK(answers > 20'000);
}

TEST_CASE("a client that closes its sending half still gets its answers") {
  Fixture f;
  SECTION("answered at once") {
    RawPeer peer(f.port());
    REQUIRE(peer.send(get("/1") + get("/2")));
    peer.half_close();
    CHECK(peer.receive_all().find("GET /2 done") != std::string::npos);
  }
  SECTION("answered later") {
    RawPeer peer(f.port());
    REQUIRE(peer.send(get("/hold") + get("/2")));
    peer.half_close();
    REQUIRE(eventually([&] { return f.held_count() == 1; }));
    sleep_ms(50);
    f.release();
    const std::string all = peer.receive_all();
    CHECK(all.find("released") != std::string::npos);
    CHECK(all.find("GET /2 done") != std::string::npos);
  }
  SECTION("more than the socket takes at once") {
    RawPeer peer(f.port(), 4096);
    REQUIRE(peer.send(get("/big")));
    peer.half_close();
    CHECK(peer.receive_all().size() > kBig);
  }
  SECTION("in the middle of a request: nothing to answer") {
    RawPeer peer(f.port());
    REQUIRE(peer.send("GET / HTTP/1.1\r\nHost:"));
    peer.half_close();
    CHECK(peer.receive_all().empty());
  }
}

TEST_CASE("a producer learns that its client has gone") {
  Fixture f;
  const bool reset = GENERATE(true, false);
  RawPeer peer(f.port());
  REQUIRE(peer.send(get("/watch")));
  REQUIRE(peer.receive_until("hello").find("hello") != std::string::npos);
  if (reset)
    peer.reset();
  else
    peer.close();
  CHECK(eventually([&] { return f.gone == 1; }));
  std::lock_guard lock(f.mutex);
  CHECK(f.held[0]->closed());
  CHECK_FALSE(f.held[0]->write({Chunk::literal("x")}));
}

TEST_CASE("a body that drips is given up as a whole, not byte by byte") {
  ServerOptions options;
  options.body_timeout_ms = 600;
  Fixture f(options);
  RawPeer peer(f.port());
  REQUIRE(peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"));
  for (int i = 0; i < 25; ++i) {
    peer.send("x");
    sleep_ms(100);
  }
  CHECK(peer.receive().find("408") != std::string::npos);
}

TEST_CASE("header that drips is given up") {
  ServerOptions options;
  options.header_timeout_ms = 600;
  Fixture f(options);
  RawPeer peer(f.port());
  peer.send("GET / HTTP/1.1\r\nHost: h\r\n");
  for (int i = 0; i < 25; ++i) {
    peer.send("a");
    sleep_ms(100);
  }
  CHECK(peer.receive().find("408") != std::string::npos);
}

// Were framing not counted, "drained" would come while a third of the bytes is still here, a producer
// that trusts it would run ahead of a slow reader without end, and closing now would lose them.
TEST_CASE("drained means that the socket has taken every byte, framing too") {
  constexpr int kWrites = 1'200'000;
  constexpr std::size_t kWireBytes = kWrites * 15;  // "a", CR LF, ten bytes, CR LF
  ServerOptions options;
  options.tls_enabled = false;
  std::atomic<bool> drained{false};
  auto server = serve(options, [&](std::shared_ptr<Exchange> exchange) {
    exchange->begin(200, {});
    for (int i = 0; i < kWrites; ++i) exchange->write({Chunk::literal("0123456789")});
    exchange->on_drained([&drained, exchange] { drained = true; });
  });
  REQUIRE(server.ok());
  RawPeer peer((*server)->port(), 32 * 1024);
  peer.set_timeout_ms(120'000);  // a million writes take their time under a sanitizer
  REQUIRE(peer.send(get("/")));
  std::size_t received = 0;
  while (!drained) {
    const std::size_t part = peer.receive().size();
    if (part == 0) break;
    received += part;
    sleep_ms(1);  // slower than the server writes
  }
  // The exchange went with the callback, in mid-stream: the connection is closed as it is.
  received += peer.receive_all().size();
  CHECK(received > kWireBytes);
  CHECK(drained);
}

TEST_CASE("shutdown ends streams, lets answers in flight go out, and takes no longer than it must") {
  Fixture f;
  RawPeer watcher(f.port()), waiter(f.port()), idle(f.port());
  REQUIRE(idle.send(get("/idle")));
  idle.receive_until("done");
  REQUIRE(watcher.send(get("/watch")));
  watcher.receive_until("hello");
  REQUIRE(waiter.send(get("/hold")));
  REQUIRE(eventually([&] { return f.held_count() == 2; }));
  std::thread late([&] {
    sleep_ms(100);
    f.release();
  });
  const auto before = std::chrono::steady_clock::now();
  f.server->shutdown(30'000);
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(20));  // not the whole grace period
  late.join();
  CHECK(f.gone == 1);
  CHECK(watcher.receive_all().find("0\r\n\r\n") != std::string::npos);
  const std::string answer = waiter.receive_all();
  CHECK(answer.find("released") != std::string::npos);
  CHECK(answer.find("Connection: close") != std::string::npos);
  CHECK(idle.receive_all().empty());
}

TEST_CASE("shutdown without grace still tells every producer") {
  Fixture f;
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(std::make_unique<RawPeer>(f.port()));
    REQUIRE(peers.back()->send(get("/watch")));
  }
  REQUIRE(eventually([&] { return f.held_count() == 20; }));
  f.server->shutdown(0);
  CHECK(f.gone == 20);
}

TEST_CASE("shutdown under load: every answer is whole or missing, never cut") {
  Fixture f;
  std::atomic<bool> stop{false};
  std::atomic<int> whole{0}, broken{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      ClientOptions options;
      options.base_url = "http://127.0.0.1:" + std::to_string(f.port());
      auto client = std::move(*make_client(options));
      ClientRequest request;
      request.target = "/x";
      while (!stop) {
        const auto answer = client->send(request);
        if (!answer.ok()) return;
        (answer->body == "GET /x done" ? whole : broken)++;
      }
    });
  }
  REQUIRE(eventually([&] { return whole > 500; }));
  f.server->shutdown(2'000);
  stop = true;
  for (auto& client : clients) client.join();
  CHECK(broken == 0);
}

TEST_CASE("two thousand idle streams are cheap and all hear of an event") {
  constexpr int kStreams = 2000;
  Fixture f;
  [[maybe_unused]] const std::size_t before = resident_bytes();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < kStreams; ++i) {
    peers.push_back(std::make_unique<RawPeer>(f.port()));
    REQUIRE(peers.back()->connected());
    REQUIRE(peers.back()->send(get("/watch")));
  }
  REQUIRE(eventually([&] { return f.held_count() == kStreams; }));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK((resident_bytes() - before) / kStreams < 8 * 1024);
#endif
  {
    std::lock_guard lock(f.mutex);
    for (auto& exchange : f.held) CHECK(exchange->write({Chunk::literal("event\n")}));
  }
  int heard = 0;
  for (auto& peer : peers) heard += peer->receive_until("event").find("event") != std::string::npos;
  CHECK(heard == kStreams);
  for (auto& peer : peers) peer->reset();
  CHECK(eventually([&] { return f.gone == kStreams; }));
}

TEST_CASE("more connections than allowed are refused, and room comes back") {
  ServerOptions options;
  options.max_connections = 3;
  Fixture f(options);
  {
    std::vector<std::unique_ptr<RawPeer>> peers;
    for (int i = 0; i < 3; ++i) {
      peers.push_back(std::make_unique<RawPeer>(f.port()));
      REQUIRE(peers.back()->send(get("/x")));
      REQUIRE(peers.back()->receive_until("done").find("done") != std::string::npos);
    }
    RawPeer fourth(f.port());
    fourth.send(get("/x"));
    CHECK(fourth.receive_all().empty());
  }
  CHECK(eventually([&] {
    RawPeer again(f.port());
    return again.send(get("/x")) && again.receive_until("done").find("done") != std::string::npos;
  }));
}

TEST_CASE("the client: a cancelled, stuck or endless call does not hold up others; calls may nest") {
  Fixture f;
  ClientOptions options;
  options.base_url = "http://127.0.0.1:" + std::to_string(f.port());
  auto client = std::move(*make_client(options));
  ClientRequest plain;
  plain.target = "/x";
  ClientRequest watch;
  watch.target = "/watch";
  watch.timeout_ms = 0;
  std::stop_source stop;
  std::atomic<bool> nested{false};
  Result<ClientResponse> ended = make_error(ErrorCode::kInternal, "not run");
  std::thread watcher([&] {
    ended = client->stream(
        watch, {},
        [&](std::string_view) {
          const auto inner = client->send(plain, stop.get_token());
          nested = inner.ok() && inner->body == "GET /x done";
          return true;
        },
        stop.get_token());
  });
  CHECK(eventually([&] { return nested.load(); }));
  CHECK(client->send(plain).ok());
  stop.request_stop();
  watcher.join();  // or it hangs here
  REQUIRE_FALSE(ended.ok());
  CHECK(ended.error().code == ErrorCode::kCancelled);

  ClientRequest slow;
  slow.target = "/hold";
  slow.timeout_ms = 200;
  const auto late = client->send(slow);
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().code == ErrorCode::kDeadlineExceeded);

  ClientRequest big;
  big.target = "/big";
  big.max_body_bytes = 1000;
  const auto large = client->send(big);
  REQUIRE_FALSE(large.ok());
  CHECK(large.error().code == ErrorCode::kResourceExhausted);
}
