#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "libs/common/base/strings.h"
#include "libs/http/connection.h"
#include "libs/http/gzip.h"

namespace coxswain::http {
namespace {

constexpr std::size_t kGzipAbove = 128 * 1024;  // as kube-apiserver does

// On loopback packing costs more than it saves: 18 MB of list take 0.2 s to pack and 10 ms to send.
bool wants_gzip(const Request& request) {
  if (request.remote_address.starts_with("127.") || request.remote_address.starts_with("[::1]")) return false;
  for (const std::string& part : split(find_header(request.headers, "Accept-Encoding"), ',')) {
    const std::size_t end = part.find(';');
    const std::string_view parameters =
        end == std::string::npos ? std::string_view() : trim(std::string_view(part).substr(end + 1));
    if (iequals(trim(std::string_view(part).substr(0, end)), "gzip"))
      return parameters != "q=0" && !parameters.starts_with("q=0.0");
  }
  return false;
}

// In the answering thread, so that a large answer does not hold up the other connections of the io thread.
void pack_if_wanted(const Request& request, Response& response) {
  std::size_t size = 0;
  for (const Chunk& chunk : response.body) size += chunk.bytes.size();
  if (size <= kGzipAbove || !wants_gzip(request) ||
      !find_header(response.headers, "Content-Encoding").empty())
    return;
  std::string whole;
  whole.reserve(size);
  for (const Chunk& chunk : response.body) whole += chunk.bytes;
  std::string packed = gzip(whole);
  if (packed.empty()) return;
  response.body.clear();
  response.body.push_back(Chunk::of(std::move(packed)));
  response.headers.emplace_back("Content-Encoding", "gzip");
  response.headers.emplace_back("Vary", "Accept-Encoding");
}

}  // namespace

// Runs now when already on the io thread: the fast path of handlers that answer at once.
template <typename F>
void ExchangeImpl::on_io(F task) {
  if (io_.get_executor().running_in_this_thread()) {
    task();
  } else {
    boost::asio::post(io_, std::move(task));
  }
}

void ExchangeImpl::dropped() {
  // Always posted: what other threads wrote before they let go stands in the queue before this.
  boost::asio::post(io_, [self = shared_from_this()] {
    if (self->done_ || self->closed()) return;
    auto connection = self->connection_.lock();
    if (connection == nullptr) return;
    if (self->answered_.load()) {
      connection->close();
      return;
    }
    Response response{500, {{"Content-Type", "application/json"}}, {}};
    response.body.push_back(Chunk::of(status_body(500, "the server gave no answer to this request")));
    self->answered_.store(true);
    connection->respond(*self, std::move(response));
  });
}

void ExchangeImpl::respond(Response response) {
  if (answered_.exchange(true)) return;
  pack_if_wanted(request_, response);
  on_io([self = shared_from_this(), response = std::move(response)]() mutable {
    if (auto c = self->connection_.lock()) c->respond(*self, std::move(response));
  });
}

void ExchangeImpl::begin(int status, Headers headers) {
  if (answered_.exchange(true)) return;
  on_io([self = shared_from_this(), status, headers = std::move(headers)]() mutable {
    if (auto c = self->connection_.lock()) c->begin(*self, status, std::move(headers));
  });
}

bool ExchangeImpl::write(std::vector<Chunk> chunks) {
  if (closed_.load(std::memory_order_acquire)) return false;
  std::size_t size = 0;
  for (const Chunk& chunk : chunks) size += chunk.bytes.size();
  if (size == 0) return true;
  queued_.fetch_add(size, std::memory_order_relaxed);
  on_io([self = shared_from_this(), chunks = std::move(chunks)]() mutable {
    if (auto c = self->connection_.lock()) c->write(*self, std::move(chunks));
  });
  return true;
}

void ExchangeImpl::end() {
  on_io([self = shared_from_this()] {
    if (auto c = self->connection_.lock()) c->end(*self);
  });
}

void ExchangeImpl::on_drained(std::function<void()> writable) {
  on_io([self = shared_from_this(), writable = std::move(writable)]() mutable {
    if (self->closed()) return;
    if (self->queued_bytes() == 0) {
      boost::asio::post(self->io_, std::move(writable));
    } else {
      self->drained_ = std::move(writable);
    }
  });
}

void ExchangeImpl::on_closed(std::function<void()> closed) {
  on_io([self = shared_from_this(), closed = std::move(closed)]() mutable {
    if (self->closed()) {
      boost::asio::post(self->io_, std::move(closed));
    } else if (!self->done_) {
      self->when_closed_ = std::move(closed);
    }
  });
}

void ExchangeImpl::post(std::int64_t delay_ms, std::function<void()> task) {
  if (delay_ms <= 0) {
    boost::asio::post(io_, std::move(task));
    return;
  }
  boost::asio::post(io_, [&io = io_, delay_ms, task = std::move(task)]() mutable {
    auto timer = std::make_shared<boost::asio::steady_timer>(io, std::chrono::milliseconds(delay_ms));
    timer->async_wait([timer, task = std::move(task)](const boost::system::error_code& error) {
      if (!error) task();
    });
  });
}

void ExchangeImpl::sent(std::size_t bytes) {
  const std::size_t before = queued_.load(std::memory_order_relaxed);
  const std::size_t left =
      queued_.fetch_sub(std::min(bytes, before), std::memory_order_relaxed) - std::min(bytes, before);
  if (left == 0 && drained_) {
    auto writable = std::move(drained_);
    drained_ = nullptr;
    boost::asio::post(io_, std::move(writable));
  }
}

void ExchangeImpl::mark_closed() {
  closed_.store(true, std::memory_order_release);
  drained_ = nullptr;
  if (when_closed_) {
    auto closed = std::move(when_closed_);
    when_closed_ = nullptr;
    boost::asio::post(io_, std::move(closed));
  }
}

}  // namespace coxswain::http
