// One http::Client over several api-servers of one cluster. It keeps to the server that works, and goes on to
// the next one in the list when that cannot be reached, does not answer, or says that it is not ready.
//
// A request is tried at each server at most once, within its own time-out. What may have been done already is
// never sent again: a write goes to another server only when nothing of it was sent, or when the answer says
// that nothing happened (503 with Retry-After). Everything else comes back as it is.
//
// A thread asks the server in use, and those that still feed a watch, for /readyz. So a server that hangs, or
// has lost its quorum, is left also by who only watches: its watches end with kUnavailable, to be taken up by
// resourceVersion at the next one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/http/client.h"

namespace coxswain::client {

struct ApiServer {
  std::string url;  // for messages
  std::shared_ptr<http::Client> transport;
};

struct FailoverOptions {
  std::int64_t probe_period_ms = 3'000;  // 0: no thread
  std::int64_t probe_timeout_ms = 2'000;
};

// `servers`: at least one, in the order in which they are tried.
std::shared_ptr<http::Client> make_failover_client(std::vector<ApiServer> servers,
                                                   FailoverOptions options = {});

// What one attempt says of the server, and of the request. Pure.
struct Judgement {
  enum class Server { kGood, kNotReady, kGone };
  Server server = Server::kGood;
  bool repeat = false;  // the same request may be tried at another server
  bool operator==(const Judgement&) const = default;
};
Judgement judge(const http::ClientRequest& request, const Result<http::ClientResponse>& outcome);

// "https://HOST:PORT", without a path; a slash at the end is dropped. kInvalidArgument says what is wrong.
Result<std::vector<std::string>> parse_server_urls(const std::vector<std::string>& urls);

}  // namespace coxswain::client
