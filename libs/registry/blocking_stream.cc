#include "libs/registry/blocking_stream.h"

namespace coxswain::registry {
namespace {

constexpr std::size_t kMaxQueuedBytes = 1024 * 1024;

}  // namespace

void BlockingStream::watch_client() {
  exchange_->on_closed([weak = weak_from_this()] {
    if (const std::shared_ptr<BlockingStream> alive = weak.lock()) alive->cancel();
  });
}

bool BlockingStream::push(std::string bytes) {
  if (stop_.stop_requested() || !exchange_->write({http::Chunk::of(std::move(bytes))})) return false;
  if (exchange_->queued_bytes() <= kMaxQueuedBytes) return true;
  std::unique_lock lock(mutex_);
  is_drained_ = false;
  lock.unlock();
  exchange_->on_drained([self = shared_from_this()] {
    const std::lock_guard guard(self->mutex_);
    self->is_drained_ = true;
    self->drained_.notify_all();
  });
  lock.lock();
  drained_.wait(lock, [this] { return is_drained_ || stop_.stop_requested(); });
  return !stop_.stop_requested();
}

void BlockingStream::cancel() {
  stop_.request_stop();
  const std::lock_guard guard(mutex_);
  drained_.notify_all();
}

}  // namespace coxswain::registry
