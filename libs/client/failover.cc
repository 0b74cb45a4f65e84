#include "libs/client/failover.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>

#include "libs/client/reflector.h"
#include "libs/common/base/check.h"
#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"

namespace coxswain::client {
namespace {

constexpr std::int64_t kLogEveryMs = 1'000;  // without a quorum anywhere everybody is sent round and round

bool reads(const http::ClientRequest& request) { return request.method == "GET" || request.method == "HEAD"; }

// Which server is in use, and how to end the streams of one. Thread-safe.
class Choice {
 public:
  explicit Choice(std::vector<std::string> urls) : urls_(std::move(urls)), servers_(urls_.size()) {}

  std::size_t current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }
  // Goes on from `server` unless somebody has done so already. `to`: empty means the next one.
  void leave(std::size_t server, const std::string& why, std::optional<std::size_t> to = {}) {
    const std::lock_guard lock(mutex_);
    if (current_ != server) return;
    current_ = to.value_or((server + 1) % urls_.size());
    const std::int64_t now_ms = system_clock().now_ms();
    if (logged_ms_ && now_ms - *logged_ms_ < kLogEveryMs) return;
    logged_ms_ = now_ms;
    log_warning("going on to another api-server",
                {{"from", urls_[server]}, {"to", urls_[current_]}, {"reason", why}});
  }
  void end_streams(std::size_t server) {
    std::stop_source ended;
    {
      const std::lock_guard lock(mutex_);
      std::swap(ended, servers_[server].streams_end);
    }
    ended.request_stop();
  }
  bool has_streams(std::size_t server) const {
    const std::lock_guard lock(mutex_);
    return servers_[server].streams > 0;
  }

  // One stream of the server in use, while it lives.
  class Stream {
   public:
    explicit Stream(Choice& choice) : choice_(choice) {
      const std::lock_guard lock(choice_.mutex_);
      server = choice_.current_;
      ended = choice_.servers_[server].streams_end.get_token();
      ++choice_.servers_[server].streams;
    }
    ~Stream() {
      const std::lock_guard lock(choice_.mutex_);
      --choice_.servers_[server].streams;
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    std::size_t server = 0;
    std::stop_token ended;

   private:
    Choice& choice_;
  };

 private:
  struct Server {
    std::stop_source streams_end;
    int streams = 0;
  };
  const std::vector<std::string> urls_;
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::size_t current_ = 0;
  std::vector<Server> servers_;
  std::optional<std::int64_t> logged_ms_;
};

std::vector<std::string> urls_of(const std::vector<ApiServer>& servers) {
  std::vector<std::string> out;
  for (const ApiServer& server : servers) out.push_back(server.url);
  return out;
}

std::string why_of(const Result<http::ClientResponse>& outcome) {
  if (!outcome.ok()) return outcome.error().message;
  return "it answered " + std::to_string(outcome->status);
}

class FailoverClient final : public http::Client {
 public:
  FailoverClient(std::vector<ApiServer> servers, FailoverOptions options)
      : servers_(std::move(servers)), options_(options), choice_(urls_of(servers_)) {
    if (options_.probe_period_ms <= 0 || servers_.size() < 2) return;
    prober_ = std::jthread([this](std::stop_token stop) {
      while (sleep_for_ms(options_.probe_period_ms, stop)) look_around(stop);
    });
  }

  Result<http::ClientResponse> send(const http::ClientRequest& request, std::stop_token stop) override {
    const std::int64_t deadline_ms = system_clock().now_ms() + request.timeout_ms;
    http::ClientRequest attempt = request;
    for (std::size_t left = servers_.size();; --left) {
      // Whoever may ask again keeps half of the time for that.
      if (reads(request) && left > 1) attempt.timeout_ms = (attempt.timeout_ms + 1) / 2;
      const std::size_t server = choice_.current();
      auto outcome = servers_[server].transport->send(attempt, stop);
      const Judgement judgement = judge(request, outcome);
      act(server, judgement, outcome);
      if (!judgement.repeat || left <= 1 || stop.stop_requested()) return outcome;
      if (request.timeout_ms <= 0) continue;  // none
      attempt.timeout_ms = deadline_ms - system_clock().now_ms();
      if (attempt.timeout_ms <= 0) return outcome;
    }
  }

