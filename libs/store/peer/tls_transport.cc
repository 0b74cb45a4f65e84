#include "libs/store/peer/tls_transport.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <thread>

#include "libs/common/base/check.h"
#include "libs/common/base/wire.h"
#include "libs/store/engine/rows.h"
#include "libs/store/peer/handshake.h"
#include "libs/store/peer/state_transfer.h"
#include "libs/store/raft/message_codec.h"

namespace coxswain::store {
namespace {

using raft::MemberId;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kMostIncoming = 64;
constexpr std::size_t kWriteBytes = 1u << 20;  // of messages in one go
constexpr auto kFirstPause = std::chrono::milliseconds(20);
constexpr auto kLongestPause = std::chrono::milliseconds(250);
constexpr std::int64_t kStateSilenceMs = 10'000;  // whoever takes it may be busy with it
// How long a state is tried to be gone on with after its connection broke.
constexpr auto kResumeFor = std::chrono::seconds(30);
constexpr auto kResumePause = std::chrono::milliseconds(200);

// The stream that somebody waits on; stop() ends the waiting, now or as soon as there is one.
class Held {
 public:
  bool hold(TlsStream* stream) {
    const std::lock_guard lock(mutex_);
    if (!stopped_) stream_ = stream;
    return !stopped_;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    stream_ = nullptr;
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (stream_ != nullptr) stream_->shut();
  }
  bool stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

 private:
  mutable std::mutex mutex_;
  TlsStream* stream_ = nullptr;
  bool stopped_ = false;
};

// Connects and says hello.
Result<std::unique_ptr<TlsStream>> call(TlsPeers& tls, const PeerOptions& options, const PeerAddress& at,
                                        MemberId to, Purpose purpose) {
  const auto named = [&](const Error& error) {
    return make_error(error.code, "member " + std::to_string(to) + " at " + at.host + ":" +
                                      std::to_string(at.port) + ": " + error.message);
  };
  const std::int64_t silence_ms = purpose == Purpose::kMail ? options.mail_silence_ms : kStateSilenceMs;
  auto stream = tls.connect(at.host, at.port, options.io_timeout_ms, silence_ms);
  if (!stream.ok()) return named(stream.error());
  if ((*stream)->common_name() != member_name(to)) {
    return named(make_error(ErrorCode::kPermissionDenied, "that is " + (*stream)->common_name()));
  }
  const std::string hello =
      encode_hello({purpose, options.cluster, options.id, options.data_id, to, options.clock->unix_ms()});
  if (const auto sent = (*stream)->write(frame(hello)); !sent.ok()) return named(sent.error());
  const auto bytes = read_frame(**stream, options.io_timeout_ms);
  if (!bytes.ok()) return named(bytes.error());
  const auto answer = decode_answer(*bytes);
  if (!answer.ok()) return named(answer.error());
  if (const auto known = options.admit(to, *answer); !known.ok()) return named(known.error());
  return stream;
}

// Mail to one member: a queue and a thread.
class Sender {
 public:
  Sender(TlsPeers& tls, const PeerOptions& options, MemberId to, PeerAddress at,
         Transport::Receiver& receiver)
      : tls_(tls), options_(options), to_(to), at_(std::move(at)), receiver_(receiver) {
    thread_ = std::thread([this] { run(); });
  }
  ~Sender() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    held_.stop();
    arrived_.notify_all();
    thread_.join();
  }
  const PeerAddress& at() const { return at_; }

  void send(raft::Message message) {
    std::string bytes = frame(encode_message(message));
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= options_.queue_messages || bytes_ + bytes.size() > options_.queue_bytes) return;
    bytes_ += bytes.size();
    queue_.push_back(std::move(bytes));
    if (queue_.size() == 1) arrived_.notify_one();
  }

