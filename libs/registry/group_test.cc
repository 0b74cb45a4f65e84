// Three api-servers, each on its own member of a real group of three: one API.
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>
#include <catch2/catch.hpp>

#include "libs/common/base/strings.h"
#include "libs/registry/local_exchange.h"
#include "libs/registry/registry.h"
#include "libs/store/conformance/group_store.h"

using namespace coxswain;            // NOLINT: a test
using namespace coxswain::registry;  // NOLINT

namespace {

const std::string kMaps = "/api/v1/namespaces/default/configmaps";
const std::string kServices = "/api/v1/namespaces/default/services";
constexpr int kServers = 3;

std::string map_with(const std::string& name, const std::string& value, const std::string& revision = {}) {
  return R"({"metadata":{"name":")" + name + R"(","resourceVersion":")" + revision + R"("},"data":{"k":")" +
         value + R"("}})";
}

struct Dir {
  std::string path;
  Dir() {
    char name[] = "/tmp/coxswain-registry-group-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

struct Group {
  Dir dir;
  std::unique_ptr<store::testing::GroupStore> store = store::testing::open_group(dir.path, {});
  std::vector<std::unique_ptr<Registry>> servers;

  Group() {
    for (int i = 0; i < kServers; ++i) {
      Options options;
      options.authenticate = false;
      options.several_servers = true;
      options.advertise_address = "192.0.2." + std::to_string(i + 1);
      servers.push_back(std::make_unique<Registry>(store->member(i), options));
    }
    // At once, while the members still look for a leader.
    std::vector<std::jthread> starting;
    std::atomic<int> started{0};
    for (auto& server : servers) starting.emplace_back([&] { started += server->bootstrap().ok() ? 1 : 0; });
    starting.clear();
    REQUIRE(started == kServers);
  }

  Registry::Answer ask(int server, const std::string& method, const std::string& target,
                       const std::string& body = {}) {
    return servers[static_cast<std::size_t>(server)]->call(method, target, body);
  }
  json::Value json(int server, const std::string& method, const std::string& target, int code,
                   const std::string& body = {}) {
    const Registry::Answer answer = ask(server, method, target, body);
    INFO(method << " " << target << " at " << server << " -> " << answer.code << " " << answer.body);
    REQUIRE(answer.code == code);
    return std::move(json::parse(answer.body).value());
  }
};

}  // namespace

TEST_CASE("what one server acknowledged every other one knows at once") {
  Group group;
  for (int i = 0; i < 60; ++i) {
    const int at = i % kServers;
    const int other = (i + 1 + i / kServers % 2) % kServers;
    const std::string name = "m" + std::to_string(i);
    INFO(name << ": " << at << " then " << other);
    group.json(at, "POST", kMaps, 201, map_with(name, "1"));
    const json::Value seen = group.json(other, "GET", kMaps + "/" + name, 200);
    group.json(other, "PUT", kMaps + "/" + name, 200,
               map_with(name, "2", seen.get_string_path({"metadata", "resourceVersion"})));
    CHECK(group.json(at, "GET", kMaps + "/" + name, 200).get_string_path({"data", "k"}) == "2");
    const json::Value list = group.json(at, "GET", kMaps + "?fieldSelector=metadata.name%3D" + name, 200);
    CHECK(list.find("items")->as_array().size() == 1);
    group.json(at, "DELETE", kMaps + "/" + name, 200);
    group.json(other, "GET", kMaps + "/" + name, 404);
  }
}

TEST_CASE("a list, its next page and its watch may come from three servers") {
  Group group;
  for (int i = 0; i < 4; ++i) group.json(0, "POST", kMaps, 201, map_with("m" + std::to_string(i), "1"));
  const json::Value first = group.json(0, "GET", kMaps + "?limit=2", 200);
  const json::Value second = group.json(
      1, "GET", kMaps + "?limit=2&continue=" + first.get_string_path({"metadata", "continue"}), 200);
  CHECK(second.find("items")->as_array().size() == 2);
  const std::string revision = second.get_string_path({"metadata", "resourceVersion"});
  CHECK(revision == first.get_string_path({"metadata", "resourceVersion"}));
  group.json(1, "DELETE", kMaps + "/m1", 200);
  auto watch =
      std::make_shared<LocalExchange>(make_request("GET", kMaps + "?watch=1&resourceVersion=" + revision));
  group.servers[2]->handle(watch);
  group.json(0, "POST", kMaps, 201, map_with("m9", "1"));
  CHECK(watch->wait_body([](const std::string& body) { return body.find("\"m9\"") != body.npos; }));
  std::vector<std::string> events;
  for (const std::string& line : split(watch->body(), '\n')) {
    if (line.empty()) continue;
    const auto event = json::parse(line);
    REQUIRE(event.ok());
    events.push_back(event->get_string("type") + " " +
                     event->get_string_path({"object", "metadata", "name"}));
  }
  CHECK(events == std::vector<std::string>{"DELETED m1", "ADDED m9"});
  watch->close();
}

TEST_CASE("writers at all servers lose no update and share no address") {
  Group group;
  group.json(0, "POST", kMaps, 201, map_with("counter", "0"));
  constexpr int kEach = 20;
  std::atomic<int> unexpected{0};
  {
    std::vector<std::jthread> writers;
    for (int at = 0; at < kServers; ++at) {
      writers.emplace_back([&, at] {
        for (int done = 0; done < kEach;) {
          const auto seen = json::parse(group.ask(at, "GET", kMaps + "/counter").body);
          if (!seen.ok()) return void(++unexpected);
          const auto next = parse_int64(seen->get_string_path({"data", "k"})).value_or(-1) + 1;
          const auto written = group.ask(at, "PUT", kMaps + "/counter",
                                         map_with("counter", std::to_string(next),
                                                  seen->get_string_path({"metadata", "resourceVersion"})));
          if (written.code == 200) ++done;
          if (written.code != 200 && written.code != 409) return void(++unexpected);
        }
        const std::string name = "s" + std::to_string(at) + "-";
        for (int i = 0; i < 8; ++i) {
          const auto made = group.ask(at, "POST", kServices,
                                      R"({"metadata":{"name":")" + name + std::to_string(i) +
                                          R"("},"spec":{"ports":[{"port":80}]}})");
          if (made.code != 201) ++unexpected;
        }
      });
    }
  }
  CHECK(unexpected == 0);
  CHECK(group.json(1, "GET", kMaps + "/counter", 200).get_string_path({"data", "k"}) ==
        std::to_string(kServers * kEach));
  std::set<std::string> addresses;
  const json::Value services = group.json(2, "GET", kServices, 200);
  for (const json::Value& service : services.find("items")->as_array())
    addresses.insert(service.get_string_path({"spec", "clusterIP"}));
  CHECK(addresses.size() == 1 + kServers * 8);  // and `kubernetes`
}

