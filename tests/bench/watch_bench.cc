// What clients that stopped reading cost those that read: many watchers of a running api-server, one of them
// on a busy object, with and without stuck ones beside them. Prints one Markdown row; fails if a watcher
// misses an event or those that should be stuck are not. See tests/bench/stuck_watchers.py.
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
#include <CLI/CLI.hpp>

#include "libs/common/base/strings.h"
#include "tests/bench/connection.h"

namespace {

using namespace coxswain;
using namespace coxswain::bench;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::string_view kMaps = "/api/v1/namespaces/default/configmaps";
constexpr std::string_view kStamp = "\"sent\":\"";  // when it was written; in every object's data
constexpr int kStuckReceiveBuffer = 4096;           // the kernel's least: it is full at once

struct Options {
  std::string kubeconfig;
  int watchers = 10'000;  // all of them: the busy one, the stuck ones, and those that are measured
  int stuck = 800;
  int objects = 100;  // that the measured ones watch, as many each
  double seconds = 10;
  int rounds = 3;
  int writes_per_second = 100;
  int busy_writes_per_second = 300;
  int busy_bytes = 4096;
  int measured() const { return watchers - stuck - 1; }
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "watch_bench: %s\n", why.c_str());
  std::exit(1);
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

std::string object_path(const std::string& name) { return std::string(kMaps) + "/" + name; }
std::string quiet_name(int n) { return "quiet-" + std::to_string(n); }

std::string config_map(const std::string& name, int padding) {
  return R"({"metadata":{"name":")" + name + R"("},"data":{"padding":")" +
         std::string(static_cast<std::size_t>(padding), 'x') + "\"," + std::string(kStamp) +
         std::to_string(now_ns()) + "\"}}";
}

std::string watch_request(const std::string& name) {
  return prepare("GET", std::string(kMaps) + "?watch=true&fieldSelector=metadata.name%3D" + name +
                            "&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan" +
                            "&timeoutSeconds=3600");
}

// Writes objects in turn, each as often as the others, at a steady pace until it is stopped.
class Writer {
 public:
  Writer(const Target& target, std::vector<std::string> names, int padding, int per_second)
      : connection_(target), names_(std::move(names)), padding_(padding), per_second_(per_second) {
    for (const std::string& name : names_)
      connection_.request(prepare("POST", kMaps, config_map(name, padding_)));  // there, as of now
  }
  void start() {
    stopping_ = false;
    thread_ = std::thread([this] { run(); });
  }
  // How many were written since start().
  std::int64_t stop() {
    stopping_ = true;
    thread_.join();
    return std::exchange(written_, 0);
  }

 private:
  void put(const std::string& name) {
    const int status = connection_.request(prepare("PUT", object_path(name), config_map(name, padding_)));
    if (status != 200 && status != 201) fail("a write was answered with " + std::to_string(status));
  }
  void run() {
    const auto pause =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1)) / per_second_;
    for (auto due = Clock::now(); !stopping_ || next_ % names_.size() != 0;
         due = std::max(due + pause, Clock::now() - pause)) {
      std::this_thread::sleep_until(due);
      put(names_[next_++ % names_.size()]);
      ++written_;
    }
  }

  Connection connection_;
  const std::vector<std::string> names_;
  const int padding_;
  const int per_second_;
  std::size_t next_ = 0;
  std::int64_t written_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Watchers that read, all in one thread, and how long each event took to get to them.
class Readers {
 public:
  Readers() : poll_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~Readers() {
    if (thread_.joinable()) {
      stopping_ = true;
      thread_.join();
    }
    ::close(poll_);
  }

  // Any thread, before start().
  void add(const Target& target, const std::string& name, bool measured) {
    auto reader = std::make_unique<Reader>(target, measured);
    const int fd = reader->connection.open_stream(watch_request(name));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = reader.get();
    epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
    const std::lock_guard lock(mutex_);
    readers_.push_back(std::move(reader));
  }
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  int answered() const { return answered_; }
  // Milliseconds of every event since the last take(), of those that are measured.
  std::vector<double> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(latencies_ms_, {});
  }
  std::size_t received() const {
    const std::lock_guard lock(mutex_);
    return latencies_ms_.size();
  }

 private:
  struct Reader {
    Reader(const Target& target, bool is_measured) : connection(target), measured(is_measured) {}
    Connection connection;
    const bool measured;
    bool answered = false;
    std::string unread;  // the part of an event that has come
  };

  void run() {
    std::vector<epoll_event> events(1024);
    while (!stopping_) {
      const int n = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), 100);
      for (int i = 0; i < n; ++i) read(*static_cast<Reader*>(events[static_cast<std::size_t>(i)].data.ptr));
    }
  }
  void read(Reader& reader) {
    if (!reader.connection.drain(&reader.unread)) fail("the server has closed a watch of one who reads");
    const std::int64_t now = now_ns();
    if (!reader.answered && reader.unread.find("\r\n\r\n") != std::string::npos) {
      if (!reader.unread.starts_with("HTTP/1.1 200")) fail("a watch was answered: " + reader.unread);
      reader.answered = true;
      ++answered_;
    }
    const std::size_t end = reader.unread.rfind('\n');
    if (end == std::string::npos) return;
    if (reader.measured) note(std::string_view(reader.unread).substr(0, end), now);
    reader.unread.erase(0, end + 1);
  }
  void note(std::string_view lines, std::int64_t now) {
    const std::lock_guard lock(mutex_);
    for (std::size_t at = 0; (at = lines.find(kStamp, at)) != std::string_view::npos;) {
      at += kStamp.size();
      const std::int64_t sent = std::strtoll(lines.data() + at, nullptr, 10);
      latencies_ms_.push_back(static_cast<double>(now - sent) / 1e6);
    }
  }

  const int poll_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> answered_{0};
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::vector<double> latencies_ms_;
  std::thread thread_;
};

