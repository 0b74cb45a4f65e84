// The informer against a scripted server: paging, resume, bookmarks, 410, restarts.
#include "libs/client/informer.h"

#include <catch2/catch.hpp>

#include "api/types/core_v1.h"
#include "libs/client/fake_transport.h"
#include "libs/common/base/strings.h"

namespace coxswain::client {
namespace {

using api::core::v1::Pod;

std::string pod_json(const std::string& name, int version, const std::string& node = "") {
  return R"({"metadata":{"namespace":"ns","name":")" + name + R"(","resourceVersion":")" +
         std::to_string(version) + R"("},"spec":{"nodeName":")" + node + R"("}})";
}
std::string event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}
std::string list_json(int version, const std::vector<std::string>& items) {
  return R"({"metadata":{"resourceVersion":")" + std::to_string(version) + R"("},"items":[)" +
         join(items, ",") + "]}";
}

TEST_CASE("informer follows a server that pages, breaks, expires and comes back") {
  std::atomic<int> lists{0}, watches{0};
  std::vector<std::string> seen_versions;  // of watch requests; written by the informer thread only
  auto transport = std::make_shared<FakeTransport>(
      [&](const http::ClientRequest&) -> Result<http::ClientResponse> {
        switch (lists++) {
          case 0:
            return make_error(ErrorCode::kUnavailable, "not up yet");
          case 1:
            return answer_of(200, list_json(10, {pod_json("a", 3, "n1"), pod_json("b", 4, "n2")}));
          default:
            return answer_of(200, list_json(30, {pod_json("a", 12, "n2"), pod_json("d", 25)}));
        }
      },
      [&](const http::ClientRequest& r, const http::Client::OnData& data,
          std::stop_token stop) -> Result<http::ClientResponse> {
        const auto at = r.target.find("resourceVersion=") + 16;
        seen_versions.push_back(r.target.substr(at, r.target.find('&', at) - at));
        switch (watches++) {
          case 0: {
            const std::string text =
                event("ADDED", pod_json("c", 11)) + event("MODIFIED", pod_json("a", 12, "n2"));
            for (char c : text) data({&c, 1});  // any split of the stream
            return make_error(ErrorCode::kUnavailable, "connection reset");
          }
          case 1:
            data(event("BOOKMARK", R"({"metadata":{"resourceVersion":"20"}})"));
            return http::ClientResponse{200, {}, ""};
          case 2:
            data(event("ERROR", R"({"code":410,"reason":"Expired","message":"too old"})"));
            return http::ClientResponse{200, {}, ""};
          case 3:
            data(event("DELETED", pod_json("d", 31)));
            [[fallthrough]];
          default: {
            while (!stop.stop_requested()) sleep_for_ms(2, stop);
            return make_error(ErrorCode::kCancelled, "stopped");
          }
        }
      });
  ApiClient client(transport, {});
  std::mutex mutex;
  std::vector<std::string> changes;
  Informer<Pod> informer(client, {.backoff_min_ms = 2, .backoff_max_ms = 4});
  informer.add_index("node", [](const Pod& p) { return std::vector<std::string>{p.spec.nodeName}; });
  informer.add_handler([&](const Change<Pod>& c) {
    std::lock_guard lock(mutex);
    changes.push_back(std::string(1, "+~-"[static_cast<int>(c.type)]) + c.object->metadata.name +
                      (c.old_object ? c.old_object->spec.nodeName : ""));
  });
  informer.start();
  for (int i = 0; i < 20'000 && informer.lister().size() != 1; ++i) sleep_for_ms(2, {});
  for (int i = 0; i < 20'000 && watches < 4; ++i) sleep_for_ms(2, {});
  for (int i = 0; i < 20'000; ++i) {
    {
      std::lock_guard lock(mutex);
      if (!changes.empty() && changes.back() == "-d") break;
    }
    sleep_for_ms(2, {});
  }
  REQUIRE(informer.synced());
  REQUIRE(informer.lister().get("ns", "a")->spec.nodeName == "n2");
  REQUIRE(informer.lister().by_index("node", "n2").size() == 1);
  REQUIRE(informer.lister().by_index("node", "n1").empty());
  REQUIRE(informer.lister().list("ns").size() == 1);
  informer.stop();
  REQUIRE(seen_versions == std::vector<std::string>{"10", "12", "20", "30"});
  // "a" was unchanged by the relist: no event. "b" and "c" vanished during the gap.
  std::sort(changes.begin() + 4, changes.end());
  REQUIRE(changes == std::vector<std::string>{"+a", "+b", "+c", "~an1", "+d", "-b", "-c", "-d"});
}

TEST_CASE("informer: the back-off starts over after progress and never exceeds its cap") {
  // Every list works and every watch breaks: each failure follows progress, so no wait grows.
  std::atomic<int> watches{0};
  auto transport = std::make_shared<FakeTransport>(
      [&](const http::ClientRequest&) { return answer_of(200, list_json(10, {})); },
      [&](const http::ClientRequest&, const http::Client::OnData& data,
          std::stop_token) -> Result<http::ClientResponse> {
        ++watches;
        data(event("BOOKMARK", R"({"metadata":{"resourceVersion":"20"}})"));
        return make_error(ErrorCode::kUnavailable, "connection reset");
      });
  ApiClient client(transport, {});
  Informer<Pod> informer(client, {.backoff_min_ms = 2, .backoff_max_ms = 1'000'000});
  informer.start();
  // Doubling would be at 2 s after ten failures and at 1000 s after twenty.
  for (int i = 0; i < 20'000 && watches < 25; ++i) sleep_for_ms(2, {});
  informer.stop();
  CHECK(watches >= 25);
  CHECK(ReflectorOptions().backoff_max_ms <= 5'000);
}

}  // namespace
}  // namespace coxswain::client
