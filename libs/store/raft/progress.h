// What a leader knows about one follower (§3.5, §10.2.1): how far its log matches, what is on its way, and
// how fast to send.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "libs/store/raft/types.h"

namespace coxswain::store::raft {

struct FlowLimits {
  std::size_t inflight_messages = 256;
  std::size_t inflight_bytes = 16u << 20;
};

class Progress {
 public:
  enum class State : std::uint8_t {
    kProbe,      // where the logs match is not known: one message at a time
    kReplicate,  // known: as many as the limits allow
    kSnapshot,   // the follower takes a snapshot: nothing until the node reports
  };

  Progress(FlowLimits limits, Index next) : limits_(limits), next_(next) {}

  State state() const { return state_; }
  Index match() const { return match_; }
  Index next() const { return next_; }
  Index pending_snapshot() const { return pending_snapshot_; }
  bool took_snapshot() const { return took_snapshot_; }  // was sent one, in this term
  bool recently_active = false;  // since the last check of the quorum

  bool paused() const;
  bool full() const;

  void become_probe();
  void become_replicate();
  void become_snapshot(Index index);

  // An append up to `last` (0: no entries) was sent.
  void sent(Index last, std::size_t bytes);
  // An accepted append: is anything new?
  bool update(Index index);
  // A refused append after `refused`: does it tell anything new? Then the next one goes after `hint` at most.
  bool retreat(Index refused, Index hint);
  // Any sign of life ends the wait of a probe, and lets one message into a full window.
  void resume();

 private:
  void free_up_to(Index index);

  FlowLimits limits_;
  State state_ = State::kProbe;
  Index match_ = 0;
  Index next_;
  Index pending_snapshot_ = 0;
  bool took_snapshot_ = false;
  bool probe_sent_ = false;
  std::deque<std::pair<Index, std::size_t>> inflight_;  // last index and bytes of each message
  std::size_t inflight_bytes_ = 0;
};

}  // namespace coxswain::store::raft
