// What an operator asks of the built-in store: who its members are and how they do, changes of them, copies
// of everything. Beside Store, which is what programs ask of it; an external etcd has tools of its own.
//
// Threads: any. Callbacks run on the store's own thread, or at once, and must return at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/common/base/result.h"
#include "libs/store/engine/engine.h"
#include "libs/store/store.h"

namespace coxswain::store {

enum class MemberRole : std::uint8_t {
  kLearner = 1,  // gets everything, has no vote
  kVoter = 2,
  kRemoved = 3,  // for good: an id is never given again
};

// What every member knows of every other one; a part of the replicated state.
struct MemberRecord {
  std::uint64_t id = 0;
  MemberRole role = MemberRole::kVoter;
  std::string name;           // for people
  std::string peer_address;   // HOST:PORT, where the others find it
  std::string client_url;     // of its api-server; empty: it has not said so yet
  std::uint64_t data_id = 0;  // of its data directory; 0: it has not said so yet
  bool operator==(const MemberRecord&) const = default;
};

struct MemberView {
  MemberRecord record;
  bool in_group = false;     // by the group's configuration; what `record` asks for follows
  bool votes = false;        // by the configuration
  bool match_known = false;  // only the leader knows, and not of itself
  std::uint64_t match = 0;   // the last entry that it surely has
  std::string hash;          // of its state, at GroupStatus::check_index; empty: it has not said so yet
  bool differs = false;      // from the others: it does not serve, and is to be removed
};

// As this member sees it.
struct GroupStatus {
  std::string cluster_id;
  std::uint64_t member = 0;  // this one
  std::uint64_t leader = 0;  // 0: nobody, as far as it knows
  std::uint64_t term = 0;
  std::uint64_t last_index = 0;       // of its log
  std::uint64_t committed_index = 0;  // as far as it knows
  std::uint64_t applied_index = 0;
  std::uint64_t log_first_index = 0;
  std::int64_t log_bytes = 0;
  std::int64_t state_bytes = 0;
  Stats stats;
  // The last entry at which the members compared their states; 0: they have not, lately.
  std::uint64_t check_index = 0;
  Revision check_revision = 0;
  std::string agreed_hash;          // of a quorum; empty: not yet
  std::vector<MemberView> members;  // by id
};

class StoreAdmin {
 public:
  virtual ~StoreAdmin() = default;

  virtual GroupStatus status() const = 0;

  // A change is done when the group's configuration has it, and `done` gets the record as it is then. Errors:
  // kInvalidArgument (an address or name that cannot be), kConflict (an address that a member has; it would
  // leave no quorum that can be reached; a learner that is too far behind), kNotFound (no such member),
  // kUnavailable (nobody leads; nothing happened), kDeadlineExceeded (it is asked for and goes on by itself).
  using MemberDone = std::function<void(Result<MemberRecord>)>;
  virtual void add_member(std::string name, std::string peer_address, MemberDone done) = 0;  // as a learner
  virtual void promote_member(std::uint64_t id, MemberDone done) = 0;
  virtual void remove_member(std::uint64_t id, MemberDone done) = 0;
  // Removes a member whose data is lost or damaged and puts a new one in its place: same name, same address,
  // a vote as soon as it has everything. `done` gets the new one's record when the old one is out.
  virtual void replace_member(std::uint64_t id, MemberDone done) = 0;
  // To `id`, or to whoever has most of the log (0). Done when this member sees the new one lead.
  using LeaderDone = std::function<void(Result<std::uint64_t>)>;
  virtual void transfer_leader(std::uint64_t id, LeaderDone done) = 0;

  // Makes the members compare their states now, not only every few seconds. Done when the check is in the
  // log; status() shows what they say. Errors as of Store::txn().
  using CheckDone = std::function<void(Result<void>)>;
  virtual void check_states(CheckDone done) {
    done(make_error(ErrorCode::kUnimplemented, "this store has no other members"));
  }

  // Every row as of one moment, while the store goes on. Its revision is in the row that History::applied()
  // reads. A long life holds disk space.
  virtual Result<std::unique_ptr<EngineImage>> image() const = 0;
};

}  // namespace coxswain::store
