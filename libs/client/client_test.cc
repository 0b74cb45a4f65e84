// The untyped parts: errors, paging, queue, controller, election, event correlation.
#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include "api/types/core_v1.h"
#include "libs/client/controller.h"
#include "libs/client/event_recorder.h"
#include "libs/client/fake_transport.h"
#include "libs/client/leader_elector.h"
#include "libs/client/selector.h"

namespace coxswain::client {
namespace {

using api::core::v1::Pod;

TEST_CASE("paths") {
  REQUIRE(resource_of<Pod>().path("a b", "p", "status") == "/api/v1/namespaces/a%20b/pods/p/status");
  const ResourceInfo leases{"coordination.k8s.io", "v1", "Lease", "leases", true};
  REQUIRE(leases.path("") == "/apis/coordination.k8s.io/v1/leases");
  REQUIRE(leases.api_version() == "coordination.k8s.io/v1");
  REQUIRE(split_key("ns/name").name == "name");
  REQUIRE(split_key("name").ns.empty());
}

TEST_CASE("errors are told apart") {
  struct Row {
    Result<http::ClientResponse> answer;
    int code;
    bool (*predicate)(const Status&);
  };
  const std::vector<Row> rows = {
      {make_error(ErrorCode::kUnavailable, "refused"), 503, is_connection_error},
      {make_error(ErrorCode::kDeadlineExceeded, "slow"), 504, is_connection_error},
      {answer_of(404, R"({"reason":"NotFound","message":"m"})"), 404, is_not_found},
      {answer_of(409, R"({"reason":"Conflict"})"), 409, is_conflict},
      {answer_of(409, R"({"reason":"AlreadyExists"})"), 409, is_already_exists},
      {answer_of(410, R"({"reason":"Expired"})"), 410, is_expired},
      {answer_of(403, R"({"reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating"}]}})"),
       403, is_namespace_terminating},
  };
  for (const auto& row : rows) {
    ApiClient client(std::make_shared<FakeTransport>([&](const auto&) { return row.answer; }), {});
    const auto pod = client.get<Pod>("a", "b");
    REQUIRE_FALSE(pod.ok());
    CHECK(pod.error().code == row.code);
    CHECK(row.predicate(pod.error()));
  }
  ApiClient html(std::make_shared<FakeTransport>([](const auto&) { return answer_of(503, "<html>"); }), {});
  const auto answer = html.get<Pod>("a", "b");
  CHECK(answer.error().code == 503);
  CHECK_FALSE(is_connection_error(answer.error()));
}

TEST_CASE("list pages through; create writes apiVersion and kind") {
  auto transport = std::make_shared<FakeTransport>([](const http::ClientRequest& r) {
    if (r.method == "POST") return answer_of(201, r.body);
    if (r.target.find("continue=t1") != std::string::npos) {
      return answer_of(200, R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"b"}}]})");
    }
    return answer_of(
        200, R"({"metadata":{"resourceVersion":"7","continue":"t1"},"items":[{"metadata":{"name":"a"}}]})");
  });
  ApiClient client(transport, {});
  const auto pods = client.list<Pod>("ns", {.label_selector = "app=web,tier in (a)"});
  REQUIRE(pods.ok());
  REQUIRE(pods->size() == 2);
  REQUIRE((*pods)[1].metadata.name == "b");
  REQUIRE(transport->requests()[1].target.find("labelSelector=app%3Dweb%2Ctier%20in%20%28a%29") !=
          std::string::npos);
  Pod pod;
  pod.metadata.name = "x";
  pod.metadata.namespace_ = "ns";
  REQUIRE(client.create(pod)->metadata.name == "x");
  const auto body = json::parse(transport->requests().back().body);
  REQUIRE(body->get_string("kind") == "Pod");
  REQUIRE(body->get_string("apiVersion") == "v1");
}

