// The values that the Raft core takes and gives. No behaviour, no I/O.
//
// Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (the thesis; sections are cited as §n), and
// the documented behaviour of etcd-io/raft where it and the thesis differ.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/store/raft/configuration.h"

namespace coxswain::store::raft {

using Term = std::uint64_t;
using Index = std::uint64_t;  // of a log entry; the first one is 1

// Bytes that the core never looks into, shared and never copied. Null means empty.
using Payload = std::shared_ptr<const std::string>;

enum class EntryKind : std::uint8_t { kData, kConfiguration };

struct Entry {
  Term term = 0;
  Index index = 0;
  EntryKind kind = EntryKind::kData;
  Payload data;  // kConfiguration: encode_configuration(); empty: a new leader's first entry
};

std::size_t payload_bytes(const Entry& entry);

// What must survive a crash besides the entries (§3.8). `commit` may be lost: it is learnt again.
struct HardState {
  Term term = 0;
  MemberId vote = kNobody;  // in `term`
  Index commit = 0;
  bool operator==(const HardState&) const = default;
};

// A state up to and including an entry, without its data: moving the data is the node's work.
struct Snapshot {
  Index index = 0;
  Term term = 0;
  Configuration configuration;
};

enum class MessageKind : std::uint8_t {
  kAppend,          // §3.5: entries after (index, log_term), and how far the leader has committed
  kAppendReply,     // index: the last entry that now matches; rejected: `index` did not, `hint` may
  kVote,            // §3.4: index, log_term: the candidate's last entry
                    // commit, commit_term: what it knows to be committed
  kVoteReply,       // commit, commit_term: the same of who answers
  kPreVote,         // §9.6: the same question without consequences; term: the one it would campaign in
  kPreVoteReply,    // the same
  kHeartbeat,       // commit: what surely matches; context: of a read that waits for a quorum
  kHeartbeatReply,  //
  kSnapshot,        // §5: sent when the entries that the follower needs are gone
  kTimeoutNow,      // §3.10: campaign at once
  kReadIndex,       // §6.4: a follower asks the leader where a read may be served
  kReadIndexReply,  // index: there
  kForward,         // entries: what another member wants the leader to propose; not for the core
  kTransfer,        // context: who is to lead (kNobody: whoever has most of the log); not for the core
};

struct Message {
  MessageKind kind = MessageKind::kAppend;
  MemberId from = kNobody;
  MemberId to = kNobody;
  Term term = 0;
  Index index = 0;
  Term log_term = 0;
  Index commit = 0;
  Term commit_term = 0;  // of the entry at `commit`
  Index hint = 0;
  std::uint64_t context = 0;
  bool reject = false;
  bool transfer = false;  // kVote: the old leader asked for it, so its lease does not count
  std::vector<Entry> entries;
  std::optional<Snapshot> snapshot;
};

// A linearizable read may be served from any state that has applied `index`.
struct ReadState {
  std::uint64_t context = 0;
  Index index = 0;
};

}  // namespace coxswain::store::raft
