// Bookmarks: how a quiet watch keeps its place in history.
#include <catch2/catch.hpp>

#include "libs/common/base/strings.h"
#include "libs/registry/test_cluster.h"
#include "libs/registry/timed_exchange.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kMaps = "/api/v1/namespaces/default/configmaps";

std::string map_named(const std::string& name) { return R"({"metadata":{"name":")" + name + R"("}})"; }

struct WatchUnderTest {
  std::shared_ptr<TimedExchange> exchange;

  WatchUnderTest(Cluster& cluster, const std::string& query)
      : exchange(std::make_shared<TimedExchange>(make_request("GET", kMaps + "?watch=1" + query))) {
    cluster.registry->handle(exchange);
    REQUIRE(exchange->status() == 200);
  }
  ~WatchUnderTest() { exchange->close(); }

  // "ADDED a", "BOOKMARK 7": names, and of bookmarks the revision.
  std::vector<std::string> seen() const {
    std::vector<std::string> out;
    for (const std::string& line : split(exchange->body(), '\n')) {
      if (line.empty()) continue;
      const auto event = json::parse(line);
      REQUIRE(event.ok());
      const std::string type = event->get_string("type");
      CHECK(event->get_string_path({"object", "kind"}) == "ConfigMap");
      CHECK(event->get_string_path({"object", "apiVersion"}) == "v1");
      out.push_back(
          type + " " +
          event->get_string_path({"object", "metadata", type == "BOOKMARK" ? "resourceVersion" : "name"}));
    }
    return out;
  }
};

using Seen = std::vector<std::string>;

}  // namespace

TEST_CASE("a quiet watch gets a bookmark after the interval, if it asked for bookmarks") {
  Options options;
  options.bookmark_interval_ms = 60'000;
  Cluster cluster(options);
  const std::string revision = std::to_string(cluster.store->revision());
  WatchUnderTest with(cluster, "&allowWatchBookmarks=true&resourceVersion=" + revision);
  WatchUnderTest without(cluster, "&resourceVersion=" + revision);
  with.exchange->advance_ms(59'999);
  CHECK(with.seen().empty());
  with.exchange->advance_ms(1);
  CHECK(with.seen() == Seen{"BOOKMARK " + revision});
  without.exchange->advance_ms(300'000);
  CHECK(without.seen().empty());
}

TEST_CASE("bookmarks follow what happens elsewhere, so that a quiet watch outlives compaction") {
  Options options;
  options.bookmark_interval_ms = 1'000;
  Cluster cluster(options);
  const std::string before = std::to_string(cluster.store->revision());
  WatchUnderTest watch(cluster, "&allowWatchBookmarks=true&resourceVersion=" + before);
  watch.exchange->advance_ms(1'000);
  cluster.json("POST", "/api/v1/namespaces", 201, map_named("elsewhere"));
  const std::string after = std::to_string(cluster.store->revision());
  watch.exchange->advance_ms(1'000);
  watch.exchange->advance_ms(1'000);  // nothing new: nothing to say
  CHECK(watch.seen() == Seen{"BOOKMARK " + before, "BOOKMARK " + after});
}

TEST_CASE("a bookmark comes after the events that it covers") {
  Options options;
  options.bookmark_interval_ms = 1'000;
  Cluster cluster(options);
  WatchUnderTest watch(
      cluster, "&allowWatchBookmarks=true&resourceVersion=" + std::to_string(cluster.store->revision()));
  cluster.json("POST", kMaps, 201, map_named("a"));
  watch.exchange->advance_ms(1'000);  // before the watch's own thread was woken
  CHECK(watch.seen() == Seen{"ADDED a", "BOOKMARK " + std::to_string(cluster.store->revision())});
  cluster.json("POST", kMaps, 201, map_named("b"));
  CHECK(watch.exchange->wait_body([](const std::string& body) { return body.find("\"b\"") != body.npos; }));
  CHECK(watch.seen().back() == "ADDED b");
}
