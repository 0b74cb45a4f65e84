// What lifecycle hooks call, on a free port of 127.0.0.1, for tests. An HTTP listener keeps its callers
// waiting until answer(); a TCP listener only shows whether somebody connected.
#pragma once

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace coxswain::kubelet {

class HookListener {
 public:
  explicit HookListener(bool http, std::string status = "200 OK")
      : status_(std::move(status)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = std::to_string(ntohs(address.sin_port));
    if (http) thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
  }
  ~HookListener() {
    thread_.request_stop();
    answer();
    if (thread_.joinable()) thread_.join();
    ::close(fd_);
  }
  HookListener(const HookListener&) = delete;
  HookListener& operator=(const HookListener&) = delete;

  const std::string& port() const { return port_; }
  // TCP: somebody has connected since the last question, even if they hung up at once.
  bool was_called() {
    const int caller = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (caller >= 0) ::close(caller);
    return caller >= 0 || errno == ECONNABORTED;
  }
  // HTTP: the first lines of what came.
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  // HTTP: 200 for those that wait and all that follow.
  void answer() {
    const std::lock_guard lock(mutex_);
    answering_ = true;
    changed_.notify_all();
  }

 private:
  void serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd waiter{fd_, POLLIN, 0};
      if (::poll(&waiter, 1, 20) <= 0) continue;
      const int caller = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (caller < 0) continue;
      std::string text;
      char buffer[1024];
      while (text.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::recv(caller, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        text.append(buffer, static_cast<std::size_t>(n));
      }
      {
        std::unique_lock lock(mutex_);
        requests_.push_back(text.substr(0, text.find("\r\n")));
        changed_.wait(lock, [this] { return answering_; });
      }
      const std::string ok = "HTTP/1.1 " + status_ + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      static_cast<void>(::send(caller, ok.data(), ok.size(), MSG_NOSIGNAL));
      ::close(caller);
    }
  }

  const std::string status_;
  const int fd_;
  std::string port_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool answering_ = false;             // guarded by mutex_
  std::vector<std::string> requests_;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace coxswain::kubelet
