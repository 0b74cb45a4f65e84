// What every Runtime does, as one suite: fake_runtime_test.cc and pods/docker_test.cc run it. `image` holds
// sh, sleep and true, and is present.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

class RuntimeContract {
 public:
  RuntimeContract(Runtime& runtime, std::string image) : runtime_(runtime), image_(std::move(image)) {}

  void check_all() {
    absent_things();
    life_of_a_container();
    exit_codes_and_signals();
    a_program_that_is_missing();
    logs();
    exec();
    events();
    images();
  }

 private:
  ContainerSpec spec(const std::string& name, std::vector<std::string> command) {
    ContainerSpec out;
    out.name = "contract-" + name;
    out.image = image_;
    out.command = std::move(command);
    out.network = "none";
    const std::string p(kLabelPrefix);
    out.labels = {{p + "kind", "container"}, {p + "pod-uid", "uid-1"},    {p + "pod-name", "web"},
                  {p + "container", name},   {p + "attempt", "3"},        {p + "backoff-ms", "20000"},
                  {p + "spec-hash", "abc"},  {p + "sandbox-id", "other"}, {p + "pod-namespace", "ns"}};
    return out;
  }
  std::string run(const std::string& name, const std::string& script) {
    auto id = runtime_.create(spec(name, {"sh", "-c", script}));
    if (!id.ok()) FAIL(id.error().message);
    const auto started = runtime_.start(*id);
    if (!started.ok()) FAIL(started.error().message);
    return *id;
  }
  ObservedContainer ended(const std::string& id) {
    for (int i = 0; i < 1000; ++i) {
      auto seen = runtime_.inspect(id);
      REQUIRE(seen.ok());
      if (seen->state == RunState::kExited) return *seen;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL("the container did not end");
    return {};
  }
  std::string read_logs(const std::string& id, const LogOptions& options) {
    std::string text;
    const auto read = runtime_.logs(id, options,
                                    [&](std::string_view bytes) {
                                      text += bytes;
                                      return true;
                                    },
                                    {});
    CHECK(read.ok());
    return text;
  }

  void absent_things() {
    CHECK(runtime_.inspect("nobody").error().code == ErrorCode::kNotFound);
    CHECK(runtime_.start("nobody").error().code == ErrorCode::kNotFound);
    CHECK(runtime_.exec("nobody", {"true"}, 1000).error().code == ErrorCode::kNotFound);
    CHECK(runtime_.signal("nobody", "SIGTERM").ok());
    CHECK(runtime_.remove("nobody").ok());
    ContainerSpec missing = spec("no-image", {"true"});
    missing.image = "coxswain-test/absent:1";
    CHECK(runtime_.create(missing).error().code == ErrorCode::kNotFound);
  }

  void life_of_a_container() {
    const ContainerSpec wanted = spec("life", {"sleep", "1000"});
    const auto id = runtime_.create(wanted);
    REQUIRE(id.ok());
    CHECK(*runtime_.create(wanted) == *id);  // the name is the identity
    const auto made = runtime_.inspect(*id);
    REQUIRE(made.ok());
    CHECK(made->state == RunState::kCreated);
    CHECK(made->created_ms > 0);
    CHECK(made->started_ms == 0);
    CHECK(made->pod_uid == "uid-1");
    CHECK(made->pod_name == "web");
    CHECK(made->pod_namespace == "ns");
    CHECK(made->name == "life");
    CHECK(made->attempt == 3);
    CHECK(made->backoff_ms == 20'000);
    CHECK(made->spec_hash == "abc");
    CHECK(made->sandbox_id == "other");
    CHECK_FALSE(made->sandbox);
    CHECK(runtime_.start(*id).ok());
    CHECK(runtime_.start(*id).ok());
    const auto running = runtime_.inspect(*id);
    CHECK(running->state == RunState::kRunning);
    CHECK(running->started_ms >= running->created_ms);
    const auto all = runtime_.list();
    REQUIRE(all.ok());
    REQUIRE(all->size() == 1);
    CHECK(all->front().id == *id);
    CHECK(all->front().attempt == 3);
    CHECK(all->front().state == RunState::kRunning);
    CHECK(runtime_.remove(*id).ok());  // kills first
    CHECK(runtime_.remove(*id).ok());
    CHECK(runtime_.inspect(*id).error().code == ErrorCode::kNotFound);
    CHECK(runtime_.list()->empty());
  }

  void exit_codes_and_signals() {
    const std::string three = run("three", "exit 3");
    const auto seen = ended(three);
    CHECK(seen.exit_code == 3);
    CHECK(seen.finished_ms >= seen.started_ms);
    CHECK(runtime_.signal(three, "SIGKILL").ok());  // nothing to signal any more
    const std::string polite = run("polite", "trap 'exit 0' TERM; echo up; while true; do sleep 0.1; done");
    for (int i = 0; i < 5000 && read_logs(polite, {}).empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // until the trap is set
    }
    CHECK(runtime_.signal(polite, "SIGTERM").ok());
    CHECK(ended(polite).exit_code == 0);
    const std::string stubborn = run("stubborn", "sleep 1000");
    CHECK(runtime_.signal(stubborn, "SIGKILL").ok());
    CHECK(ended(stubborn).exit_code == 137);
    for (const auto& id : {three, polite, stubborn}) CHECK(runtime_.remove(id).ok());
  }

  void a_program_that_is_missing() {
    const auto id = runtime_.create(spec("missing", {"no-such-program"}));
    REQUIRE(id.ok());
    const auto started = runtime_.start(*id);
    REQUIRE_FALSE(started.ok());
    CHECK(started.error().message.find("executable file not found") != std::string::npos);
    const auto seen = runtime_.inspect(*id);
    REQUIRE(seen.ok());
    CHECK(seen->state == RunState::kExited);  // not "created": that one would be started again and again
    CHECK(seen->exit_code == 127);
    CHECK_FALSE(seen->error.empty());
    CHECK(runtime_.remove(*id).ok());
  }

  void logs() {
    const std::string id = run("logs", "echo one; echo two; echo three; exit 0");
    ended(id);
    CHECK(read_logs(id, {}) == "one\ntwo\nthree\n");
    CHECK(read_logs(id, {.tail = 2}) == "two\nthree\n");
    CHECK(read_logs(id, {.tail = 0}).empty());
    CHECK(read_logs(id, {.follow = true}) == "one\ntwo\nthree\n");  // ends: so has the container
    CHECK(runtime_.remove(id).ok());
    const std::string open = run("open", "echo first; sleep 1000");
    std::jthread killer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      (void)runtime_.signal(open, "SIGKILL");
    });
    CHECK(read_logs(open, {.follow = true}) == "first\n");
    CHECK(runtime_.remove(open).ok());
  }