TEST_CASE("a server without a quorum serves nothing that may be old, and is itself again after that") {
  Group group;
  group.json(0, "POST", kMaps, 201, map_with("m", "1"));
  const int cut = group.store->leader();
  const int other = (cut + 1) % kServers;
  group.store->cut_off(cut, true);
  for (int i = 0; i < 200 && group.ask(other, "PUT", kMaps + "/m", map_with("m", "2")).code != 200; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(group.json(other, "GET", kMaps + "/m", 200).get_string_path({"data", "k"}) == "2");
  for (const char* target : {"/m", "", "?watch=1"}) {
    INFO(target);
    const Registry::Answer answer = group.ask(cut, "GET", kMaps + target);
    CHECK(answer.code == 503);
    CHECK(json::parse(answer.body)->get_string("reason") == "ServiceUnavailable");
  }
  // Any age: from what it has.
  CHECK(group.json(cut, "GET", kMaps + "/m?resourceVersion=0", 200).get_string_path({"data", "k"}) == "1");
  group.store->cut_off(cut, false);
  Registry::Answer healed;
  for (int i = 0; i < 200 && healed.code != 200; ++i) {
    healed = group.ask(cut, "GET", kMaps + "/m");
    if (healed.code != 200) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  REQUIRE(healed.code == 200);
  CHECK(json::parse(healed.body)->get_string_path({"data", "k"}) == "2");
}

TEST_CASE("the Service kubernetes leads to all three servers") {
  Group group;
  std::set<std::string> ips;
  for (int i = 0; i < 500 && ips.size() != kServers; ++i) {
    ips.clear();
    const json::Value endpoints =
        group.json(0, "GET", "/api/v1/namespaces/default/endpoints/kubernetes", 200);
    const json::Value& addresses = *endpoints.find("subsets")->as_array()[0].find("addresses");
    for (const json::Value& address : addresses.as_array()) ips.insert(address.get_string("ip"));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(ips == std::set<std::string>{"192.0.2.1", "192.0.2.2", "192.0.2.3"});
}
