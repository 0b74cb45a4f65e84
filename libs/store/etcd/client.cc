#include "libs/store/etcd/client.h"

#include <poll.h>

#include <algorithm>
#include <array>

#include "libs/common/base/check.h"
#include "libs/common/base/clock.h"

namespace coxswain::store::etcd {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;
constexpr int kReadsPerStep = 32;
constexpr std::size_t kWriteAhead = 256u << 10;  // more waits in the session
constexpr std::int64_t kFirstPauseMs = 50;
constexpr std::int64_t kLongestPauseMs = 2'000;

std::int64_t now() { return system_clock().now_ms(); }

}  // namespace

Client::Client(const EtcdStoreOptions& options, Credentials* credentials, Events& events)
    : options_(options),
      credentials_(credentials),
      events_(events),
      endpoint_(system_random().below(options.endpoints.size())) {}

Client::~Client() = default;

void Client::call(std::string_view path, std::string_view message, Done done) {
  begin(path, message, {nullptr, std::move(done), now()});
}

StreamId Client::stream(std::string_view path, std::string_view message, OnMessage on_message, Done done) {
  return begin(path, message, {std::move(on_message), std::move(done), now()});
}

StreamId Client::begin(std::string_view path, std::string_view message, Call call) {
  COX_CHECK(connected_);
  const Result<StreamId> id = session_->call(path, message, call.on_message != nullptr);
  if (id.ok()) {
    calls_[*id] = std::move(call);
    return *id;
  }
  call.done(CallEnd{kGrpcUnavailable, id.error().message, true});
  drop(id.error());
  return -1;
}

void Client::cancel(StreamId stream) {
  if (calls_.erase(stream) > 0) session_->cancel(stream);
}

void Client::drop(Error why) {
  if (!dropping_.has_value()) dropping_ = std::move(why);
}

void Client::shut(const Error& why) {
  if (link_ != nullptr) close(why);
}

