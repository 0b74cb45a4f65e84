// Members over real connections: who may speak, what is refused and how it is said, and that one who is stuck
// costs nobody else anything.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

#include <catch2/catch.hpp>

#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
#include "libs/common/pki/pki.h"
#include "libs/store/conformance/stores.h"
#include "libs/store/engine/rows.h"
#include "libs/store/peer/handshake.h"
#include "libs/store/peer/tls_transport.h"
#include "libs/store/raft/message_codec.h"

namespace coxswain::store::testing {
namespace {

using raft::MemberId;

bool eventually(const std::function<bool()>& done) {
  for (int i = 0; i < 12'000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return done();
}

struct Authority {
  Authority() { std::signal(SIGPIPE, SIG_IGN); }
  PeerTls issue(const std::string& name, std::vector<std::string> groups = {kMembersOrganization}) {
    const std::int64_t now_ms = system_clock().unix_ms();
    const pki::KeyPair ca = pki::ensure_ca(dir.path(), now_ms).value();
    pki::CertificateRequest request;
    request.common_name = name;
    request.organizations = std::move(groups);
    request.server = request.client = true;
    const pki::KeyPair pair =
        pki::ensure_certificate(dir.path(), "pair-" + std::to_string(++serial), ca, request, now_ms).value();
    return {ca.certificate_path, pair.certificate_path, pair.key_path};
  }
  TempDir dir;
  int serial = 0;
};

// A member that writes down what it gets.
struct Peer : Transport::Receiver {
  Peer(
      Authority& authority, MemberId id, std::function<void(PeerOptions&)> change = [](PeerOptions&) {}) {
    PeerOptions options;
    options.id = id;
    options.cluster = "blue";
    options.tls = authority.issue(member_name(id));
    options.io_timeout_ms = 500;
    options.on_refusal = [this](const std::string& why) {
      const std::lock_guard lock(mutex);
      refusals += why + "\n";
    };
    change(options);
    transport = TlsTransport::open(std::move(options)).value();
    REQUIRE(transport->start(*this).ok());
  }
  ~Peer() override { transport->stop(); }

  void receive(raft::Message message) override {
    const std::lock_guard lock(mutex);
    mail.push_back(std::move(message));
  }
  Result<std::unique_ptr<EngineCopy>> start_copy() override {
    if (full) return make_error(ErrorCode::kResourceExhausted, "no space left for a state");
    return engine->start_copy();
  }
  void receive_state(raft::Message message, std::unique_ptr<EngineCopy> copy) override {
    const std::lock_guard lock(mutex);
    REQUIRE(engine->adopt(std::move(copy)).ok());
    states.push_back(std::move(message));
  }
  void unreachable(MemberId) override { ++unreached; }
  void state_sent(MemberId, bool arrived) override { ++(arrived ? sent : lost); }

  std::size_t mails() {
    const std::lock_guard lock(mutex);
    return mail.size();
  }
  std::string all_refusals() {
    const std::lock_guard lock(mutex);
    return refusals;
  }
  bool refused(const std::string& words) {
    const std::lock_guard lock(mutex);
    return refusals.find(words) != std::string::npos;
  }
  PeerAddress address() const { return {"127.0.0.1", transport->port()}; }

  std::mutex mutex;
  std::vector<raft::Message> mail;
  std::vector<raft::Message> states;
  std::string refusals;
  std::atomic<int> unreached{0}, sent{0}, lost{0};
  std::atomic<bool> full{false};
  const std::unique_ptr<Engine> engine = open_memory_engine();
  std::unique_ptr<TlsTransport> transport;
};

raft::Message heartbeat(MemberId from, MemberId to, std::uint64_t context = 0) {
  raft::Message message;
  message.kind = raft::MessageKind::kHeartbeat;
  message.from = from;
  message.to = to;
  message.term = 3;
  message.context = context;
  return message;
}

raft::Message state_message(MemberId from, MemberId to) {
  raft::Message message = heartbeat(from, to);
  message.kind = raft::MessageKind::kSnapshot;
  message.snapshot = raft::Snapshot{10, 2, {}};
  message.snapshot->configuration.voters = {1, 2, 3};
  return message;
}

TEST_CASE("mail arrives in order, in both directions, and goes on after a restart of the other side") {
  Authority authority;
  Peer one(authority, 1);
  auto two = std::make_unique<Peer>(authority, 2);
  const PeerAddress at = two->address();
  one.transport->set_peers({{1, one.address()}, {2, at}});
  two->transport->set_peers({{1, one.address()}, {2, at}});
  for (std::uint64_t i = 0; i < 1000; ++i) {
    one.transport->send(heartbeat(1, 2, i));
    two->transport->send(heartbeat(2, 1, i));
  }
  REQUIRE(eventually([&] { return one.mails() == 1000 && two->mails() == 1000; }));
  for (std::uint64_t i = 0; i < 1000; ++i) CHECK(two->mail[i].context == i);
  two.reset();
  two = std::make_unique<Peer>(authority, 2, [&](PeerOptions& options) { options.port = at.port; });
  REQUIRE(eventually([&] {
    one.transport->send(heartbeat(1, 2));  // what is sent into the gap is lost
    return two->mails() > 0;
  }));
  CHECK(one.unreached > 0);
}

TEST_CASE("who is gone is reported to who only listened, and to who still sends") {
  Authority authority;
  Peer listens(authority, 1), sends(authority, 3);
  auto dies = std::make_unique<Peer>(authority, 2);
  dies->transport->set_peers({{1, listens.address()}});
  sends.transport->set_peers({{2, dies->address()}});
  dies->transport->send(heartbeat(2, 1));
  sends.transport->send(heartbeat(3, 2));
  REQUIRE(eventually([&] { return listens.mails() == 1 && dies->mails() == 1; }));
  CHECK(listens.unreached + sends.unreached == 0);
  dies.reset();
  CHECK(eventually([&] { return listens.unreached > 0; }));
  CHECK(eventually([&] {
    sends.transport->send(heartbeat(3, 2));
    return sends.unreached > 0;
  }));
}

TEST_CASE("a state arrives whole, or the sender hears that it did not") {
  Authority authority;
  Peer one(authority, 1), two(authority, 2);
  one.transport->set_peers({{2, two.address()}});
  EngineBatch rows;
  for (int i = 0; i < 5000; ++i)
    rows.push_back(
        {Family::kVersions, "key-" + std::to_string(i), std::string(300, 'v') + std::to_string(i)});
  REQUIRE(one.engine->write(rows).ok());
  one.transport->send_state(state_message(1, 2), one.engine->image().value());
  REQUIRE(eventually([&] { return one.sent == 1; }));
  CHECK(two.states.size() == 1);
  CHECK(two.engine->get(Family::kVersions, "key-4999").value() == rows.back().value);

  two.full = true;
  one.transport->send_state(state_message(1, 2), one.engine->image().value());
  REQUIRE(eventually([&] { return one.lost == 1; }));
  CHECK(two.refused("no space left for a state"));
  one.transport->send_state(state_message(1, 7), one.engine->image().value());  // nobody's address
  REQUIRE(eventually([&] { return one.lost == 2; }));
}

// Between a member and another one: cuts every connection after so many bytes, as often as it is told to.
class Relay {
 public:
  Relay(PeerAddress to, std::size_t cut_after, int cuts)
      : to_(std::move(to)), cut_after_(cut_after), cuts_(cuts) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address_ = loopback(0);
    socklen_t size = sizeof address_;
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address_), size) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size) == 0);
    thread_ = std::thread([this] { run(); });
  }
  ~Relay() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  PeerAddress address() const { return {"127.0.0.1", ntohs(address_.sin_port)}; }
  std::size_t bytes() const { return bytes_; }  // that came from the sender

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  void run() {
    while (!stopping_) {
      pollfd waiter{listener_, POLLIN, 0};
      if (::poll(&waiter, 1, 20) <= 0) continue;
      const int from = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      threads_.emplace_back([this, from] { serve(from); });
    }
    for (std::thread& thread : threads_) thread.join();
  }
  void serve(int from) {
    const int to = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(to_.port);
    std::size_t here = 0;
    if (::connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      while (!stopping_ && pass(from, to, &here)) continue;
    ::close(from);
    ::close(to);
  }
  bool pass(int from, int to, std::size_t* here) {
    pollfd waiters[] = {{from, POLLIN, 0}, {to, POLLIN, 0}};
    if (::poll(waiters, 2, 20) < 0) return false;
    for (int i = 0; i < 2; ++i) {
      if (waiters[i].revents == 0) continue;
      char buffer[16384];
      const ssize_t n = ::recv(i == 0 ? from : to, buffer, sizeof buffer, 0);
      if (n <= 0) return false;
      if (i == 0) {
        bytes_ += static_cast<std::size_t>(n);
        *here += static_cast<std::size_t>(n);
        if (*here > cut_after_ && cuts_-- > 0) return false;
      }
      for (ssize_t sent = 0; sent < n;) {
        const ssize_t more =
            ::send(i == 0 ? to : from, buffer + sent, static_cast<std::size_t>(n - sent), MSG_NOSIGNAL);
        if (more <= 0) return false;
        sent += more;
      }
    }
    return true;
  }

  const PeerAddress to_;
  const std::size_t cut_after_;
  std::atomic<int> cuts_;
  int listener_ = -1;
  sockaddr_in address_{};
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> bytes_{0};
  std::vector<std::thread> threads_;  // of thread_
  std::thread thread_;
};

