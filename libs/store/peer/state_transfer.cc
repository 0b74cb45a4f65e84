#include "libs/store/peer/state_transfer.h"

#include <thread>

#include "libs/common/base/wire.h"
#include "libs/store/engine/rows.h"
#include "libs/store/peer/handshake.h"
#include "libs/store/raft/message_codec.h"

namespace coxswain::store {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kRowsBytes = 256u << 10;
constexpr std::size_t kRecentBytes = 24u << 20;
constexpr std::int64_t kInstallTimeoutMs = 600'000;  // the other side makes its copy durable
constexpr auto kKeptFor = std::chrono::seconds(60);

}  // namespace

Result<std::string> read_frame(TlsStream& stream, std::int64_t timeout_ms) {
  COX_ASSIGN_OR_RETURN(const std::string head, stream.read(kFrameHead, timeout_ms));
  COX_ASSIGN_OR_RETURN(const std::size_t length, frame_length(head));
  COX_ASSIGN_OR_RETURN(std::string payload, stream.read(length, timeout_ms));
  COX_RETURN_IF_ERROR(check_frame(head, payload));
  return payload;
}

bool connection_failed(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
}

// ---- out ----

StateToSend::StateToSend(raft::Message message, std::unique_ptr<EngineImage> image, std::uint64_t transfer,
                         Limits limits)
    : message_(std::move(message)), image_(std::move(image)), transfer_(transfer), limits_(limits) {}

Result<void> StateToSend::give(TlsStream& stream, const std::function<bool()>& stopped) {
  std::string number;
  put_varint(&number, transfer_);
  COX_RETURN_IF_ERROR(stream.write(frame(encode_message(message_)) + frame(number)));
  // The other side may wait for the connection of before to end.
  COX_ASSIGN_OR_RETURN(const std::string there, read_frame(stream, 4 * limits_.io_timeout_ms));
  COX_ASSIGN_OR_RETURN(const std::uint64_t frames, decode_answer(there));
  COX_RETURN_IF_ERROR(go_on_from(frames));
  COX_RETURN_IF_ERROR(give_rows(stream, stopped));
  COX_ASSIGN_OR_RETURN(const std::string bytes, read_frame(stream, kInstallTimeoutMs));
  const auto answer = decode_answer(bytes);
  return answer.ok() ? Result<void>() : Result<void>(answer.error());
}

Result<void> StateToSend::go_on_from(std::uint64_t frame) {
  if (frame < first_ || frame > frames())
    return make_error(ErrorCode::kOutOfRange, "the other member has lost what it had of the state");
  at_ = frame;
  return {};
}

Result<void> StateToSend::give_rows(TlsStream& stream, const std::function<bool()>& stopped) {
  const auto began = SteadyClock::now();
  double due_seconds = 0;  // when so much may have been sent
  for (;;) {
    COX_ASSIGN_OR_RETURN(const std::string* const rows, next_frame());
    if (rows == nullptr) return stream.write(frame(""));
    COX_RETURN_IF_ERROR(stream.write(*rows));
    ++at_;
    due_seconds += static_cast<double>(rows->size()) / static_cast<double>(limits_.bytes_per_second);
    while (!stopped() && std::chrono::duration<double>(SteadyClock::now() - began).count() < due_seconds)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

Result<const std::string*> StateToSend::next_frame() {
  if (at_ == frames() && !ended_) {
    const Result<EngineBatch> batch = image_->next(kRowsBytes);
    // No other connection will mend that.
    if (!batch.ok()) return make_error(ErrorCode::kIo, batch.error().message);
    ended_ = batch->empty();
    if (!ended_) {
      recent_.push_back(frame(encode_rows(*batch)));
      recent_bytes_ += recent_.back().size();
    }
    for (; recent_bytes_ > kRecentBytes && recent_.size() > 1; ++first_) {
      recent_bytes_ -= recent_.front().size();
      recent_.pop_front();
    }
  }
  if (at_ == frames()) return nullptr;
  return &recent_[at_ - first_];
}

// ---- in ----

Result<StatesComing::State> StatesComing::begin(raft::MemberId from, std::uint64_t transfer,
                                                Transport::Receiver& receiver, std::int64_t patience_ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(patience_ms), [&] { return active_ != transfer; });
  if (active_ == transfer)
    return make_error(ErrorCode::kUnavailable, "another connection still works on that state");
  State state;
  if (kept_.has_value() && kept_->transfer == transfer && kept_->from == from) {
    state = *std::move(kept_);
    kept_.reset();
  } else {
    kept_.reset();  // there is room for one copy
    COX_ASSIGN_OR_RETURN(state.copy, receiver.start_copy());
    state.transfer = transfer;
    state.from = from;
  }
  active_ = transfer;
  return state;
}

void StatesComing::broke(State state) {
  const std::lock_guard lock(mutex_);
  if (active_ == state.transfer) {
    active_ = 0;
    kept_ = std::move(state);
    kept_until_ = SteadyClock::now() + kKeptFor;
  }
  changed_.notify_all();
}

void StatesComing::ended(std::uint64_t transfer) {
  const std::lock_guard lock(mutex_);
  if (active_ == transfer) active_ = 0;  // another one may have begun since
  changed_.notify_all();
}

void StatesComing::expire() {
  const std::lock_guard lock(mutex_);
  if (kept_.has_value() && SteadyClock::now() > kept_until_) kept_.reset();
}

void StatesComing::clear() {
  const std::lock_guard lock(mutex_);
  kept_.reset();
}

}  // namespace coxswain::store