 private:
  // What waits, as much as goes out in one write; empty: stop.
  std::string take() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    std::string out;
    if (stopping_) return out;
    while (!queue_.empty() && (out.empty() || out.size() + queue_.front().size() <= kWriteBytes)) {
      bytes_ -= queue_.front().size();
      out += queue_.front();
      queue_.pop_front();
    }
    return out;
  }
  void lose_all() {
    const std::lock_guard lock(mutex_);
    queue_.clear();
    bytes_ = 0;
  }
  bool pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !arrived_.wait_for(lock, time, [this] { return stopping_; });
  }

  void run() {
    auto wait = kFirstPause;
    std::string told;
    std::string bytes;
    for (;;) {
      if (bytes.empty()) bytes = take();
      if (bytes.empty()) return;
      auto stream = call(tls_, options_, at_, to_, Purpose::kMail);
      if (stream.ok() && held_.hold(stream->get())) {
        wait = kFirstPause;
        told.clear();
        bytes = talk(**stream, std::exchange(bytes, {}));
        held_.release();
        if (!bytes.empty()) {  // the other side was started anew, most likely
          receiver_.unreachable(to_);
          continue;
        }
      } else if (!stream.ok() && stream.error().code == ErrorCode::kPermissionDenied &&
                 stream.error().message != told) {
        told = stream.error().message;
        options_.on_refusal(told);
      }
      receiver_.unreachable(to_);
      if (!pause(wait)) return;
      wait = std::min(wait * 2, kLongestPause);
      lose_all();  // it is old by now
      bytes.clear();
    }
  }
  // Until the connection breaks; gives back what surely was not sent.
  std::string talk(TlsStream& stream, std::string bytes) {
    while (!bytes.empty() && stream.write(bytes).ok()) {
      bytes = take();
      if (!bytes.empty() && !stream.alive()) return bytes;
    }
    return {};
  }

  TlsPeers& tls_;
  const PeerOptions& options_;
  const MemberId to_;
  const PeerAddress at_;
  Transport::Receiver& receiver_;
  Held held_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::string> queue_;  // framed
  std::size_t bytes_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

class TlsTransportImpl : public TlsTransport {
 public:
  TlsTransportImpl(PeerOptions options, std::unique_ptr<TlsPeers> tls)
      : options_(std::move(options)), tls_(std::move(tls)) {}
  ~TlsTransportImpl() override {
    stop();
    if (listener_ >= 0) ::close(listener_);
  }

  Result<void> listen();
  std::uint16_t port() const override { return port_; }

  Result<void> start(Receiver& receiver) override {
    {
      const std::lock_guard lock(mutex_);
      receiver_ = &receiver;
    }
    set_peers(wanted_);
    thread_ = std::thread([this] { accept_all(); });
    return {};
  }
  void stop() override;
  void set_peers(const std::map<MemberId, PeerAddress>& peers) override;

  void send(raft::Message message) override {
    const std::lock_guard lock(mutex_);
    const auto sender = senders_.find(message.to);
    if (sender != senders_.end()) sender->second->send(std::move(message));
  }
  void send_state(raft::Message message, std::unique_ptr<EngineImage> image) override;

 private:
  struct Work {  // one connection, or one state on its way
    Held held;
    std::atomic<bool> done{false};
    std::thread thread;
  };

  // Runs `what` in a thread of its own; false: there are too many, or this is being stopped.
  template <typename What>
  bool begin(What what);
  void reap(bool all);
  void replace_senders(const std::map<MemberId, PeerAddress>& peers,
                       std::vector<std::unique_ptr<Sender>>* gone);
  void accept_all();
  void serve(int fd, Held& held);
  Result<Hello> greet(TlsStream& stream);
  Result<void> check(const Hello& hello, const TlsStream& stream) const;
  Result<std::uint64_t> said(const Result<void>& outcome) const {
    return outcome.ok() ? Result<std::uint64_t>(options_.data_id) : Result<std::uint64_t>(outcome.error());
  }
  Result<void> take_mail(TlsStream& stream, const Hello& hello);
  Result<void> take_state(TlsStream& stream, MemberId from);
  Result<raft::Message> read_message(TlsStream& stream, MemberId from, std::int64_t timeout_ms) const;
  Result<void> take_rows(TlsStream& stream, raft::Message message, StatesComing::State state);
  Result<void> give_state(StateToSend& state, const PeerAddress& at, MemberId to, Held& held);