void Client::step(int wake_fd, std::int64_t most_ms) {
  if (link_ == nullptr && now() >= retry_at_ms_) open();
  if (connected_) {
    if (const Result<void> sent = flush(); !sent.ok()) drop(sent.error());
  }
  std::array<pollfd, 2> waits = {{{wake_fd, POLLIN, 0}, {-1, 0, 0}}};
  if (link_ != nullptr) {
    const bool sending = !connected_ || !out_.empty();
    waits[1] = {link_->descriptor(),
                static_cast<short>((connected_ ? POLLIN : 0) | (sending ? link_->waits_for() : 0)), 0};
  }
  const std::int64_t until = std::min(most_ms, std::max<std::int64_t>(0, next_time(now()) - now()));
  const bool at_once = readable_ || dropping_.has_value();
  ::poll(waits.data(), waits.size(), at_once ? 0 : static_cast<int>(std::min<std::int64_t>(until, 60'000)));
  if (link_ != nullptr && !connected_) advance();
  if (connected_ && !dropping_.has_value()) pump(now());
  if (link_ != nullptr) check_times(now());
  if (dropping_.has_value()) close(*std::exchange(dropping_, std::nullopt));
}

void Client::open() {
  opened_ms_ = now();
  Result<std::unique_ptr<Link>> link = open_link(options_.endpoints[endpoint_], credentials_);
  if (!link.ok()) return close(link.error());
  link_ = *std::move(link);
  advance();
}

void Client::advance() {
  const Result<bool> done = link_->connect();
  if (!done.ok()) return close(done.error());
  if (!*done) return;
  session_ = open_grpc_session({to_string(options_.endpoints[endpoint_]), credentials_ != nullptr});
  connected_ = true;
  heard_ms_ = now();
  pinged_ = false;
  events_.connected();
}

void Client::pump(std::int64_t now_ms) {
  Result<bool> more = read_some(now_ms);
  if (!more.ok()) return drop(std::move(more).error());
  readable_ = *more;
  if (dropping_.has_value()) return;
  if (Result<void> sent = flush(); !sent.ok()) {
    // Why it was closed may be there to be read.
    more = read_some(now_ms);
    drop(more.ok() ? sent.error() : more.error());
  }
}

Result<bool> Client::read_some(std::int64_t now_ms) {
  char buffer[kReadBytes];
  for (int i = 0; i < kReadsPerStep; ++i) {
    COX_ASSIGN_OR_RETURN(const std::size_t n, link_->read(buffer, sizeof buffer));
    if (n == 0) return false;
    heard_ms_ = now_ms;
    pinged_ = false;
    COX_ASSIGN_OR_RETURN(std::vector<GrpcEvent> events, session_->receive({buffer, n}));
    for (GrpcEvent& event : events) dispatch(std::move(event));
    if (dropping_.has_value()) return false;
  }
  return true;
}

Result<void> Client::flush() {
  for (;;) {
    while (out_.size() < kWriteAhead) {
      const std::string_view more = session_->output();
      if (more.empty()) break;
      out_.append(more);
    }
    if (out_.empty()) return {};
    COX_ASSIGN_OR_RETURN(const std::size_t n, link_->write(out_));
    if (n == 0) return {};
    out_.erase(0, n);
  }
}

void Client::dispatch(GrpcEvent event) {
  if (event.type == GrpcEvent::Type::kGoAway) {
    return drop(make_error(ErrorCode::kUnavailable, "it is going away " + event.message));
  }
  const auto it = calls_.find(event.stream);
  if (it == calls_.end()) return;
  if (event.type == GrpcEvent::Type::kMessage) {
    if (it->second.on_message != nullptr) {
      const OnMessage handler = it->second.on_message;  // which may cancel the stream
      return handler(std::move(event.message));
    }
    // One message is the answer; how the call ends says whether it counts.
    it->second.done = [done = std::move(it->second.done),
                       message = std::move(event.message)](Answer answer) mutable {
      done(answer.ok() ? Answer(std::move(message)) : std::move(answer));
    };
    return;
  }
  const Done done = std::move(it->second.done);
  calls_.erase(it);
  if (event.end.code == kGrpcOk) {
    done(std::string());
  } else {
    done(std::move(event.end));
  }
}

std::optional<std::int64_t> Client::oldest_call_ms() const {
  for (const auto& [id, call] : calls_)
    if (call.on_message == nullptr) return call.since_ms;
  return std::nullopt;
}

void Client::check_times(std::int64_t now_ms) {
  const auto silent = [](const char* what) { return make_error(ErrorCode::kUnavailable, what); };
  if (!connected_) {
    if (now_ms - opened_ms_ >= options_.connect_timeout_ms)
      close(silent("it cannot be connected to in time"));
    return;
  }
  const auto oldest = oldest_call_ms();
  if (oldest.has_value() && now_ms - *oldest >= options_.request_timeout_ms)
    drop(silent("it does not answer"));
  if (now_ms - heard_ms_ >= options_.keepalive_ms * 3 / 2) drop(silent("nothing was heard from it"));
  if (!pinged_ && now_ms - heard_ms_ >= options_.keepalive_ms) {
    session_->ping();
    pinged_ = true;
  }
}

std::int64_t Client::next_time(std::int64_t now_ms) const {
  if (link_ == nullptr) return retry_at_ms_;
  if (!connected_) return opened_ms_ + options_.connect_timeout_ms;
  const std::int64_t alive = heard_ms_ + options_.keepalive_ms * (pinged_ ? 3 : 2) / 2;
  const auto oldest = oldest_call_ms();
  return std::min(alive, oldest.value_or(now_ms) + options_.request_timeout_ms);
}

void Client::close(const Error& why) {
  const std::string where = "etcd at " + to_string(options_.endpoints[endpoint_]) + ": ";
  const Error error = make_error(why.code, where + why.message);
  link_ = nullptr;
  session_ = nullptr;
  connected_ = readable_ = false;
  out_.clear();
  std::map<StreamId, Call> calls;
  calls.swap(calls_);
  endpoint_ = (endpoint_ + 1) % options_.endpoints.size();
  ++failures_;
  const int tried = static_cast<int>(options_.endpoints.size());
  const int rounds = std::min(failures_ / tried, 6);
  const std::int64_t pause = std::min(kLongestPauseMs, kFirstPauseMs << rounds);
  const bool at_once = failures_ % tried != 0;
  retry_at_ms_ =
      at_once ? 0
              : now() + pause / 2 +
                    static_cast<std::int64_t>(system_random().below(static_cast<std::uint64_t>(pause)));
  for (auto& [id, call] : calls) call.done(CallEnd{kGrpcUnavailable, error.message, false, true});
  events_.disconnected(error);
  dropping_ = std::nullopt;
}

}  // namespace coxswain::store::etcd