TEST_CASE("work queue: one worker per key, dirty keys return, delays, back-off") {
  ManualClock clock;
  WorkQueue queue({.backoff_min_ms = 10, .backoff_max_ms = 35, .capacity = 3}, clock);
  REQUIRE(queue.add("a"));
  REQUIRE(queue.add("a"));
  REQUIRE(queue.size() == 1);
  REQUIRE(queue.get() == "a");
  REQUIRE(queue.add("a"));
  REQUIRE(queue.size() == 0);  // in progress: waits for done
  queue.done("a");
  REQUIRE(queue.get() == "a");
  queue.done("a");
  REQUIRE(queue.idle());

  queue.add_after("b", 100);
  queue.add_after("b", 50);  // the earlier wins
  queue.add_after("b", 200);
  clock.advance_ms(50);
  REQUIRE(queue.get() == "b");
  queue.done("b");
  clock.advance_ms(500);
  REQUIRE(queue.idle());

  for (const std::int64_t expected : {10, 20, 35, 35}) {
    queue.add_backoff("c");
    queue.add("x");
    REQUIRE(queue.get() == "x");
    queue.done("x");
    clock.advance_ms(expected - 1);
    REQUIRE_FALSE(queue.idle());
    REQUIRE(queue.size() == 0);
    clock.advance_ms(1);
    REQUIRE(queue.get() == "c");
    queue.done("c");
  }
  REQUIRE(queue.failures("c") == 4);
  queue.forget("c");
  REQUIRE(queue.failures("c") == 0);

  REQUIRE((queue.add("1") && queue.add("2") && queue.add("3")));
  REQUIRE_FALSE(queue.add("4"));
  queue.shutdown();
  REQUIRE_FALSE(queue.get().has_value());
}