  const PeerOptions options_;
  const std::unique_ptr<TlsPeers> tls_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::map<MemberId, PeerAddress> wanted_;

  std::mutex mutex_;  // guards the rest
  Receiver* receiver_ = nullptr;
  bool stopping_ = false;
  std::map<MemberId, std::unique_ptr<Sender>> senders_;
  std::list<std::unique_ptr<Work>> works_;

  StatesComing coming_;
  std::thread thread_;
};

Result<void> TlsTransportImpl::listen() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(options_.port);
  const std::string where = options_.listen_address + ":" + port;
  const int code = ::getaddrinfo(options_.listen_address.c_str(), port.c_str(), &hints, &found);
  if (code != 0) return make_error(ErrorCode::kInvalidArgument, where + ": " + ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  listener_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener_, found->ai_addr, found->ai_addrlen) != 0 || ::listen(listener_, 64) != 0) {
    return make_error(ErrorCode::kUnavailable, "cannot listen for other members on " + where + ": " +
                                                   std::strerror(errno) +
                                                   "; stop what uses it or choose another");
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                            : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  return {};
}

void TlsTransportImpl::set_peers(const std::map<MemberId, PeerAddress>& peers) {
  auto gone = std::make_shared<std::vector<std::unique_ptr<Sender>>>();
  replace_senders(peers, gone.get());
  // One that is connecting takes its time to stop: whoever calls does not wait for it.
  if (!gone->empty() && begin([gone](Held&) { gone->clear(); })) gone.reset();
}

void TlsTransportImpl::replace_senders(const std::map<MemberId, PeerAddress>& peers,
                                       std::vector<std::unique_ptr<Sender>>* gone) {
  const std::lock_guard lock(mutex_);
  wanted_ = peers;
  if (receiver_ == nullptr || stopping_) return;
  for (auto it = senders_.begin(); it != senders_.end();) {
    const auto wanted = peers.find(it->first);
    if (wanted != peers.end() && wanted->second == it->second->at()) {
      ++it;
      continue;
    }
    gone->push_back(std::move(it->second));
    it = senders_.erase(it);
  }
  for (const auto& [id, at] : peers) {
    if (id == options_.id || senders_.count(id) > 0) continue;
    senders_[id] = std::make_unique<Sender>(*tls_, options_, id, at, *receiver_);
  }
}

void TlsTransportImpl::stop() {
  std::map<MemberId, std::unique_ptr<Sender>> senders;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    senders.swap(senders_);
    for (const auto& work : works_) work->held.stop();
  }
  if (thread_.joinable()) thread_.join();
  senders.clear();
  reap(true);
  coming_.clear();
}

template <typename What>
bool TlsTransportImpl::begin(What what) {
  reap(false);
  const std::lock_guard lock(mutex_);
  if (stopping_ || works_.size() >= kMostIncoming) return false;
  auto work = std::make_unique<Work>();
  Work* const self = work.get();
  work->thread = std::thread([self, what = std::move(what)]() mutable {
    what(self->held);
    self->done = true;
  });
  works_.push_back(std::move(work));
  return true;
}

void TlsTransportImpl::reap(bool all) {
  std::list<std::unique_ptr<Work>> over;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = works_.begin(); it != works_.end();) {
      const auto at = it++;
      if (all || (*at)->done) over.splice(over.end(), works_, at);
    }
  }
  for (const auto& work : over) work->thread.join();
}

// ---- what comes in ----

void TlsTransportImpl::accept_all() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    coming_.expire();
    pollfd waiter{listener_, POLLIN, 0};
    if (::poll(&waiter, 1, 100) <= 0) continue;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    if (!begin([this, fd](Held& held) { serve(fd, held); })) ::close(fd);
  }
}

