#include "libs/store/raft/mutants.h"

#include <array>

namespace coxswain::store::raft {
namespace {

Mutant chosen = Mutant::kNone;

constexpr std::array<const char*, static_cast<std::size_t>(Mutant::kCount)> kNames = {
    "none",
    "commit-older-term-by-counting",
    "vote-for-stale-log",
    "vote-twice",
    "vote-not-persisted",
    "term-not-persisted",
    "commit-before-its-entries",
    "ack-before-persist",
    "read-without-quorum",
    "read-before-own-term-commit",
    "read-reuses-old-quorum",
    "learner-counted",
    "joint-needs-only-incoming",
    "change-while-change-pending",
    "change-forgotten-with-commit",
    "configuration-lost-on-restart",
    "snapshot-over-newer-state",
    "append-without-match",
    "append-cuts-matching",
    "heartbeat-commits-unmatched",
    "leader-ignores-higher-term",
    "no-check-quorum",
    "stuck-at-higher-term",
    "lease-of-paused-leader",
    "configuration-on-one-side",
    "log-not-synced",
    "applied-apart-from-data",
    "truncated-before-flush",
    "log-before-copied-state",
    "command-twice",
    "revision-reused",
    "watch-resumes-late",
    "bookmark-too-far",
    "lost-wake",
    "sweep-loses-delete",
    "stored-behind-hole",
    "history-while-rebuilt",
    "sessions-forgotten",
    "ack-when-forwarded",
    "incarnation-reused",
    "hash-misses-values",
    "hash-not-carried",
    "hashed-late",
    "difference-ignored",
    "damaged-serves",
    "scrub-ignored",
    "load-not-checked",
    "copy-not-checked",
    "image-not-checked",
};
static_assert(kNames.back() != nullptr);

}  // namespace

bool planted(Mutant mutant) { return mutant == chosen; }
void plant(Mutant mutant) { chosen = mutant; }
const char* to_string(Mutant mutant) { return kNames[static_cast<std::size_t>(mutant)]; }

}  // namespace coxswain::store::raft
