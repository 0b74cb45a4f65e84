#include "libs/http/server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <thread>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "libs/common/base/clock.h"
#include "libs/http/connection.h"

namespace coxswain::http {
namespace {

using tcp = boost::asio::ip::tcp;

// The connections of one io thread, swept about once a second for time-outs.
class WorkerThread {
 public:
  WorkerThread(const ServerOptions& options, const Handler& handler, std::atomic<std::size_t>& open)
      : worker_(options, handler, open),
        timer_(worker_.io),
        work_(boost::asio::make_work_guard(worker_.io)) {}

  void start() {
    sweep();
    thread_ = std::thread([this] { worker_.io.run(); });
  }

  Worker& worker() { return worker_; }

  void adopt(tcp::socket socket, std::unique_ptr<Transport> transport, std::string remote, bool tls) {
    auto connection = std::make_shared<Connection>(worker_, std::move(socket), std::move(transport),
                                                   std::move(remote), tls);
    connections_.push_back(connection);
    connection->start();
  }

  void drain() {
    worker_.draining.store(true);
    boost::asio::post(worker_.io, [this] {
      for (auto& weak : connections_) {
        if (auto connection = weak.lock()) connection->drain();
      }
    });
  }

  void stop() {
    boost::asio::post(worker_.io, [this] {
      timer_.cancel();
      for (auto& weak : connections_) {
        if (auto connection = weak.lock()) connection->close();
      }
      work_.reset();
      // Behind what closing has queued: every producer learns that its client is gone.
      boost::asio::post(worker_.io, [this] { worker_.io.stop(); });
    });
    if (thread_.joinable()) thread_.join();
  }

 private:
  void sweep() {
    const std::int64_t now_ms = system_clock().now_ms();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      auto connection = connections_[i].lock();
      if (connection != nullptr) connection->check_deadline(now_ms);
      if (connection == nullptr || connection->closed()) continue;
      if (kept != i) connections_[kept] = std::move(connections_[i]);
      ++kept;
    }
    connections_.resize(kept);
    timer_.expires_after(std::chrono::milliseconds(500));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) sweep();
    });
  }

  Worker worker_;
  std::vector<std::weak_ptr<Connection>> connections_;  // io thread only
  boost::asio::steady_timer timer_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

class ServerImpl final : public Server {
 public:
  ServerImpl(const ServerOptions& options, Handler handler)
      : options_(options), handler_(std::move(handler)) {}
  ~ServerImpl() override { shutdown(0); }

  Result<void> start() {
    if (options_.tls_enabled) {
      COX_ASSIGN_OR_RETURN(tls_, make_tls_context(options_.tls));
    }
    for (int i = 0; i < std::max(options_.io_threads, 1); ++i) {
      threads_.push_back(std::make_unique<WorkerThread>(options_, handler_, open_));
    }
    COX_ASSIGN_OR_RETURN(acceptor_, listen(options_.port, false));
    port_ = acceptor_->local_endpoint().port();
    for (auto& thread : threads_) thread->start();
    boost::asio::post(threads_[0]->worker().io, [this] { accept(*acceptor_); });
    return {};
  }

  Result<void> share(std::uint16_t port) override {
    if (port == 0 || shared_acceptor_ != nullptr)
      return make_error(ErrorCode::kInvalidArgument, "a port to share, and one only");
    COX_ASSIGN_OR_RETURN(shared_acceptor_, listen(port, true));
    boost::asio::post(threads_[0]->worker().io, [this] { accept(*shared_acceptor_); });
    return {};
  }

  std::uint16_t port() const override { return port_; }

  void shutdown(std::int64_t grace_ms) override {
    if (stopped_.exchange(true) || acceptor_ == nullptr) return;  // null: never started
    boost::asio::post(threads_[0]->worker().io, [this] {
      boost::system::error_code ignored;
      acceptor_->close(ignored);
      if (shared_acceptor_ != nullptr) shared_acceptor_->close(ignored);
    });
    for (auto& thread : threads_) thread->drain();
    const std::int64_t deadline_ms = system_clock().now_ms() + grace_ms;
    while (open_.load() > 0 && system_clock().now_ms() < deadline_ms)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    for (auto& thread : threads_) thread->stop();
  }