TEST_CASE("a state goes on where it was when its connection broke") {
  constexpr int kRows = 30'000;
  Authority authority;
  Peer one(authority, 1);
  auto two = std::make_unique<Peer>(authority, 2);
  const PeerAddress at = two->address();
  EngineBatch rows;
  std::size_t bytes = 0;
  for (int i = 0; i < kRows; ++i) {
    rows.push_back(
        {Family::kVersions, "key-" + std::to_string(100'000 + i), std::string(600, 'v') + std::to_string(i)});
    bytes += rows.back().value->size();
  }
  REQUIRE(one.engine->write(rows).ok());
  SECTION("again and again") {
    Relay relay(at, 6u << 20, 2);
    one.transport->set_peers({{2, relay.address()}});
    one.transport->send_state(state_message(1, 2), one.engine->image().value());
    REQUIRE(eventually([&] { return one.sent + one.lost == 1; }));
    CHECK(one.sent == 1);
    CHECK(two->states.size() == 1);
    int there = 0;
    REQUIRE(two->engine
                ->scan(Family::kVersions, "", [&](std::string_view, std::string_view) { return ++there > 0; })
                .ok());
    CHECK(there == kRows);
    for (const int i : {0, 9'999, kRows - 1})
      CHECK(two->engine->get(Family::kVersions, rows[static_cast<std::size_t>(i)].key).value() ==
            rows[static_cast<std::size_t>(i)].value);
    // What was in the buffers of two connections, and not all of it once more.
    CHECK(relay.bytes() < 2 * bytes);
  }
  SECTION("unless the other side has lost what it had") {
    Relay relay(at, 30u << 20, 0);
    one.transport->set_peers({{2, relay.address()}});
    std::thread restart([&] {
      while (relay.bytes() < 2u << 20) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      two.reset();
      two = std::make_unique<Peer>(authority, 2, [&](PeerOptions& options) { options.port = at.port; });
    });
    one.transport->send_state(state_message(1, 2), one.engine->image().value());
    REQUIRE(eventually([&] { return one.sent + one.lost == 1; }));
    restart.join();
    int there = 0;
    REQUIRE(two->engine
                ->scan(Family::kVersions, "", [&](std::string_view, std::string_view) { return ++there > 0; })
                .ok());
    CHECK(there == (one.sent == 1 ? kRows : 0));  // from the start, all of it, or nothing at all
  }
}

TEST_CASE("strangers are refused, with words that help") {
  Authority authority, others;
  Peer one(authority, 1);
  struct Row {
    std::function<void(PeerOptions&)> change;
    MemberId claims;
    std::string here;   // what member 1 says
    std::string there;  // what the stranger says
  };
  ManualClock ahead(system_clock().unix_ms() + 3 * 3'600'000 + 125'000);
  ManualClock behind(system_clock().unix_ms() - 26 * 3'600'000 + 30'000);
  const std::vector<Row> rows = {
      {[&](PeerOptions& options) { options.clock = &ahead; }, 2,
       "the clock of member 2 is 3 h 2 min ahead of that of member 1",
       "the clock of member 2 is 3 h 2 min ahead of that of member 1: set both right"},
      {[&](PeerOptions& options) { options.clock = &behind; }, 2,
       "the clock of member 2 is 25 h 59 min behind",
       "the clock of member 2 is 25 h 59 min behind that of member 1"},
      {[](PeerOptions& options) { options.cluster = "red"; }, 2,
       "it belongs to cluster red, this is a member of cluster blue", "it belongs to cluster red"},
      {[&](PeerOptions& options) { options.tls = authority.issue(member_name(3)); }, 2,
       "its certificate is not that of member 2", "its certificate is not that of member 2"},
      {[&](PeerOptions& options) { options.tls = authority.issue(member_name(2), {"system:masters"}); }, 2,
       "its certificate is not that of member 2", "its certificate is not that of member 2"},
      {[&](PeerOptions& options) { options.tls = others.issue(member_name(2)); }, 2,
       "a connection from outside was refused", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.here);
    Peer stranger(authority, row.claims, row.change);
    stranger.transport->set_peers({{1, one.address()}});
    REQUIRE(eventually([&] {
      stranger.transport->send(heartbeat(row.claims, 1));
      return one.refused(row.here);
    }));
    if (!row.there.empty()) REQUIRE(eventually([&] { return stranger.refused(row.there); }));
  }
  // The right member at the wrong address.
  Peer two(authority, 2), three(authority, 3);
  two.transport->set_peers({{3, one.address()}});
  REQUIRE(eventually([&] {
    two.transport->send(heartbeat(2, 3));
    return two.refused("that is system:store-member:1");
  }));
  CHECK(one.mails() == 0);
}

// A peer that has its certificate and does what it wants.
struct Rogue {
  Rogue(Authority& authority, const PeerAddress& at)
      : tls(load_peer_tls(authority.issue(member_name(2))).value()),
        stream(tls->connect(at.host, at.port, 2000, 2000).value()) {}
  void hello(Purpose purpose, MemberId from = 2) {
    REQUIRE(stream->write(frame(encode_hello({purpose, "blue", from, 0, 1, system_clock().unix_ms()}))).ok());
  }
  std::unique_ptr<TlsPeers> tls;
  std::unique_ptr<TlsStream> stream;
};

TEST_CASE("clocks may be a little apart") {
  constexpr std::int64_t kNow = 1'700'000'000'000;
  const auto fits = [](std::int64_t theirs) {
    return check_clock({Purpose::kMail, "blue", 2, 7, 1, theirs}, kNow).ok();
  };
  for (const std::int64_t gap_ms : {std::int64_t{0}, kMaxClockGapMs, -kMaxClockGapMs})
    CHECK(fits(kNow + gap_ms));
  for (const std::int64_t gap_ms : {kMaxClockGapMs + 1, -kMaxClockGapMs - 1})
    CHECK_FALSE(fits(kNow + gap_ms));
  CHECK_FALSE(fits(0));
}

TEST_CASE("whoever does not keep to the protocol is cut off, and nothing of it counts") {
  Authority authority;
  Peer one(authority, 1);
  const std::string good = frame(raft::encode_message(heartbeat(2, 1)));
  std::string damaged = good;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  const std::vector<std::pair<std::string, std::string>> mail = {
      {frame("GET / HTTP/1.1"), "a message of version 71"},
      {frame(""), "an empty message"},
      {damaged, "a frame was damaged"},
      {std::string("\xff\xff\xff\xff____", 8), "a frame of 4294967295 bytes"},
      {frame(raft::encode_message(heartbeat(3, 1))), "it speaks for somebody else"},
      {frame(raft::encode_message(heartbeat(2, 3))), "it speaks for somebody else"},
      {frame(raft::encode_message(state_message(2, 1))), "a state among mail"},
  };
  for (const auto& [bytes, words] : mail) {
    CAPTURE(words);
    Rogue rogue(authority, one.address());
    rogue.hello(Purpose::kMail);
    REQUIRE(rogue.stream->write(bytes).ok());
    const bool refused = eventually([&] { return one.refused(words); });
    INFO(one.all_refusals());
    REQUIRE(refused);
  }
  const std::string state = frame(raft::encode_message(state_message(2, 1)));
  for (const auto& [bytes, words] : {std::pair<std::string, std::string>{good, "not a state"},
                                     {state + frame(std::string(1, '\0')), "a state without a number"},
                                     {state + frame("xx"), "a state without a number"},
                                     {state + frame("\x07") + frame("xx"), "not rows"}}) {
    CAPTURE(words);
    Rogue rogue(authority, one.address());
    rogue.hello(Purpose::kState);
    REQUIRE(rogue.stream->write(bytes).ok());
    const bool refused = eventually([&] { return one.refused(words); });
    INFO(one.all_refusals());
    REQUIRE(refused);
  }
  {
    Rogue newer(authority, one.address());
    REQUIRE(newer.stream->write(frame(std::string("COXPEER\x07", 8))).ok());
    REQUIRE(eventually([&] { return one.refused("it speaks version 7, this member speaks version 2"); }));
  }
  CHECK(one.mails() == 0);
  CHECK(one.states.empty());
}

TEST_CASE("peers that are stuck hold up nobody, and a stop waits for none of them") {
  Authority authority;
  auto one = std::make_unique<Peer>(authority, 1);
  Peer three(authority, 3);
  // 2 accepts connections and never says a word.
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(silent, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(silent, 4) == 0);
  socklen_t size = sizeof address;
  ::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size);
  one->transport->set_peers({{2, {"127.0.0.1", ntohs(address.sin_port)}}, {3, three.address()}});
  for (std::uint64_t i = 0; i < 100; ++i) {
    one->transport->send(heartbeat(1, 2, i));
    one->transport->send(heartbeat(1, 3, i));
  }
  REQUIRE(eventually([&] { return three.mails() == 100; }));
  REQUIRE(eventually([&] { return one->unreached > 0; }));  // its time is over
  // And some that connect and say nothing, before and after they have shown who they are.
  Rogue mute(authority, one->address());
  const int plain = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_port = htons(one->address().port);
  REQUIRE(::connect(plain, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(eventually([&] { return one->refused("does not answer"); }));
  one.reset();
  ::close(plain);
  ::close(silent);
}

TEST_CASE("a port that is taken and files that are no certificates are named") {
  Authority authority;
  Peer one(authority, 1);
  PeerOptions options;
  options.id = 2;
  options.tls = authority.issue(member_name(2));
  options.port = one.address().port;
  const auto taken = TlsTransport::open(options);
  REQUIRE_FALSE(taken.ok());
  CHECK(taken.error().message.find("127.0.0.1:" + std::to_string(options.port)) != std::string::npos);
  options.port = 0;
  options.tls.key_path = "/nowhere.key";
  const auto keyless = TlsTransport::open(options);
  REQUIRE_FALSE(keyless.ok());
  CHECK(keyless.error().message.find("/nowhere.key") != std::string::npos);
}

TEST_CASE("rows survive the way, and what is no rows is refused") {
  const EngineBatch rows = {{Family::kMeta, "a", "1"},
                            {Family::kEvents, std::string("\0\1", 2), std::string()},
                            {Family::kVersions, "gone", std::nullopt}};
  const std::string bytes = encode_rows(rows);
  const auto back = decode_rows(bytes).value();
  REQUIRE(back.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(back[i].family == rows[i].family);
    CHECK(back[i].key == rows[i].key);
    CHECK(back[i].value == rows[i].value);
  }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(decode_rows(bytes.substr(0, size)).ok());
  CHECK_FALSE(decode_rows(bytes + "x").ok());
}

}  // namespace
}  // namespace coxswain::store::testing