void TlsTransportImpl::serve(int fd, Held& held) {
  auto stream = tls_->accept(fd, options_.io_timeout_ms);
  if (!stream.ok()) {
    if (stream.error().code != ErrorCode::kUnavailable || !held.stopped())
      options_.on_refusal("a connection from outside was refused: " + stream.error().message);
    return;
  }
  if (!held.hold(stream->get())) return;
  const Result<Hello> hello = greet(**stream);
  Result<void> ended = hello.ok() ? Result<void>() : Result<void>(hello.error());
  if (hello.ok())
    ended =
        hello->purpose == Purpose::kMail ? take_mail(**stream, *hello) : take_state(**stream, hello->from);
  held.release();
  if (hello.ok() && hello->purpose == Purpose::kMail) receiver_->unreachable(hello->from);
  if (ended.ok() || ended.error().code == ErrorCode::kUnavailable) return;
  options_.on_refusal("the connection of " + (*stream)->common_name() +
                      " was ended: " + ended.error().message);
}

Result<Hello> TlsTransportImpl::greet(TlsStream& stream) {
  COX_ASSIGN_OR_RETURN(const std::string bytes, read_frame(stream, options_.io_timeout_ms));
  Result<Hello> hello = decode_hello(bytes);
  const Result<void> welcome = hello.ok() ? check(*hello, stream) : Result<void>(hello.error());
  COX_RETURN_IF_ERROR(stream.write(frame(encode_answer(said(welcome)))));
  COX_RETURN_IF_ERROR(welcome);
  return hello;
}

Result<void> TlsTransportImpl::check(const Hello& hello, const TlsStream& stream) const {
  const auto refuse = [](const std::string& why) { return make_error(ErrorCode::kPermissionDenied, why); };
  const auto& groups = stream.organizations();
  if (stream.common_name() != member_name(hello.from) ||
      std::find(groups.begin(), groups.end(), kMembersOrganization) == groups.end())
    return refuse("its certificate is not that of member " + std::to_string(hello.from) +
                  ": give every member its own");
  if (hello.cluster != options_.cluster)
    return refuse("it belongs to cluster " + hello.cluster + ", this is a member of cluster " +
                  options_.cluster +
                  ": check the addresses, or start it with an empty data directory to join");
  if (hello.to != options_.id)
    return refuse("it looks for member " + std::to_string(hello.to) + ", this is member " +
                  std::to_string(options_.id) + ": check the addresses");
  COX_RETURN_IF_ERROR(check_clock(hello, options_.clock->unix_ms()));
  return options_.admit(hello.from, hello.data_id);
}

Result<raft::Message> TlsTransportImpl::read_message(TlsStream& stream, MemberId from,
                                                     std::int64_t timeout_ms) const {
  COX_ASSIGN_OR_RETURN(const std::string bytes, read_frame(stream, timeout_ms));
  COX_ASSIGN_OR_RETURN(raft::Message message, raft::decode_message(bytes));
  if (message.from != from || message.to != options_.id)
    return make_error(ErrorCode::kPermissionDenied, "it speaks for somebody else");
  return message;
}

Result<void> TlsTransportImpl::take_mail(TlsStream& stream, const Hello& hello) {
  for (;;) {
    COX_ASSIGN_OR_RETURN(raft::Message message, read_message(stream, hello.from, 0));
    COX_RETURN_IF_ERROR(options_.admit(hello.from, hello.data_id));  // it may have been removed since
    if (message.kind == raft::MessageKind::kSnapshot)
      return make_error(ErrorCode::kCorruption, "a state among mail");
    receiver_->receive(std::move(message));
  }
}