TEST_CASE("controller retries failures and never runs a key twice at once") {
  std::atomic<int> running{0}, calls{0};
  std::atomic<bool> overlapped{false};
  Controller controller({.name = "t", .workers = 4, .queue = {.backoff_min_ms = 1}},
                        [&](const std::string&) -> ReconcileResult {
                          if (running.fetch_add(1) != 0) overlapped = true;
                          std::this_thread::sleep_for(std::chrono::milliseconds(2));
                          running.fetch_sub(1);
                          if (calls.fetch_add(1) < 3) return Status{};
                          return Requeue::none();
                        });
  controller.start();
  for (int i = 0; i < 20; ++i) {
    controller.enqueue("k");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (int i = 0; i < 20'000 && !(calls >= 4 && controller.queue().idle()); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  controller.stop();
  REQUIRE(calls >= 4);
  REQUIRE_FALSE(overlapped);
}

// A one-object server with optimistic concurrency.
struct LeaseServer {
  std::mutex mutex;
  json::Value lease;
  int version = 0;
  bool down = false;
  Result<http::ClientResponse> operator()(const http::ClientRequest& r) {
    std::lock_guard lock(mutex);
    if (down) return make_error(ErrorCode::kUnavailable, "down");
    if (r.method == "GET") {
      if (lease.is_null()) return answer_of(404, R"({"reason":"NotFound"})");
      return answer_of(200, json::write(lease));
    }
    auto body = std::move(json::parse(r.body).value());
    if (r.method == "POST" && !lease.is_null()) return answer_of(409, R"({"reason":"AlreadyExists"})");
    if (r.method == "PUT" &&
        body.get_string_path({"metadata", "resourceVersion"}) != std::to_string(version)) {
      return answer_of(409, R"({"reason":"Conflict"})");
    }
    body["metadata"].set("resourceVersion", std::to_string(++version));
    lease = body;
    return answer_of(200, json::write(lease));
  }
};

TEST_CASE("election: one leader, takeover only after the lease ran out on the taker's clock") {
  LeaseServer server;
  ApiClient client(std::make_shared<FakeTransport>([&](const auto& r) { return server(r); }), {});
  ManualClock clock_a, clock_b(5'000);  // wall clocks far apart do not matter
  LeaderElector a(client, {.name = "l", .identity = "a"}, clock_a);
  LeaderElector b(client, {.name = "l", .identity = "b"}, clock_b);
  REQUIRE(a.try_acquire_or_renew());
  REQUIRE_FALSE(b.try_acquire_or_renew());
  clock_b.advance_ms(9'000);
  clock_a.advance_ms(9'000);
  clock_a.advance_ms(1);
  REQUIRE(a.try_acquire_or_renew());  // renewed: b's count starts again
  REQUIRE_FALSE(b.try_acquire_or_renew());
  clock_b.advance_ms(9'999);
  REQUIRE_FALSE(b.try_acquire_or_renew());
  clock_b.advance_ms(1);
  REQUIRE(b.try_acquire_or_renew());
  REQUIRE(server.lease.find("spec")->get_int("leaseTransitions") == 1);
  REQUIRE_FALSE(a.try_acquire_or_renew());
  b.release();
  REQUIRE(a.try_acquire_or_renew());  // at once after a release
}

TEST_CASE("election: run releases on stop and reports loss") {
  LeaseServer server;
  ApiClient client(std::make_shared<FakeTransport>([&](const auto& r) { return server(r); }), {});
  const LeaderElectionOptions options{.name = "l",
                                      .identity = "a",
                                      .lease_duration_ms = 3000,
                                      .renew_deadline_ms = 1000,
                                      .retry_period_ms = 10};
  std::stop_source stop;
  LeaderElector elector(client, options);
  REQUIRE(elector.run(stop.get_token(), [&](std::stop_token) { stop.request_stop(); }));
  REQUIRE(server.lease.find("spec")->get_string("holderIdentity").empty());
  std::stop_source never;
  REQUIRE_FALSE(elector.run(never.get_token(), [&](std::stop_token lead) {
    {
      std::lock_guard lock(server.mutex);
      server.down = true;
    }
    while (!lead.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }));
}

// A candidate with its own wire to the server, which can be cut, and its own thread.
struct Candidate {
  Candidate(LeaseServer& server, std::string name, std::atomic<int>& leaders)
      : client(std::make_shared<FakeTransport>([&, this](const auto& r) -> Result<http::ClientResponse> {
                 if (cut) return make_error(ErrorCode::kUnavailable, "cut off");
                 const std::int64_t asked_ms = system_clock().now_ms();
                 auto answer = server(r);
                 if (r.method == "PUT" && answer.ok() && answer->status == 200) renewed_ms = asked_ms;
                 return answer;
               }),
               {}),
        options{.name = "l",
                .identity = std::move(name),
                .lease_duration_ms = 3000,
                .renew_deadline_ms = 2000,
                .retry_period_ms = 20},
        thread([this, &leaders](std::stop_token stop) {
          kept = LeaderElector(client, options).run(stop, [&](std::stop_token lead) {
            most_leaders = ++leaders;
            leads = true;
            while (!lead.stop_requested()) sleep_for_ms(1, {});
            --leaders;
            leads = false;
          });
          ended = true;
        }) {}

  std::atomic<bool> cut{false}, leads{false}, kept{false}, ended{false};
  std::atomic<int> most_leaders{0};
  std::atomic<std::int64_t> renewed_ms{0};
  ApiClient client;
  const LeaderElectionOptions options;
  std::jthread thread;
};

TEST_CASE("election: two candidates run, one leads; when it falls silent the other follows, for good") {
  LeaseServer server;
  std::atomic<int> leaders{0};
  const auto eventually = [](const auto& done) {
    for (int i = 0; i < 20'000 && !done(); ++i) sleep_for_ms(2, {});
    return done();
  };
  const auto spec = [&] {
    const std::lock_guard lock(server.mutex);
    return *server.lease.find("spec");
  };
  Candidate a(server, "a", leaders);
  REQUIRE(eventually([&] { return a.leads.load(); }));
  Candidate b(server, "b", leaders);
  sleep_for_ms(3500, {});  // longer than the lease: what keeps b out is that a renews
  CHECK(a.leads);
  CHECK_FALSE(b.leads);
  CHECK(spec().get_int("leaseTransitions") == 0);
  const std::string acquired = spec().get_string("acquireTime");

  a.cut = true;
  const std::int64_t silent_ms = a.renewed_ms;
  REQUIRE(eventually([&] { return b.leads.load(); }));
  CHECK(system_clock().now_ms() - silent_ms >= b.options.lease_duration_ms);
  CHECK(b.most_leaders == 1);  // a had stopped before b began...
  REQUIRE(eventually([&] { return a.ended.load(); }));
  CHECK_FALSE(a.kept);  // ...and knows that it must not go on
  CHECK(spec().get_string("holderIdentity") == "b");
  CHECK(spec().get_int("leaseTransitions") == 1);
  CHECK(spec().get_string("acquireTime") > acquired);

  a.cut = false;
  Candidate again(server, "a", leaders);
  sleep_for_ms(3500, {});
  CHECK(b.leads);
  CHECK_FALSE(again.leads);
  CHECK(spec().get_int("leaseTransitions") == 1);
  b.thread.request_stop();
  REQUIRE(eventually([&] { return again.leads && b.ended; }));
  CHECK(b.kept);  // it went in an orderly way
  CHECK(spec().get_int("leaseTransitions") == 2);
}

// The expected numbers follow from the three rules in event_recorder.h, not from runs.
TEST_CASE("events: repeats are bumped, the tenth kind is combined, floods are dropped but counted") {
  using Action = EventCorrelator::Decision::Action;
  const std::int64_t start = 1'700'000'000'000;
  EventCorrelator correlator;
  EventRecord event{{"v1", "Pod", "ns", "p", "u", "", ""}, EventType::kWarning, "BackOff", "restarting"};

  SECTION("a burst of 25, then one every 5 minutes; the count goes on") {
    std::int64_t now = start;
    const auto first = correlator.decide(event, now);
    CHECK(first.action == Action::kCreate);
    CHECK(first.count == 1);
    for (int i = 2; i <= 25; ++i) {
      const auto again = correlator.decide(event, ++now);
      CHECK(again.action == Action::kBump);
      CHECK(again.name == first.name);
      CHECK(again.count == i);
      CHECK(again.first_unix_ms == start);
    }
    for (int i = 26; i <= 30; ++i) CHECK(correlator.decide(event, ++now).action == Action::kDrop);
    // 1 token after 300 s (a little of it had come during the burst already), and only one.
    const auto later = correlator.decide(event, now += 300'000);
    CHECK(later.action == Action::kBump);
    CHECK(later.count == 31);
    CHECK(correlator.decide(event, ++now).action == Action::kDrop);
  }
  SECTION("the bucket is the object's and the component's, whatever the reason") {
    for (int i = 0; i < 25; ++i) correlator.decide(event, start, "kubelet");
    event.reason = "Other";
    CHECK(correlator.decide(event, start, "kubelet").action == Action::kDrop);
    CHECK(correlator.decide(event, start, "scheduler").action == Action::kCreate);
    event.object.uid = "another";
    CHECK(correlator.decide(event, start, "kubelet").action == Action::kCreate);
  }
  SECTION("nine messages stand alone, from the tenth on they are one event") {
    std::string combined_name;
    for (int i = 1; i <= 20; ++i) {
      event.message = "number " + std::to_string(i);
      const auto d = correlator.decide(event, start + i);
      const bool combined = d.message.starts_with("(combined from similar events): number ");
      CHECK(combined == (i >= 10));
      CHECK(d.action == (i <= 10 ? Action::kCreate : Action::kBump));
      CHECK(d.count == (i <= 10 ? 1 : i - 9));
      if (i == 10) combined_name = d.name;
      if (i > 10) CHECK(d.name == combined_name);
    }
    // 10 quiet minutes end the series.
    event.message = "new";
    CHECK(correlator.decide(event, start + 20 + 600'001).message == "new");
  }
  SECTION("messages that repeat are no new kinds") {
    for (int i = 0; i < 24; ++i) {
      event.message = "number " + std::to_string(i % 8);
      CHECK(correlator.decide(event, start + i).message == event.message);
    }
  }
}

TEST_CASE("events: an event that expired on the server is created again with its count") {
  std::mutex mutex;
  std::vector<json::Value> created;
  int patches = 0, refused = 0;
  ApiClient client(
      std::make_shared<FakeTransport>([&](const http::ClientRequest& r) -> Result<http::ClientResponse> {
        std::lock_guard lock(mutex);
        if (r.method == "PATCH") {
          ++patches;
          return answer_of(404, R"({"reason":"NotFound"})");
        }
        if (refused++ == 0) return make_error(ErrorCode::kUnavailable, "connection refused");
        created.push_back(std::move(json::parse(r.body).value()));
        return answer_of(201, r.body);
      }),
      {});
  {
    EventRecorder events(client, "tester", "host");
    const EventRecord event{{"v1", "Pod", "ns", "p", "u", "", ""}, EventType::kNormal, "Pulled", "done"};
    events.record(event);
    events.record(event);
    for (int i = 0; i < 1000; ++i) {
      {
        std::lock_guard lock(mutex);
        if (created.size() == 2) break;
      }
      sleep_for_ms(10, {});
    }
  }
  REQUIRE(created.size() == 2);  // the first one in spite of a connection that was refused
  CHECK(patches == 1);
  CHECK(created[0].get_int("count") == 1);
  CHECK(created[1].get_int("count") == 2);
  CHECK(created[1].get_string_path({"metadata", "name"}) == created[0].get_string_path({"metadata", "name"}));
  CHECK(created[1].get_string_path({"source", "component"}) == "tester");
}

TEST_CASE("election: whoever waits takes the lease when it ends, not at the next retry after that") {
  LeaseServer server;
  ApiClient client(std::make_shared<FakeTransport>([&](const auto& r) { return server(r); }), {});
  LeaderElector dead(client, {.name = "l", .identity = "dead", .lease_duration_ms = 2'000});
  REQUIRE(dead.try_acquire_or_renew());
  const std::int64_t since_ms = system_clock().now_ms();
  std::stop_source stop;
  std::int64_t took_ms = 0;
  LeaderElector next(client,
                     {.name = "l", .identity = "next", .lease_duration_ms = 2'000, .retry_period_ms = 1'500});
  REQUIRE(next.run(stop.get_token(), [&](std::stop_token) {
    took_ms = system_clock().now_ms() - since_ms;
    stop.request_stop();
  }));
  CHECK(took_ms >= 2'000);
  CHECK(took_ms < 2'900);  // 3'000 would be the second retry
}

TEST_CASE("election: times from the command line") {
  const auto defaults = leader_election_options("l", {});
  REQUIRE(defaults.ok());
  CHECK(defaults->name == "l");
  CHECK(defaults->lease_duration_ms == LeaderElectionOptions().lease_duration_ms);
  CHECK(defaults->renew_deadline_ms == LeaderElectionOptions().renew_deadline_ms);
  CHECK(defaults->retry_period_ms == LeaderElectionOptions().retry_period_ms);
  // Seen late by a retry period, waited for, and taken with two calls.
  CHECK(3 * defaults->retry_period_ms + defaults->lease_duration_ms <= 15'000);
  CHECK(leader_election_options("l", {"15s", "10s", "2s"}).ok());  // upstream's
  struct Row {
    LeaderElectionFlags flags;
    const char* flag;
  };
  for (const Row& row : std::vector<Row>{{{"10", "6s", "1s"}, "--leader-elect-lease-duration"},
                                         {{"1500ms", "600ms", "100ms"}, "--leader-elect-lease-duration"},
                                         {{"0s", "6s", "1s"}, "--leader-elect-lease-duration"},
                                         {{"10s", "-6s", "1s"}, "--leader-elect-renew-deadline"},
                                         {{"10s", "7s", "1500ms"}, "--leader-elect-renew-deadline"},
                                         {{"10s", "1s", "1s"}, "--leader-elect-renew-deadline"},
                                         {{"10s", "6s", "often"}, "--leader-elect-retry-period"},
                                         {{"10s", "6s", "0ms"}, "--leader-elect-retry-period"}}) {
    const auto refused = leader_election_options("l", row.flags);
    INFO(row.flags.lease_duration << " " << row.flags.renew_deadline << " " << row.flags.retry_period);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::kInvalidArgument);
    CHECK(refused.error().message.find(row.flag) != std::string::npos);
  }
}

TEST_CASE("election: loss is noticed before anybody may steal, however the server hangs") {
  const LeaderElectionOptions defaults;
  auto transport = std::make_shared<FakeTransport>([](const auto&) { return answer_of(500, "{}"); });
  ApiClient client(transport, {});
  LeaderElector elector(client, {.name = "l"});
  CHECK_FALSE(elector.try_acquire_or_renew());
  // The last attempt starts before the deadline and is two calls; after it nobody leads.
  const std::int64_t longest_call_ms = transport->requests().at(0).timeout_ms;
  CHECK(defaults.renew_deadline_ms + 2 * longest_call_ms < defaults.lease_duration_ms);
  // Restarted in place (same pid), it is the same candidate and need not wait for its own lease.
  LeaderElector again(client, {.name = "l"});
  CHECK(again.identity() == elector.identity());
}

TEST_CASE("label selectors") {
  const Labels labels{{"app", "web"}, {"tier", "a"}};
  api::meta::v1::LabelSelector selector;
  REQUIRE(selector_matches(selector, labels));
  selector.matchLabels = {{"app", "web"}};
  REQUIRE(selector_matches(selector, labels));
  struct Row {
    const char* op;
    const char* key;
    std::vector<std::string> values;
    bool matches;
  };
  for (const auto& row : std::vector<Row>{{"In", "tier", {"a", "b"}, true},
                                          {"In", "none", {"a"}, false},
                                          {"NotIn", "tier", {"a"}, false},
                                          {"NotIn", "none", {"a"}, true},
                                          {"Exists", "tier", {}, true},
                                          {"DoesNotExist", "tier", {}, false},
                                          {"Near", "tier", {"a"}, false}}) {
    selector.matchExpressions = {{row.key, row.op, row.values}};
    CHECK(selector_matches(selector, labels) == row.matches);
  }
}

}  // namespace
}  // namespace coxswain::client
