// Bugs that can be planted, to prove that the simulation finds them (tests/simulation). In every other build
// planted() is a constant false, and the code behind it is not there.
#pragma once

#include <cstdint>

namespace coxswain::store::raft {

enum class Mutant : std::uint8_t {
  kNone,
  kCommitOlderTermByCounting,   // §5.4.2 of the paper, figure 8
  kVoteForStaleLog,             // §3.6.1
  kVoteTwice,                   // §3.4
  kVoteNotPersisted,            // §3.8
  kTermNotPersisted,            // §3.8
  kCommitBeforeItsEntries,      // a torn write leaves the commit index beside what was to be replaced
  kAckBeforePersist,            // §3.8: the follower answers an append before it is durable
  kReadWithoutQuorum,           // §6.4
  kReadBeforeOwnTermCommit,     // §6.4, step 1
  kReadReusesOldQuorum,         // a retry answered by acknowledgements of an earlier round
  kLearnerCounted,              // §4.2.1
  kJointNeedsOnlyIncoming,      // §4.3
  kChangeWhileChangePending,    // at most one in flight
  kChangeForgottenWithCommit,   // two changes in the log, and the first one not taken for committed
  kConfigurationLostOnRestart,  // the members as of the start, not as of what was applied
  kSnapshotOverNewerState,      // an old snapshot rolls a follower back
  kAppendWithoutMatch,          // §3.5: the follower does not compare the entry before
  kAppendCutsMatching,          // a delayed append cuts off newer entries that match
  kHeartbeatCommitsUnmatched,   // a heartbeat carries the leader's commit as it is
  kLeaderIgnoresHigherTerm,     // §3.3
  kNoCheckQuorum,               // §6.2: a leader cut off from the others goes on for ever
  kStuckAtHigherTerm,           // §4.2.3 without pre-vote: who was away never comes back
  kLeaseOfPausedLeader,         // §6.4.1: a clock that stood still proves nothing
  kConfigurationOnOneSide,      // §4.1: followers go on with the members of before
  // Of the node around the core, and of the state machine.
  kLogNotSynced,
  kAppliedApartFromData,  // how far the state has got is stored before the rows
  kTruncatedBeforeFlush,  // the log loses what the state has, but not durably
  kLogBeforeCopiedState,  // the log begins behind a state that is not there yet
  kCommandTwice,          // sent again, and applied again
  kRevisionReused,        // after a restart, when the last write was a deletion
  kWatchResumesLate,      // by one revision
  kBookmarkTooFar,        // before its events
  kLostWake,              // of a watcher of a shorter prefix
  kSweepLosesDelete,      // compaction takes the tombstone and leaves what it covered
  kStoredBehindHole,      // rows go to an engine that lacks earlier ones
  kHistoryWhileRebuilt,   // read from an engine that lacks what the log has
  kSessionsForgotten,     // with a restart: what was applied is applied again
  kAckWhenForwarded,      // before it is in any log
  kIncarnationReused,     // a process numbers its writes as the one before it did
  kHashMissesValues,      // the replica hash of keys and revisions only
  kHashNotCarried,        // over a restart or to another member
  kHashedLate,            // where the report is made, not where the check is
  kDifferenceIgnored,     // a member that differs goes on
  kDamagedServes,         // it knows that it differs, and goes on
  kScrubIgnored,          // nobody looks at the result
  kLoadNotChecked,        // a state is taken as it is found
  kCopyNotChecked,        // a state is taken as it came
  kImageNotChecked,       // a state is sent as it is
  kCount,
};

#ifdef COXSWAIN_MUTANTS
bool planted(Mutant mutant);
void plant(Mutant mutant);  // not thread-safe: before anything runs
const char* to_string(Mutant mutant);
#else
constexpr bool planted(Mutant) { return false; }
#endif

}  // namespace coxswain::store::raft
