// How to get a Store. Everything else in libs/store is behind these functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/common/base/clock.h"
#include "libs/common/base/result.h"
#include "libs/store/admin.h"
#include "libs/store/store.h"

namespace coxswain::store {

class Env;  // libs/store/env/env.h: the operating system's files; tests inject faults through it

// Bounds that every implementation keeps. The defaults suit a whole api-server in 150 MiB.
struct StoreLimits {
  std::size_t max_queued_txns = 16384;  // more waiting: kResourceExhausted
  std::size_t max_queued_bytes = 64u << 20;
  std::size_t max_value_bytes = 3u << 19;  // 1.5 MiB, as etcd has it; more: kInvalidArgument
  std::size_t max_txn_bytes = 8u << 20;    // keys and values of one transaction; more: kInvalidArgument
  std::size_t history_events = 32768;      // committed events kept in memory for watchers...
  std::size_t history_bytes = 16u << 20;   // ...and what they may hold beyond the current values
  // Superseded versions are kept at least this long, at most twice as long; 0: until compact().
  std::int64_t retention_ms = 5 * 60 * 1000;
};

struct MemoryStoreOptions {
  StoreLimits limits;
  Clock* clock = nullptr;  // not owned; null: system_clock()
};

struct LocalStoreOptions {
  std::string dir;  // made (0700) when missing; its parent must exist; one process at a time
  StoreLimits limits;
  Clock* clock = nullptr;                        // not owned; null: system_clock()
  Env* env = nullptr;                            // not owned; null: the real operating system
  std::size_t log_segment_bytes = 16u << 20;     // each log file; allocated ahead
  std::size_t checkpoint_log_bytes = 32u << 20;  // flush state and shorten the log when it has grown by this
  // A member keeps this many entries that its state has: who is further behind gets the whole state.
  std::uint64_t keep_entries = 20'000;
  std::uint64_t keep_log_bytes = 256u << 20;  // ... unless the log has more than that
};

struct GroupMember {
  std::uint64_t id = 0;
  std::string peer_address;  // HOST:PORT
};

// What the flag --initial-cluster says: ID=HOST:PORT,... kInvalidArgument: it does not look like that.
Result<std::vector<GroupMember>> parse_initial_cluster(const std::string& text);

// One member of a group of several, each in a process of its own (docs/store.md, "Members").
struct GroupStoreOptions {
  LocalStoreOptions local;
  std::uint64_t member_id = 0;
  std::string name;                  // for people; empty: member-ID
  std::vector<GroupMember> members;  // this one among them; of a data directory that has a state: where to
                                     // look for the others, until the state tells
  bool join = false;                 // the group is there already and has added this member
  std::string cluster_id;  // empty: worked out from `members`, of one a random one; required to join
  std::string client_url;  // of this process, told to the others
  std::string listen_address = "0.0.0.0";
  std::string ca_path;  // PEM: whoever has a member's certificate of it is let in
  std::string certificate_path;
  std::string key_path;
  std::int64_t election_timeout_ms = 1000;
  std::function<void(const std::string&)> on_removed;  // this member was, and why it is to stop; any thread
  std::function<void(const std::string&)> on_event;    // one line for the log; any thread
};

// Nothing survives the object. For tests and for measuring what durability costs.
Result<std::unique_ptr<Store>> open_memory_store(MemoryStoreOptions options = {});

// The built-in store, one member: RocksDB for the state, our own log for durability.
// Recovers what was acknowledged before a crash. Errors: kUnavailable (another process holds the
// directory), kInvalidArgument (made by a newer release), kCorruption (damaged: the message says how to
// rebuild), kIo and kResourceExhausted (the operating system said no). Destroying the store stops its
// threads, fails what is still queued with kUnavailable, and makes the next start fast.
Result<std::unique_ptr<Store>> open_local_store(LocalStoreOptions options);

// A directory whose member was put in the place of another one (`coxctl store member replace`) is started
// with the flags of that one: makes `options` those of the member that it is now. Certificates go by its id.
Result<void> follow_replacement(GroupStoreOptions* options);

// The same, as a member. Further errors: kInvalidArgument (the directory is another member's or cluster's;
// the list of members makes no sense), kPermissionDenied (certificates). It opens without a quorum: until
// there is one, writes and barrier() wait or fail, and stats() says so. Destroying it hands leadership over
// first.
Result<std::unique_ptr<Store>> open_group_store(GroupStoreOptions options);

// What the operator asks of it; the same object, of the same life. Null: that store has no such thing.
StoreAdmin* admin_of(Store& store);

}  // namespace coxswain::store
