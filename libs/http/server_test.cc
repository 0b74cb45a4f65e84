// Real sockets on loopback: the server and the client against each other, and against rude peers.
#include "libs/http/server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <catch2/catch.hpp>

#include "libs/http/client.h"

using namespace coxswain;
using namespace coxswain::http;

namespace {

void handle(std::shared_ptr<Exchange> exchange) {
  const Request& request = exchange->request();
  if (request.path == "/drop") return;
  if (request.path == "/stream") {
    exchange->begin(200, {{"Content-Type", "text/plain"}});
    std::thread([exchange] {
      for (int i = 0; i < 5; ++i) exchange->write({Chunk::of("line " + std::to_string(i) + "\n")});
      exchange->end();
    }).join();
    return;
  }
  if (request.path == "/endless") {
    exchange->begin(200, {});
    exchange->write({Chunk::literal("first\n")});
    auto keep = std::make_shared<std::shared_ptr<Exchange>>(exchange);
    exchange->on_closed([keep] { keep->reset(); });
    return;
  }
  Response response;
  response.headers.emplace_back("Content-Type", "text/plain");
  response.body.push_back(Chunk::of(request.method + " " + request.path + " " +
                                    std::string(request.query_value("q")) + " " + request.body));
  exchange->respond(std::move(response));
}

struct Fixture {
  explicit Fixture(ServerOptions options = {}) {
    options.tls_enabled = false;
    auto started = serve(options, handle);
    REQUIRE(started.ok());
    server = std::move(*started);
    ClientOptions client_options;
    client_options.base_url = "http://127.0.0.1:" + std::to_string(server->port());
    client = std::move(*make_client(client_options));
  }

  // Sends raw bytes and reads until the server closes or a second has passed.
  std::string raw(const std::string& bytes) const {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    const timeval second{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
    send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::string answer;
    char buffer[4096];
    for (ssize_t n = 0; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(n));
    ::close(fd);
    return answer;
  }

  std::unique_ptr<Server> server;
  std::unique_ptr<Client> client;
};

}  // namespace

TEST_CASE("requests and answers, many on one connection") {
  Fixture f;
  for (int i = 0; i < 50; ++i) {
    ClientRequest request;
    request.method = "POST";
    request.target = "/a/b?q=x%20y";
    request.body = std::string(static_cast<std::size_t>(i) * 1000, 'b');
    const auto answer = f.client->send(request);
    REQUIRE(answer.ok());
    CHECK(answer->status == 200);
    CHECK(answer->body == "POST /a/b x y " + request.body);
  }
}

TEST_CASE("a streamed answer arrives whole; an endless one can be cancelled") {
  Fixture f;
  ClientRequest request;
  request.target = "/stream";
  std::string text;
  auto done = f.client->stream(request, {}, [&](std::string_view data) {
    text += data;
    return true;
  });
  REQUIRE(done.ok());
  CHECK(text == "line 0\nline 1\nline 2\nline 3\nline 4\n");

  request.target = "/endless";
  request.timeout_ms = 0;
  std::stop_source stop;
  std::atomic<bool> first{false};
  std::thread canceller([&] {
    while (!first) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    stop.request_stop();
  });
  done = f.client->stream(
      request, {},
      [&](std::string_view) {
        first = true;
        return true;
      },
      stop.get_token());
  canceller.join();
  REQUIRE_FALSE(done.ok());
  CHECK(done.error().code == ErrorCode::kCancelled);
}

TEST_CASE("a handler that gives no answer costs the client a 500, not a hang") {
  Fixture f;
  ClientRequest request;
  request.target = "/drop";
  const auto answer = f.client->send(request);
  REQUIRE(answer.ok());
  CHECK(answer->status == 500);
}

TEST_CASE("malformed and excessive requests get the right status") {
  ServerOptions options;
  options.max_body_bytes = 1000;
  options.max_header_bytes = 2000;
  options.header_timeout_ms = 300;
  Fixture f(options);
  struct Row {
    std::string bytes;
    std::string expected;
  };
  const Row rows[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200"},
      {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200"},
      {"nonsense\r\n\r\n", "HTTP/1.1 400"},
      {"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400"},
      {"GET /%zz?a=%z HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'x'), "HTTP/1.1 413"},
      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(5000, 'x') + "\r\n\r\n", "HTTP/1.1 431"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
       "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
       "HTTP/1.1"},
      {"GET / HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 408"},
  };
  for (const Row& row : rows) {
    INFO(row.bytes.substr(0, 60));
    CHECK(f.raw(row.bytes).substr(0, row.expected.size()) == row.expected);
  }
  CHECK(f.raw("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .find("GET /2") != std::string::npos);
}

TEST_CASE("a port in use is said in one line") {
  Fixture f;
  ServerOptions options;
  options.tls_enabled = false;
  options.port = f.server->port();
  const auto second = serve(options, handle);
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().code == ErrorCode::kUnavailable);
  CHECK(second.error().message.find("already in use") != std::string::npos);
}
