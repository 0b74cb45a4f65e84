// Several api-servers, some of which are not well.
#include "libs/client/failover.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <catch2/catch.hpp>

#include "libs/client/api_client.h"
#include "libs/client/leader_elector.h"
#include "libs/client/reflector.h"
#include "libs/common/base/clock.h"

namespace coxswain::client {
namespace {

using Answer = Result<http::ClientResponse>;
using Server = Judgement::Server;

Answer ok(const std::string& body = "{}") { return http::ClientResponse{200, {}, body}; }
Answer status(int code, http::Headers headers = {}) {
  return http::ClientResponse{code, std::move(headers), "{}"};
}
Answer error(ErrorCode code) { return make_error(code, "it failed"); }
Answer not_ready() { return status(503, {{"Retry-After", "1"}}); }

http::ClientRequest request_of(const std::string& method, std::int64_t timeout_ms = 30'000) {
  http::ClientRequest request;
  request.method = method;
  request.target = "/x";
  request.timeout_ms = timeout_ms;
  return request;
}

// One server: how it is, and what it was asked.
class Fake : public http::Client {
 public:
  enum class Mode { kWell, kRefuses, kBreaks, kHangs, kNotReady, kBusy };
  explicit Fake(std::string name) : name_(std::move(name)) {}

  Answer send(const http::ClientRequest& request, std::stop_token stop) override {
    if (request.target == "/readyz") {
      ++probes;
    } else {
      ++asked;
      last_timeout_ms = request.timeout_ms;
    }
    return respond(request, stop);
  }
  Answer stream(const http::ClientRequest& request, OnHeaders on_headers, OnData on_data,
                std::stop_token stop) override {
    ++asked;
    if (mode != Mode::kWell) return respond(request, stop);
    on_headers(200, {});
    on_data(name_ + "\n");
    ++streams;
    // A stream that hangs is as quiet as one on which nothing happens.
    while (!stop.stop_requested() && mode != Mode::kBreaks && !ends) sleep_for_ms(1, {});
    --streams;
    if (stop.stop_requested()) return error(ErrorCode::kCancelled);
    return ends ? ok() : error(ErrorCode::kIo);
  }

  std::atomic<Mode> mode{Mode::kWell};
  std::atomic<bool> ends{false};
  std::atomic<int> asked{0}, probes{0}, streams{0};
  std::atomic<std::int64_t> last_timeout_ms{0};

 private:
  Answer respond(const http::ClientRequest& request, const std::stop_token& stop) {
    switch (mode.load()) {
      case Mode::kWell:
        return ok("\"" + name_ + "\"");
      case Mode::kRefuses:
        return error(ErrorCode::kUnavailable);
      case Mode::kBreaks:
        return error(ErrorCode::kIo);
      case Mode::kHangs:
        if (!sleep_for_ms(request.timeout_ms, stop)) return error(ErrorCode::kCancelled);
        return error(ErrorCode::kDeadlineExceeded);
      case Mode::kNotReady:
        return not_ready();
      case Mode::kBusy:  // ready by its own account
        return request.target == "/readyz" ? ok() : not_ready();
    }
    return error(ErrorCode::kInternal);
  }
  const std::string name_;
};
using Mode = Fake::Mode;

struct Fleet {
  std::vector<std::shared_ptr<Fake>> servers;
  std::shared_ptr<http::Client> client;

