// What a leader knows about one follower (§3.5, §10.2.1): how far its log matches, what is on its way, and
// how fast to send.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "libs/store/raft/types.h"

namespace coxswain::store::raft {

// Whoever takes a snapshot says nothing while it loads it. After so many checks of the quorum (one in each
// election time-out: ten minutes with 1 s) it counts as gone.
inline constexpr int kMostSilentRounds = 600;

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
  bool recently_active() const { return recently_active_; }  // since the last check of the quorum
  // From here on it needs the log, because it takes a snapshot and must go on behind it; none: it does not,
  // or it has been silent for too long.
  std::optional<Index> needs_log_from() const;

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
  void heard_of() { recently_active_ = true; }
  void caught_up() { settling_ = false; }  // everything that there is was sent
  void end_round();                        // the quorum was checked

 private:
  void free_up_to(Index index);

  FlowLimits limits_;
  State state_ = State::kProbe;
  Index match_ = 0;
  Index next_;
  Index pending_snapshot_ = 0;
  Index snapshot_index_ = 0;  // of the last one that was sent, in this term; 0: none was
  bool settling_ = false;     // it took one, and has not caught up since
  bool recently_active_ = false;
  int silent_rounds_ = 0;
  bool probe_sent_ = false;
  std::deque<std::pair<Index, std::size_t>> inflight_;  // last index and bytes of each message
  std::size_t inflight_bytes_ = 0;
};

}  // namespace coxswain::store::raft
