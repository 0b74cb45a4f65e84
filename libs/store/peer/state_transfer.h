// A whole state on its way to another member. A connection that breaks does not cost what arrived: the sender
// comes again, the receiver says how many frames it has, and it goes on from there. On the wire, after hello
// and answer: the message, the number of the transfer (a varint); back: how many frames are there; then
// frames of rows, an empty one, and an answer back.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "libs/store/node/transport.h"
#include "libs/store/peer/tls_stream.h"

namespace coxswain::store {

// One frame off the connection, checked. kCorruption: not as it was sent; else errors as of TlsStream.
Result<std::string> read_frame(TlsStream& stream, std::int64_t timeout_ms);

// At the sender. One thread.
class StateToSend {
 public:
  struct Limits {
    std::size_t bytes_per_second = 0;
    std::int64_t io_timeout_ms = 0;
  };
  StateToSend(raft::Message message, std::unique_ptr<EngineImage> image, std::uint64_t transfer,
              Limits limits);

  // On a connection that has said hello; again on another one after kUnavailable or kDeadlineExceeded.
  // kOutOfRange: the other one has lost what it had. `stopped` is asked now and then.
  Result<void> give(TlsStream& stream, const std::function<bool()>& stopped);

  std::uint64_t frames() const { return first_ + recent_.size(); }  // that were sent, in all

 private:
  Result<void> go_on_from(std::uint64_t frame);
  Result<const std::string*> next_frame();  // null: that was all
  Result<void> give_rows(TlsStream& stream, const std::function<bool()>& stopped);

  const raft::Message message_;
  const std::unique_ptr<EngineImage> image_;
  const std::uint64_t transfer_;
  const Limits limits_;
  // Frames that may be on their way still: more than the buffers of a connection hold.
  std::deque<std::string> recent_;
  std::size_t recent_bytes_ = 0;
  std::uint64_t first_ = 0;  // the number of recent_.front()
  std::uint64_t at_ = 0;     // the frame to be sent next
  bool ended_ = false;       // the image is
};

// At the receiver: what has arrived of a state over a connection that broke. One at a time. Any thread.
class StatesComing {
 public:
  struct State {
    std::uint64_t transfer = 0;
    raft::MemberId from = raft::kNobody;
    std::unique_ptr<EngineCopy> copy;
    std::uint64_t frames = 0;  // that are in the copy
  };
  // What there is of this transfer, or a new one. Waits a while for a connection that is about to break.
  Result<State> begin(raft::MemberId from, std::uint64_t transfer, Transport::Receiver& receiver,
                      std::int64_t patience_ms);
  void broke(State state);             // to be gone on with, for a minute
  void ended(std::uint64_t transfer);  // whole, or given up
  void expire();                       // now and then
  void clear();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<State> kept_;
  std::chrono::steady_clock::time_point kept_until_;
  std::uint64_t active_ = 0;  // the transfer that a connection works on; 0: none
};

// Whether it was the connection that failed, so that another one may do.
bool connection_failed(const Error& error);

}  // namespace coxswain::store