  explicit Fleet(int count, FailoverOptions options = {.probe_period_ms = 0}) {
    std::vector<ApiServer> list;
    for (int i = 0; i < count; ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      servers.push_back(std::make_shared<Fake>(name));
      list.push_back({"https://" + name, servers.back()});
    }
    client = make_failover_client(list, options);
  }
  Fake& operator[](std::size_t i) { return *servers[i]; }
  // Who answered ("a"), or "error CODE", "status CODE".
  std::string ask(const std::string& method, std::int64_t timeout_ms = 30'000) {
    const Answer answer = client->send(request_of(method, timeout_ms));
    if (!answer.ok()) return std::string("error ") + to_string(answer.error().code);
    if (answer->status != 200) return "status " + std::to_string(answer->status);
    return answer->body.substr(1, 1);
  }
  std::vector<int> asked() const {
    std::vector<int> out;
    for (const auto& server : servers) out.push_back(server->asked);
    return out;
  }
};
using Counts = std::vector<int>;

template <typename F>
bool eventually(const F& done) {
  for (int i = 0; i < 5'000 && !done(); ++i) sleep_for_ms(1, {});
  return done();
}

// A watch in a thread of its own.
struct Watching {
  Answer outcome = ok();
  std::atomic<bool> over{false};
  std::mutex mutex;
  std::string seen;  // guarded by mutex
  std::jthread thread;

  explicit Watching(http::Client& client)
      : thread([this, &client](std::stop_token stop) {
          outcome = client.stream(
              request_of("GET", 0), [](int, const http::Headers&) {},
              [this](std::string_view data) {
                const std::lock_guard lock(mutex);
                seen += data;
                return true;
              },
              stop);
          over = true;
        }) {}
  std::string text() {
    const std::lock_guard lock(mutex);
    return seen;
  }
};

}  // namespace

TEST_CASE("what an attempt says of the server, and whether the request may be tried elsewhere") {
  struct Row {
    const char* method;
    Answer outcome;
    Judgement wanted;
  };
  const http::Headers later = {{"Retry-After", "1"}};
  const std::vector<Row> rows = {
      {"GET", ok(), {Server::kGood, false}},
      {"POST", status(201), {Server::kGood, false}},
      {"GET", status(404), {Server::kGood, false}},
      {"PUT", status(409), {Server::kGood, false}},
      {"GET", status(410), {Server::kGood, false}},
      {"POST", status(429, later), {Server::kGood, false}},
      {"GET", status(500), {Server::kGood, false}},
      {"POST", status(507), {Server::kGood, false}},
      // Not ready, and it says that nothing happened.
      {"GET", status(503, later), {Server::kNotReady, true}},
      {"POST", status(503, later), {Server::kNotReady, true}},
      {"DELETE", status(503, later), {Server::kNotReady, true}},
      {"GET", status(503), {Server::kNotReady, true}},
      {"POST", status(503), {Server::kNotReady, false}},
      // A revision that it does not have yet; a write that may have been done.
      {"GET", status(504, later), {Server::kNotReady, true}},
      {"POST", status(504), {Server::kGood, false}},
      {"PATCH", status(504, later), {Server::kGood, false}},
      {"GET", status(502), {Server::kNotReady, true}},
      {"PUT", status(502), {Server::kGood, false}},
      // No answer.
      {"GET", error(ErrorCode::kUnavailable), {Server::kGone, true}},
      {"POST", error(ErrorCode::kUnavailable), {Server::kGone, true}},
      {"GET", error(ErrorCode::kUnauthenticated), {Server::kGone, true}},
      {"HEAD", error(ErrorCode::kIo), {Server::kGone, true}},
      {"POST", error(ErrorCode::kIo), {Server::kGone, false}},
      {"GET", error(ErrorCode::kDeadlineExceeded), {Server::kGone, true}},
      {"PUT", error(ErrorCode::kDeadlineExceeded), {Server::kGone, false}},
      {"GET", error(ErrorCode::kCancelled), {Server::kGood, false}},
      {"GET", error(ErrorCode::kResourceExhausted), {Server::kGood, false}},
  };
  for (const Row& row : rows) {
    INFO(row.method << " "
                    << (row.outcome.ok() ? std::to_string(row.outcome->status)
                                         : std::string(to_string(row.outcome.error().code))));
    const Judgement judged = judge(request_of(row.method), row.outcome);
    CHECK(judged.server == row.wanted.server);
    CHECK(judged.repeat == row.wanted.repeat);
  }
}

TEST_CASE("it keeps to the server that works, and does not go back by itself") {
  Fleet fleet(3);
  CHECK(fleet.ask("GET") == "a");
  CHECK(fleet.ask("POST") == "a");
  for (const Mode mode : {Mode::kRefuses, Mode::kNotReady}) {
    fleet[0].mode = mode;
    CHECK(fleet.ask("POST") == "b");  // sent again: nothing had happened
    fleet[0].mode = Mode::kWell;
    CHECK(fleet.ask("GET") == "b");
    fleet[1].mode = mode;
    CHECK(fleet.ask("GET") == "c");
    fleet[1].mode = Mode::kWell;
    fleet[2].mode = mode;
    CHECK(fleet.ask("PUT") == "a");
    fleet[2].mode = Mode::kWell;
  }
}

TEST_CASE("a write that may have been done is not done again, but the next one goes elsewhere") {
  for (const Mode mode : {Mode::kBreaks, Mode::kHangs}) {
    Fleet fleet(2);
    fleet[0].mode = mode;
    const std::string wanted =
        mode == Mode::kBreaks ? to_string(ErrorCode::kIo) : to_string(ErrorCode::kDeadlineExceeded);
    CHECK(fleet.ask("POST", 50) == "error " + wanted);
    CHECK(fleet.asked() == Counts{1, 0});
    CHECK(fleet.ask("POST", 50) == "b");
    CHECK(fleet.asked() == Counts{1, 1});
  }
}

TEST_CASE("a read that gets no answer is asked elsewhere within its own time") {
  Fleet fleet(3);
  fleet[0].mode = Mode::kHangs;
  fleet[1].mode = Mode::kHangs;
  const std::int64_t before_ms = system_clock().now_ms();
  CHECK(fleet.ask("GET", 400) == "c");
  CHECK(system_clock().now_ms() - before_ms < 400);
  CHECK(fleet[0].last_timeout_ms == 200);
  CHECK(fleet[2].last_timeout_ms <= 200);
  CHECK(fleet[2].last_timeout_ms > 0);
}

TEST_CASE("when none works each is asked once, and the last one's answer is the answer") {
  Fleet fleet(3);
  for (auto& server : fleet.servers) server->mode = Mode::kRefuses;
  CHECK(fleet.ask("GET") == "error " + std::string(to_string(ErrorCode::kUnavailable)));
  CHECK(fleet.asked() == Counts{1, 1, 1});
  for (auto& server : fleet.servers) server->mode = Mode::kNotReady;
  CHECK(fleet.ask("POST") == "status 503");
  CHECK(fleet.asked() == Counts{2, 2, 2});
  for (auto& server : fleet.servers) server->mode = Mode::kHangs;
  const std::int64_t before_ms = system_clock().now_ms();
  CHECK(fleet.ask("GET", 200) == "error " + std::string(to_string(ErrorCode::kDeadlineExceeded)));
  CHECK(system_clock().now_ms() - before_ms < 1'000);
  for (auto& server : fleet.servers) server->mode = Mode::kWell;
  CHECK(fleet.ask("GET").size() == 1);
}

TEST_CASE("many threads that meet one dead server move on by one server") {
  Fleet fleet(3);
  fleet[0].mode = Mode::kRefuses;
  std::atomic<int> others{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] {
        for (int n = 0; n < 100; ++n) others += fleet.ask("GET") == "b" ? 0 : 1;
      });
  }
  CHECK(others == 0);
  CHECK(fleet[2].asked == 0);
}

TEST_CASE("a watch begins at a server that works") {
  for (const Mode mode : {Mode::kRefuses, Mode::kNotReady, Mode::kBreaks}) {
    Fleet fleet(2);
    fleet[0].mode = mode;
    Watching watching(*fleet.client);
    REQUIRE(eventually([&] { return watching.text() == "b\n"; }));
    fleet[1].ends = true;
    REQUIRE(eventually([&] { return watching.over.load(); }));
    CHECK(watching.outcome.ok());
    CHECK(fleet.ask("GET") == "b");
  }
}

TEST_CASE("a watch that breaks, or whose server is found dead, ends with an error, and goes on elsewhere") {
  Fleet fleet(2);
  const auto check_end = [&](Watching& watching) {
    REQUIRE(eventually([&] { return watching.over.load(); }));
    CHECK_FALSE(watching.outcome.ok());
  };
  {
    Watching watching(*fleet.client);
    REQUIRE(eventually([&] { return watching.text() == "a\n"; }));
    fleet[0].mode = Mode::kBreaks;
    check_end(watching);
    CHECK(watching.text() == "a\n");  // never two servers in one stream
  }
  Watching watching(*fleet.client);
  REQUIRE(eventually([&] { return watching.text() == "b\n"; }));
  fleet[0].mode = Mode::kWell;
  fleet[1].mode = Mode::kHangs;  // the watch itself does not notice, but a request does
  CHECK(fleet.ask("GET", 50) == "a");
  check_end(watching);
  CHECK(watching.outcome.error().code == ErrorCode::kUnavailable);
}

TEST_CASE("a stop ends a watch as cancelled, whichever server it is at") {
  Fleet fleet(2);
  fleet[0].mode = Mode::kRefuses;
  Watching watching(*fleet.client);
  REQUIRE(eventually([&] { return watching.text() == "b\n"; }));
  watching.thread.request_stop();
  REQUIRE(eventually([&] { return watching.over.load(); }));
  REQUIRE_FALSE(watching.outcome.ok());
  CHECK(watching.outcome.error().code == ErrorCode::kCancelled);
}

TEST_CASE("who only watches leaves a server that hangs or is not ready as well") {
  for (const Mode mode : {Mode::kHangs, Mode::kNotReady, Mode::kRefuses}) {
    Fleet fleet(3, {.probe_period_ms = 10, .probe_timeout_ms = 20});
    Watching watching(*fleet.client);
    REQUIRE(eventually([&] { return fleet[0].streams == 1; }));
    fleet[1].mode = Mode::kNotReady;
    fleet[0].mode = mode;
    REQUIRE(eventually([&] { return watching.over.load(); }));
    CHECK_FALSE(watching.outcome.ok());
    CHECK(fleet.ask("GET") == "c");  // the next one that is ready, not just the next one
  }
}

TEST_CASE("watches stay where they are while no server is ready, and where the server is ready again") {
  Fleet fleet(2, {.probe_period_ms = 10, .probe_timeout_ms = 20});
  Watching watching(*fleet.client);
  REQUIRE(eventually([&] { return fleet[0].streams == 1; }));
  for (auto& server : fleet.servers) server->mode = Mode::kNotReady;  // an election
  CHECK(fleet.ask("GET") == "status 503");
  const int probes = fleet[0].probes;
  REQUIRE(eventually([&] { return fleet[0].probes > probes + 3; }));
  CHECK_FALSE(watching.over);
  for (auto& server : fleet.servers) server->mode = Mode::kWell;
  sleep_for_ms(60, {});
  CHECK_FALSE(watching.over);

  // A refusal moves requests; the watch is left alone for as long as its server is ready...
  fleet[0].mode = Mode::kBusy;
  CHECK(fleet.ask("GET") == "b");
  sleep_for_ms(60, {});
  CHECK_FALSE(watching.over);
  // ...and no longer.
  fleet[0].mode = Mode::kNotReady;
  REQUIRE(eventually([&] { return watching.over.load(); }));
}

TEST_CASE("a leader keeps its lease over the death of its api-server") {
  // Both servers show one store.
  std::mutex mutex;
  json::Value lease;
  int version = 0;
  const auto store = [&](const http::ClientRequest& request) -> Answer {
    const std::lock_guard lock(mutex);
    if (request.method == "GET")
      return lease.is_null() ? Answer(http::ClientResponse{404, {}, R"({"reason":"NotFound"})"})
                             : ok(json::write(lease));
    json::Value body = std::move(json::parse(request.body).value());
    if (request.method == "PUT" &&
        body.get_string_path({"metadata", "resourceVersion"}) != std::to_string(version))
      return http::ClientResponse{409, {}, R"({"reason":"Conflict"})"};
    body["metadata"].set("resourceVersion", std::to_string(++version));
    lease = body;
    return ok(json::write(lease));
  };
  struct Front : http::Client {
    std::function<Answer(const http::ClientRequest&)> behind;
    std::atomic<bool> hangs{false};
    Answer send(const http::ClientRequest& request, std::stop_token stop) override {
      if (!hangs) return behind(request);
      sleep_for_ms(request.timeout_ms, stop);
      return error(ErrorCode::kDeadlineExceeded);
    }
    Answer stream(const http::ClientRequest&, OnHeaders, OnData, std::stop_token) override { return ok(); }
  };
  auto a = std::make_shared<Front>();
  auto b = std::make_shared<Front>();
  a->behind = b->behind = store;
  ApiClient client(make_failover_client({{"https://a", a}, {"https://b", b}}, {.probe_period_ms = 0}), {});
  const LeaderElectionOptions options{.name = "l",
                                      .identity = "me",
                                      .lease_duration_ms = 3'000,
                                      .renew_deadline_ms = 2'000,
                                      .retry_period_ms = 100};
  const auto renewed = [&] {
    const std::lock_guard lock(mutex);
    return version;
  };
  std::stop_source stop;
  LeaderElector elector(client, options);
  CHECK(elector.run(stop.get_token(), [&](std::stop_token leading) {
    REQUIRE(eventually([&] { return renewed() > 1; }));
    a->hangs = true;  // it takes connections, and answers nothing
    const int before = renewed();
    REQUIRE(eventually([&] { return renewed() > before + 3 || leading.stop_requested(); }));
    CHECK_FALSE(leading.stop_requested());
    stop.request_stop();
  }));
  CHECK(lease.find("spec")->get_int("leaseTransitions") == 0);
}

TEST_CASE("addresses of api-servers") {
  const auto urls = parse_server_urls({"https://10.0.0.1:6443", " https://b:1/ ", "https://10.0.0.1:6443"});
  REQUIRE(urls.ok());
  CHECK(*urls == std::vector<std::string>{"https://10.0.0.1:6443", "https://b:1"});
  CHECK(parse_server_urls({})->empty());
  for (const char* bad : {"", "10.0.0.1:6443", "ftp://a", "https://", "https://a/path", "https://a?b",
                          "https://user@a", "https://a b", "https:///"}) {
    INFO(bad);
    const auto refused = parse_server_urls({"https://a", bad});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message.find("https://HOST:PORT") != std::string::npos);
  }
}

}  // namespace coxswain::client