// Watchers of the busy object that never read.
class Stuck {
 public:
  Stuck(Target target, int count) {
    target.receive_buffer = kStuckReceiveBuffer;
    for (int i = 0; i < count; ++i) {
      connections_.push_back(std::make_unique<Connection>(target));
      fds_.push_back(connections_.back()->open_stream(watch_request("busy")));
    }
  }
  int closed() const {
    return static_cast<int>(std::count_if(fds_.begin(), fds_.end(), [](int fd) {
      pollfd state{fd, POLLRDHUP, 0};
      return poll(&state, 1, 0) == 1 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    }));
  }

 private:
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<int> fds_;
};

// Events that the server has handed to connections.
std::int64_t events_sent(Connection& connection) {
  constexpr std::string_view name = "\napiserver_watch_events_total ";
  std::string body;
  if (connection.request(prepare("GET", "/metrics"), &body) != 200) fail("the metrics cannot be read");
  const std::size_t at = body.find(name);
  if (at == std::string::npos) fail("the metrics have no count of events");
  return std::strtoll(body.c_str() + at + name.size(), nullptr, 10);
}

// Until the server keeps back what it has for them: what it sends is what the one that reads gets.
void wait_until_stuck(const Target& target, const Options& options) {
  Connection connection(target);
  for (int tries = 0; tries < 120; ++tries) {
    const std::int64_t before = events_sent(connection);
    const auto since = Clock::now();
    std::this_thread::sleep_for(milliseconds(500));
    const double sent = static_cast<double>(events_sent(connection) - before);
    const double seconds = std::chrono::duration<double>(Clock::now() - since).count();
    if (sent > 0 && sent < 2 * options.busy_writes_per_second * seconds) return;
  }
  fail("the watchers that should be stuck are not");
}

void open_readers(const Target& target, const Options& options, Readers* readers) {
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = next.fetch_add(1); i < options.measured(); i = next.fetch_add(1))
        readers->add(target, quiet_name(i % options.objects), true);
    });
  }
  for (std::thread& thread : threads) thread.join();
  readers->add(target, "busy", false);
  readers->start();
  for (int tries = 0; readers->answered() < options.measured() + 1; ++tries) {
    if (tries > 6000) fail("not every watch was answered");
    std::this_thread::sleep_for(milliseconds(10));
  }
  (void)readers->take();
}

// Every event of `seconds` of writing, at everybody who watches it.
std::vector<double> measure(const Options& options, Writer& writer, Readers& readers) {
  writer.start();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  const auto wanted = static_cast<std::size_t>(writer.stop() / options.objects * options.measured());
  for (int tries = 0; readers.received() < wanted; ++tries) {
    if (tries > 2000)
      fail("events are missing: " + std::to_string(readers.received()) + " of " + std::to_string(wanted));
    std::this_thread::sleep_for(milliseconds(10));
  }
  std::vector<double> all = readers.take();
  if (all.size() != wanted) fail("there are more events than writes");
  return all;
}

double percentile(const std::vector<double>& sorted, double part) {
  return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
}

void append(std::vector<double>* all, const std::vector<double>& more) {
  all->insert(all->end(), more.begin(), more.end());
}

void report(const Options& options, std::vector<double> without, std::vector<double> with) {
  std::sort(without.begin(), without.end());
  std::sort(with.begin(), with.end());
  const double ratio = percentile(with, 0.99) / percentile(without, 0.99);
  std::printf(
      "| %d watchers, one busy and %d stuck: delivery to the others | p50 %.2f ms, p99 %.2f ms; without the "
      "stuck "
      "ones p50 %.2f ms, p99 %.2f ms: %.2fx | - | - | p99 ≤ 2x | %s |\n",
      options.watchers, options.stuck, percentile(with, 0.5), percentile(with, 0.99),
      percentile(without, 0.5), percentile(without, 0.99), ratio, ratio <= 2 ? "reached" : "missed");
}

void run(const Target& target, const Options& options) {
  std::vector<std::string> names;
  for (int i = 0; i < options.objects; ++i) names.push_back(quiet_name(i));
  Writer quiet(target, names, 100, options.writes_per_second);
  Writer busy(target, {"busy"}, options.busy_bytes, options.busy_writes_per_second);
  Readers readers;
  open_readers(target, options, &readers);
  std::vector<double> without, with;
  busy.start();
  for (int round = 0; round < options.rounds; ++round) {
    std::this_thread::sleep_for(milliseconds(1000));
    append(&without, measure(options, quiet, readers));
    const Stuck stuck(target, options.stuck);
    wait_until_stuck(target, options);
    append(&with, measure(options, quiet, readers));
    if (stuck.closed() > 0)
      fail("the server has closed " + std::to_string(stuck.closed()) + " stuck watches");
  }
  (void)busy.stop();
  report(options, std::move(without), std::move(with));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"watch_bench measures what stuck watchers cost the others"};
  app.add_option("--kubeconfig", options.kubeconfig, "Whose server to measure")->required();
  app.add_option("--watchers", options.watchers, "All of them")->capture_default_str();
  app.add_option("--stuck", options.stuck, "Those that never read")->capture_default_str();
  app.add_option("--objects", options.objects, "That the measured ones watch")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Length of each measurement")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Of one without and one with them")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (options.measured() < options.objects || options.stuck < 1 || options.rounds < 1)
    fail("too few watchers");
  const Target target = target_of(options.kubeconfig);
  run(target, options);
  return 0;
}
