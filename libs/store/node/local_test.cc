// The local store on a real disk: kill -9, a second process, formats, watchers across restarts.
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include <catch2/catch.hpp>

#include "libs/store/conformance/stores.h"

namespace coxswain::store::testing {
namespace {

LocalStoreOptions options_in(const std::string& dir) {
  LocalStoreOptions options;
  options.dir = dir + "/store";
  options.log_segment_bytes = 256 << 10;
  options.checkpoint_log_bytes = 200 << 10;
  return options;
}

TEST_CASE("everything is there after a restart, and watches resume") {
  const TempDir dir;
  const auto options = options_in(dir.path());
  std::string before;
  {
    const auto store = open_local_store(options).value();
    for (int i = 0; i < 300; ++i) {
      REQUIRE(store
                  ->txn_wait(
                      {{}, {put("k" + std::to_string(i % 50), std::string(2000, 'v') + std::to_string(i))}})
                  .ok());
    }
    REQUIRE(store->txn_wait({{}, {remove("k7", "bye")}}).ok());
    before = show(store->range({}).value().entries);
  }
  const auto store = open_local_store(options).value();
  CHECK(store->revision() == 301);
  CHECK(show(store->range({}).value().entries) == before);
  Revision progress = 0;
  const auto events = drain(store->watch("k7", 0 + 1).value().get(), 3, &progress).value();
  CHECK(events.size() == 7);
  CHECK(events.back()->entry->value == "bye");
  CHECK(progress == 301);
}

TEST_CASE("one data directory, one process; and only formats it knows") {
  const TempDir dir;
  const auto options = options_in(dir.path());
  {
    const auto store = open_local_store(options).value();
    const auto second = open_local_store(options);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code == ErrorCode::kUnavailable);
    CHECK(second.error().message.find("another process") != std::string::npos);
  }
  CHECK(open_local_store(options).ok());
  std::ofstream(options.dir + "/FORMAT") << "coxswain store 2\n";  // the same, but for what commands may be
  CHECK(open_local_store(options).ok());
  std::string format;
  std::getline(std::ifstream(options.dir + "/FORMAT"), format);
  CHECK(format == "coxswain store 3");
  std::ofstream(options.dir + "/FORMAT") << "coxswain store 4\n";
  CHECK(open_local_store(options).error().code == ErrorCode::kInvalidArgument);
  std::ofstream(options.dir + "/FORMAT") << "garbage\n";
  CHECK(open_local_store(options).error().code == ErrorCode::kCorruption);
  std::filesystem::remove(options.dir + "/FORMAT");
  CHECK(open_local_store(options).error().code == ErrorCode::kCorruption);
  LocalStoreOptions nowhere;
  nowhere.dir = dir.path() + "/missing/store";
  CHECK_FALSE(open_local_store(nowhere).ok());
}

// A real file system that is really full: the log's preallocation and RocksDB's flushes both meet it.
TEST_CASE("a full file system: reads go on, writes are refused, and all recovers by itself") {
  const TempDir dir;
  const std::string mount_point = dir.path() + "/disk";
  std::filesystem::create_directory(mount_point);
  if (::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=6m") != 0) {
    WARN("skipped: mounting a tmpfs needs root");
    return;
  }
  {
    LocalStoreOptions options = options_in(mount_point);
    options.log_segment_bytes = 512 << 10;
    const auto store = open_local_store(options).value();
    Revision last = 0;
    // Text that does not compress, over ever new keys: the log and then the state fill the disk.
    const auto random = seeded_random(3);
    Error refused;
    for (int i = 0; i < 20000; ++i) {
      std::string value;
      for (int j = 0; j < 400; ++j) value += std::to_string(random->next() % 100000);
      const auto result = store->txn_wait({{}, {put("k" + std::to_string(i), value)}});
      if (!result.ok()) {
        refused = result.error();
        break;
      }
      last = result->revision;
    }
    REQUIRE(last > 100);
    CHECK(refused.code == ErrorCode::kResourceExhausted);
    CHECK(store->stats().read_only);
    INFO(store->stats().read_only_reason);
    CHECK(store->revision() == last);
    CHECK(store->range({}).value().entries.size() == static_cast<std::size_t>(last));
    REQUIRE(::mount("tmpfs", mount_point.c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0);
    bool recovered = false;
    for (int i = 0; i < 10'000 && !recovered; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      recovered = store->txn_wait({{}, {put("after", "x")}}).ok();
    }
    CHECK(recovered);
    CHECK_FALSE(store->stats().read_only);
    CHECK(store->get("k0").ok());
  }
  {
    const auto store = open_local_store(options_in(mount_point)).value();
    CHECK(store->get("after").ok());
    CHECK(store->get("k100").ok());
  }
  CHECK(::umount2(mount_point.c_str(), MNT_DETACH) == 0);
}

// The process that gets killed: it reports each acknowledged write through a pipe. A program of its own
// (not a mere fork), because RocksDB's threads do not survive a fork.
TEST_CASE("the writer that kill -9 meets", "[.child]") {
  const char* dir = std::getenv("COXSWAIN_TEST_DIR");
  const char* pipe_text = std::getenv("COXSWAIN_TEST_PIPE");
  REQUIRE((dir != nullptr && pipe_text != nullptr));
  const int pipe = std::atoi(pipe_text);
  const auto store = open_local_store(options_in(dir)).value();
  std::atomic<int> in_flight{0};
  for (std::uint64_t i = 0;; ++i) {
    while (in_flight > 20) ::usleep(50);
    ++in_flight;
    store->txn({{}, {put_spliced("k" + std::to_string(i % 97), std::string(i % 1500, 'v'), 0)}},
               [&, key = i % 97](const Result<TxnResult>& result) {
                 const std::int64_t line[2] = {static_cast<std::int64_t>(key), result.value().revision};
                 if (::write(pipe, line, sizeof line) != sizeof line) ::_exit(1);
                 --in_flight;
               });
  }
}

TEST_CASE("kill -9 under write load, again and again") {
  const TempDir dir;
  const auto options = options_in(dir.path());
  std::map<std::int64_t, Revision> acknowledged;
  Revision highest = 0;
  for (int round = 0; round < 50; ++round) {
    CAPTURE(round);
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::setenv("COXSWAIN_TEST_DIR", dir.path().c_str(), 1);
      ::setenv("COXSWAIN_TEST_PIPE", std::to_string(fds[1]).c_str(), 1);
      ::close(fds[0]);
      ::execl("/proc/self/exe", "store_local_test", "[.child]", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(fds[1]);
    std::int64_t line[2];
    const int enough = 20 + round * 13;
    Revision first = 0;
    for (int seen = 0; ::read(fds[0], line, sizeof line) == sizeof line; ++seen) {
      if (first == 0) first = line[1];
      acknowledged[line[0]] = line[1];
      highest = std::max(highest, line[1]);
      if (seen == enough) ::kill(child, SIGKILL);
    }
    ::close(fds[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    const auto store = open_local_store(options).value();
    REQUIRE(store->revision() >= highest);
    for (const auto& [key, revision] : acknowledged) {
      const auto entry = store->get("k" + std::to_string(key)).value();
      REQUIRE(entry->mod_revision >= revision);
      const std::string text = std::to_string(entry->mod_revision);
      REQUIRE(entry->value.substr(0, text.size()) == text);
    }
    highest = store->revision();
  }
}

}  // namespace
}  // namespace coxswain::store::testing