  void exec() {
    const std::string id = run("exec", "sleep 1000");
    const auto good = runtime_.exec(id, {"sh", "-c", "echo hello; exit 0"}, 10'000);
    REQUIRE(good.ok());
    CHECK(good->exit_code == 0);
    CHECK(good->output == "hello\n");
    CHECK(runtime_.exec(id, {"sh", "-c", "exit 5"}, 10'000)->exit_code == 5);
    CHECK(runtime_.exec(id, {"sleep", "1000"}, 300).error().code == ErrorCode::kDeadlineExceeded);
    CHECK(runtime_.signal(id, "SIGKILL").ok());
    ended(id);
    CHECK(runtime_.exec(id, {"true"}, 1000).error().code == ErrorCode::kConflict);
    CHECK(runtime_.remove(id).ok());
  }

  void events() {
    std::mutex mutex;
    std::vector<std::string> seen;
    const auto saw = [&](const std::string& action) {
      const std::lock_guard lock(mutex);
      return std::find(seen.begin(), seen.end(), action) != seen.end();
    };
    {
      std::jthread watcher([&](std::stop_token stop) {
        (void)runtime_.watch(
            [&](const RuntimeEvent& event) {
              const std::lock_guard lock(mutex);
              if (event.pod_uid == "uid-1" && !event.id.empty()) seen.push_back(event.action);
            },
            stop);
      });
      // The stream has no "I am here": what happened before it began is tried again.
      for (int i = 0; i < 50 && !(saw("start") && saw("die") && saw("destroy")); ++i) {
        const std::string id = run("events", "sleep 1000");
        CHECK(runtime_.remove(id).ok());
        for (int k = 0; k < 50 && !saw("destroy"); ++k)
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }  // stopping the watcher ends watch()
    for (const char* action : {"start", "die", "destroy"}) {
      INFO(action);
      CHECK(saw(action));
    }
  }

  void images() {
    CHECK(runtime_.find_image(image_)->has_value());
    CHECK_FALSE(runtime_.find_image("coxswain-test/absent:1")->has_value());
    const auto pulled = runtime_.pull("127.0.0.1:1/coxswain-test/absent:1", "");
    REQUIRE_FALSE(pulled.ok());
    CHECK_FALSE(pulled.error().message.empty());
    CHECK_FALSE(runtime_.images()->empty());
  }

  Runtime& runtime_;
  const std::string image_;
};

}  // namespace coxswain::kubelet