 private:
  Result<std::unique_ptr<tcp::acceptor>> listen(std::uint16_t port, bool shared) {
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(options_.address, error);
    if (error)
      return make_error(ErrorCode::kInvalidArgument,
                        "'" + options_.address + "' is not an IP address to listen on");
    const tcp::endpoint endpoint(address, port);
    const std::string where = options_.address + ":" + std::to_string(port);
    auto acceptor = std::make_unique<tcp::acceptor>(threads_[0]->worker().io);
    acceptor->open(endpoint.protocol(), error);
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    const int on = 1;
    if (!error && shared) setsockopt(acceptor->native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (!error) acceptor->bind(endpoint, error);
    if (error == boost::asio::error::address_in_use) {
      return make_error(ErrorCode::kUnavailable,
                        "port " + std::to_string(port) + " on " + options_.address +
                            " is already in use: stop the program that holds it (ss -ltnp shows which) or "
                            "choose another port");
    }
    if (!error) acceptor->listen(4096, error);
    if (error)
      return make_error(ErrorCode::kUnavailable, "cannot listen on " + where + ": " + error.message());
    return acceptor;
  }

  void accept(tcp::acceptor& acceptor) {
    WorkerThread& target = *threads_[next_++ % threads_.size()];
    acceptor.async_accept(
        target.worker().io,
        [this, &target, &acceptor](const boost::system::error_code& error, tcp::socket socket) {
          if (error == boost::asio::error::operation_aborted || stopped_.load()) return;
          if (error) {
            retry_accept(acceptor);  // out of descriptors: others must close first
            return;
          }
          if (open_.load() < options_.max_connections) adopt(target, std::move(socket));
          accept(acceptor);
        });
  }

  void retry_accept(tcp::acceptor& acceptor) {
    auto timer =
        std::make_shared<boost::asio::steady_timer>(threads_[0]->worker().io, std::chrono::milliseconds(100));
    timer->async_wait([this, timer, &acceptor](const boost::system::error_code& error) {
      if (!error && !stopped_.load()) accept(acceptor);
    });
  }

  void adopt(WorkerThread& target, tcp::socket socket) {
    boost::system::error_code error;
    socket.non_blocking(true, error);
    socket.set_option(tcp::no_delay(true), error);
    const int on = 1;
    setsockopt(socket.native_handle(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    const auto remote = socket.remote_endpoint(error);
    if (error) return;
    const std::string host = remote.address().to_string();
    std::string name =
        (remote.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(remote.port());
    auto shared = std::make_shared<tcp::socket>(std::move(socket));
    boost::asio::post(target.worker().io, [this, &target, shared, name = std::move(name)]() mutable {
      const int fd = shared->native_handle();
      auto transport = tls_ != nullptr ? tls_->accept(fd) : plain_transport(fd);
      target.adopt(std::move(*shared), std::move(transport), std::move(name), tls_ != nullptr);
    });
  }

  ServerOptions options_;
  Handler handler_;
  std::shared_ptr<TlsContext> tls_;
  std::atomic<std::size_t> open_{0};
  std::vector<std::unique_ptr<WorkerThread>> threads_;
  std::unique_ptr<tcp::acceptor> acceptor_;
  std::unique_ptr<tcp::acceptor> shared_acceptor_;
  std::size_t next_ = 0;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopped_{false};
};

}  // namespace

Result<std::unique_ptr<Server>> serve(const ServerOptions& options, Handler handler) {
  auto server = std::make_unique<ServerImpl>(options, std::move(handler));
  COX_RETURN_IF_ERROR(server->start());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace coxswain::http