  Result<http::ClientResponse> stream(const http::ClientRequest& request, OnHeaders on_headers,
                                      OnData on_data, std::stop_token stop) override {
    bool begun = false;
    const auto headers = [&](int status, const http::Headers& all) {
      begun = begun || status < 300;
      if (begun && on_headers) on_headers(status, all);
    };
    for (std::size_t left = servers_.size();; --left) {
      const Choice::Stream mine(choice_);
      std::stop_source ended;
      const std::stop_callback by_caller(stop, [&ended] { ended.request_stop(); });
      const std::stop_callback by_us(mine.ended, [&ended] { ended.request_stop(); });
      auto outcome = servers_[mine.server].transport->stream(request, headers, on_data, ended.get_token());
      if (stop.stop_requested()) return outcome;
      if (mine.ended.stop_requested()) {
        return make_error(ErrorCode::kUnavailable,
                          servers_[mine.server].url + " was left for another server");
      }
      const Judgement judgement = judge(request, outcome);
      act(mine.server, judgement, outcome);
      if (begun || !judgement.repeat || left <= 1) {
        if (!begun && outcome.ok() && on_headers) on_headers(outcome->status, outcome->headers);
        return outcome;
      }
    }
  }

 private:
  void act(std::size_t server, const Judgement& judgement, const Result<http::ClientResponse>& outcome) {
    if (judgement.server == Judgement::Server::kGood) return;
    choice_.leave(server, why_of(outcome));
    // What is not ready may be so again in a moment, as in an election: its watches are the prober's matter.
    if (judgement.server == Judgement::Server::kGone) choice_.end_streams(server);
  }

  bool ready(std::size_t server, std::stop_token stop) const {
    http::ClientRequest request;
    request.target = "/readyz";
    request.timeout_ms = options_.probe_timeout_ms;
    const auto answer = servers_[server].transport->send(request, std::move(stop));
    return answer.ok() && answer->status == 200;
  }

  void look_around(std::stop_token stop) {
    const std::size_t current = choice_.current();
    std::optional<std::size_t> better;  // one that is known to be ready
    if (ready(current, stop)) {
      better = current;
    } else {
      for (std::size_t i = 1; i < servers_.size() && !better && !stop.stop_requested(); ++i) {
        const std::size_t other = (current + i) % servers_.size();
        if (ready(other, stop)) better = other;
      }
    }
    if (!better || stop.stop_requested()) return;  // nowhere to go
    if (*better != current) {
      choice_.leave(current, "it is not ready", better);
      choice_.end_streams(current);
    }
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (i == *better || i == current || !choice_.has_streams(i)) continue;
      if (!ready(i, stop) && !stop.stop_requested()) choice_.end_streams(i);
    }
  }

  const std::vector<ApiServer> servers_;
  const FailoverOptions options_;
  Choice choice_;
  std::jthread prober_;  // last: it uses the others
};

}  // namespace

std::shared_ptr<http::Client> make_failover_client(std::vector<ApiServer> servers, FailoverOptions options) {
  COX_CHECK(!servers.empty());
  return std::make_shared<FailoverClient>(std::move(servers), options);
}

Judgement judge(const http::ClientRequest& request, const Result<http::ClientResponse>& outcome) {
  using Server = Judgement::Server;
  if (!outcome.ok()) {
    switch (outcome.error().code) {
      case ErrorCode::kUnavailable:      // nothing was sent
      case ErrorCode::kUnauthenticated:  // not the server that it should be
        return {Server::kGone, true};
      case ErrorCode::kIo:
      case ErrorCode::kDeadlineExceeded:
        return {Server::kGone, reads(request)};
      default:
        return {};
    }
  }
  switch (outcome->status) {
    case 503:
      return {Server::kNotReady,
              reads(request) || !http::find_header(outcome->headers, "Retry-After").empty()};
    case 502:  // of something in between
    case 504:
      // A read: it does not know yet what another server knows. A write: its outcome is unknown everywhere.
      return reads(request) ? Judgement{Server::kNotReady, true} : Judgement{};
    default:
      return {};
  }
}

Result<std::vector<std::string>> parse_server_urls(const std::vector<std::string>& urls) {
  std::vector<std::string> out;
  for (const std::string& text : urls) {
    std::string_view url = trim(text);
    if (url.ends_with('/')) url.remove_suffix(1);
    const std::size_t scheme = url.find("://");
    const std::string_view host = scheme == std::string_view::npos ? "" : url.substr(scheme + 3);
    const bool known = url.starts_with("https://") || url.starts_with("http://");
    if (!known || host.empty() || host.find_first_of("/?#@ ") != std::string_view::npos) {
      return make_error(ErrorCode::kInvalidArgument,
                        "\"" + text + "\" is no address of an api-server: give https://HOST:PORT");
    }
    if (std::find(out.begin(), out.end(), url) == out.end()) out.emplace_back(url);
  }
  return out;
}

}  // namespace coxswain::client