Result<void> TlsTransportImpl::take_state(TlsStream& stream, MemberId from) {
  COX_ASSIGN_OR_RETURN(raft::Message message, read_message(stream, from, options_.io_timeout_ms));
  if (message.kind != raft::MessageKind::kSnapshot) return make_error(ErrorCode::kCorruption, "not a state");
  COX_ASSIGN_OR_RETURN(const std::string number, read_frame(stream, options_.io_timeout_ms));
  WireReader reader(number);
  const std::uint64_t transfer = reader.varint();
  if (!reader.ok() || !reader.done() || transfer == 0)
    return make_error(ErrorCode::kCorruption, "a state without a number");
  auto state = coming_.begin(from, transfer, *receiver_, 2 * options_.io_timeout_ms);
  const auto there = state.ok() ? Result<std::uint64_t>(state->frames) : Result<std::uint64_t>(state.error());
  if (!state.ok()) {
    COX_RETURN_IF_ERROR(stream.write(frame(encode_answer(there))));
    return state.error();
  }
  if (const auto told = stream.write(frame(encode_answer(there))); !told.ok()) {
    coming_.broke(*std::move(state));
    return told;
  }
  return take_rows(stream, std::move(message), *std::move(state));
}

Result<void> TlsTransportImpl::take_rows(TlsStream& stream, raft::Message message,
                                         StatesComing::State state) {
  const auto receive = [&]() -> Result<void> {
    for (;; ++state.frames) {
      COX_ASSIGN_OR_RETURN(const std::string bytes, read_frame(stream, options_.io_timeout_ms));
      if (bytes.empty()) return {};
      COX_ASSIGN_OR_RETURN(const EngineBatch batch, decode_rows(bytes));
      COX_RETURN_IF_ERROR(state.copy->write(batch));
    }
  };
  const Result<void> received = receive();
  if (!received.ok() && connection_failed(received.error())) {
    coming_.broke(std::move(state));
    return received;
  }
  if (received.ok()) receiver_->receive_state(std::move(message), std::move(state.copy));
  state.copy.reset();
  coming_.ended(state.transfer);
  COX_RETURN_IF_ERROR(stream.write(frame(encode_answer(said(received)))));
  return received;
}

// ---- states that go out ----

void TlsTransportImpl::send_state(raft::Message message, std::unique_ptr<EngineImage> image) {
  const MemberId to = message.to;
  PeerAddress at;
  Receiver* receiver = nullptr;
  {
    const std::lock_guard lock(mutex_);
    receiver = receiver_;
    const auto sender = senders_.find(to);
    if (sender != senders_.end()) at = sender->second->at();
  }
  auto state = std::make_unique<StateToSend>(
      std::move(message), std::move(image), system_random().next() | 1,
      StateToSend::Limits{options_.state_bytes_per_second, options_.io_timeout_ms});
  auto give = [this, to, at, receiver, state = std::move(state)](Held& held) mutable {
    const bool arrived = give_state(*state, at, to, held).ok();
    state.reset();
    receiver->state_sent(to, arrived);
  };
  if (at.port == 0 || !begin(std::move(give))) receiver->state_sent(to, false);
}

// Over as many connections as it takes, as long as it goes on.
Result<void> TlsTransportImpl::give_state(StateToSend& state, const PeerAddress& at, MemberId to,
                                          Held& held) {
  auto give_up_at = SteadyClock::now() + kResumeFor;
  for (;;) {
    const std::uint64_t before = state.frames();
    auto stream = call(*tls_, options_, at, to, Purpose::kState);
    Result<void> given = stream.ok() ? Result<void>() : Result<void>(stream.error());
    if (given.ok() && held.hold(stream->get())) {
      given = state.give(**stream, [&held] { return held.stopped(); });
      held.release();
    }
    if (held.stopped()) return make_error(ErrorCode::kUnavailable, "this member stops");
    if (given.ok() || !connection_failed(given.error()) || state.frames() == 0) return given;
    if (state.frames() > before) give_up_at = SteadyClock::now() + kResumeFor;
    if (SteadyClock::now() > give_up_at) return given;
    std::this_thread::sleep_for(kResumePause);
  }
}

}  // namespace

Result<std::unique_ptr<TlsTransport>> TlsTransport::open(PeerOptions options) {
  COX_ASSIGN_OR_RETURN(auto tls, load_peer_tls(options.tls));
  auto transport = std::make_unique<TlsTransportImpl>(std::move(options), std::move(tls));
  COX_RETURN_IF_ERROR(transport->listen());
  return std::unique_ptr<TlsTransport>(std::move(transport));
}

}  // namespace coxswain::store
