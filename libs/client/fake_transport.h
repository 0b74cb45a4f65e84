// For tests: an http::Client whose answers a function makes, in process.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "libs/http/client.h"

namespace coxswain::client {

class FakeTransport : public http::Client {
 public:
  using Handler = std::function<Result<http::ClientResponse>(const http::ClientRequest&)>;
  // A watch: calls on_data and answers when the stream ends.
  using StreamHandler =
      std::function<Result<http::ClientResponse>(const http::ClientRequest&, const OnData&, std::stop_token)>;

  explicit FakeTransport(Handler handler, StreamHandler stream_handler = nullptr)
      : handler_(std::move(handler)), stream_handler_(std::move(stream_handler)) {}

  Result<http::ClientResponse> send(const http::ClientRequest& request, std::stop_token = {}) override {
    remember(request);
    return handler_(request);
  }
  Result<http::ClientResponse> stream(const http::ClientRequest& request, OnHeaders on_headers,
                                      OnData on_data, std::stop_token stop) override {
    remember(request);
    on_headers(200, {});
    return stream_handler_(request, on_data, stop);
  }
  std::vector<http::ClientRequest> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void remember(const http::ClientRequest& request) {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  const Handler handler_;
  const StreamHandler stream_handler_;
  mutable std::mutex mutex_;
  std::vector<http::ClientRequest> requests_;  // guarded by mutex_
};

inline http::ClientResponse answer_of(int status, std::string body) { return {status, {}, std::move(body)}; }

}  // namespace coxswain::client
