// The cluster store: an ordered map of keys to values with one revision for all of it.
//
// Every committed transaction gets the next revision; it is every object's resourceVersion. A
// transaction touches any number of keys atomically. Old revisions stay readable until compacted.
// Implementations: memory (tests), the built-in store (RocksDB, a replicated log), etcd (external).
// All pass one conformance suite (libs/store/conformance).
//
// Threads: every method may be called from any thread. Callbacks run on the store's own thread and
// must return at once (post work elsewhere). Values are immutable and shared, never copied.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::store {

using Revision = std::int64_t;  // the first commit is 1; 0 means "none" or "now"

inline constexpr std::size_t kNoSplice = static_cast<std::size_t>(-1);

// One version of one key, in one piece of memory with its key and its value: there are a million of them.
// Immutable once published.
struct Entry {
  std::string_view key;
  std::string_view value;        // with the revision already spliced in
  Revision create_revision = 0;  // 0 for a tombstone
  Revision mod_revision = 0;
  std::int64_t version = 0;  // 1 on creation; 0 for a tombstone

  // A slot for what the layer above derives from `value` (labels, owner references), shared by all
  // readers and never stored. The first one set stays; a later one is dropped. Any thread.
  std::shared_ptr<const void> attachment() const {
    const auto* held = attachment_.load(std::memory_order_acquire);
    return held != nullptr ? *held : nullptr;
  }
  void set_attachment(std::shared_ptr<const void> a) const;

  struct Parts {  // the value's, one behind the other
    std::string_view key, head, number, tail;
  };
  // make_entry() calls it: there must be room for the parts behind this object.
  Entry(const Parts& parts, Revision created, Revision modified, std::int64_t n);
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() { delete attachment_.load(std::memory_order_relaxed); }

 private:
  mutable std::atomic<const std::shared_ptr<const void>*> attachment_{nullptr};
};
using EntryPtr = std::shared_ptr<const Entry>;

// Copies both. `splice_at`: where the decimal number `modified` is put into the value.
EntryPtr make_entry(std::string_view key, std::string_view value, Revision created, Revision modified,
                    std::int64_t version, std::size_t splice_at = kNoSplice);

struct Compare {
  std::string key;
  Revision mod_revision = 0;  // must be the key's current mod_revision; 0: must not exist
};

struct Op {
  enum class Type { kPut, kDelete };
  Type type = Type::kPut;
  std::string key;
  // kPut: the value. kDelete: optional last words (the final object) carried by the watch event.
  std::string value;
  // Where the decimal revision of this transaction is inserted into `value`; kNoSplice: nowhere.
  std::size_t splice_at = kNoSplice;
};

struct Txn {
  std::vector<Compare> compares;  // all must hold, else nothing happens
  // No key twice; a kDelete of an absent key is a no-op, and a transaction without any effect takes no
  // revision.
  std::vector<Op> ops;
};

struct TxnResult {
  bool succeeded = false;
  Revision revision = 0;           // of this commit; of the store when !succeeded
  std::vector<EntryPtr> entries;   // succeeded: one per op (tombstones for deletes; null: no-op)
  std::size_t failed_compare = 0;  // !succeeded: which compare...
  EntryPtr current;                // ...and what is there now (null: absent)
};

struct RangeRequest {
  std::string prefix;
  std::string after;      // start behind this key; empty: at the prefix
  Revision revision = 0;  // read as of this revision; 0: now
  std::size_t limit = 0;  // 0: all
};
struct RangeResult {
  std::vector<EntryPtr> entries;  // in key order
  Revision revision = 0;          // what was read
  bool more = false;
  std::int64_t remaining = 0;  // keys left behind the last entry, when more
};

struct Event {
  enum class Type { kPut, kDelete };
  Type type = Type::kPut;
  EntryPtr entry;     // kDelete: a tombstone (value = last words)
  EntryPtr previous;  // what was there before; null on creation
  Revision revision = 0;
};

struct WatchBatch {
  std::vector<std::shared_ptr<const Event>> events;  // ordered; a transaction is never split
  // Everything up to and including this revision has been handed over: a bookmark may say so.
  Revision progress = 0;
};

// A cursor into the history of a prefix. Pull model: the owner polls when its client can take more,
// so a slow watcher costs nothing and holds nobody up. Not thread-safe by itself.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // Up to about `max_events`; an empty batch when caught up. kCompacted: it fell too far behind.
  virtual Result<WatchBatch> poll(std::size_t max_events) = 0;
  // Calls `wake` once, from the store's thread (or at once), when poll has something new. Re-arm
  // after each wake. `wake` may run while or just after the watcher is destroyed: capture weakly.
  virtual void arm(std::function<void()> wake) = 0;
};

struct Stats {
  Revision revision = 0;
  Revision compacted = 0;
  std::int64_t keys = 0;
  std::int64_t watchers = 0;
  std::int64_t disk_bytes = 0;
  bool read_only = false;  // disk full: writes are refused until there is room
  std::string read_only_reason;
  bool serving = true;  // false: reads cannot be fresh and writes not be done, for now
  std::string not_serving_reason;
  std::string alarm;  // what its operator must look at; empty: nothing is known
};

class Store {
 public:
  virtual ~Store() = default;

  // kNotFound when absent; kCompacted, kOutOfRange for a revision that is not readable.
  virtual Result<EntryPtr> get(std::string_view key, Revision revision = 0) const = 0;
  virtual Result<RangeResult> range(const RangeRequest& request) const = 0;
  virtual std::int64_t count(std::string_view prefix) const = 0;

  // `done` runs exactly once, after the commit is durable and visible to reads. Errors:
  // kInvalidArgument, kResourceExhausted (queue or disk full; nothing happened), kUnavailable (not
  // serving; nothing happened), kDeadlineExceeded (outcome unknown). A refusal may run on the calling
  // thread before `txn` returns.
  using TxnDone = std::function<void(Result<TxnResult>)>;
  virtual void txn(Txn txn, TxnDone done) = 0;
  // Waits; for tests, start-up and control loops, never for request threads.
  Result<TxnResult> txn_wait(Txn txn);

  // Events after `after` (0: from now on). kCompacted when the history is gone, kOutOfRange when
  // `after` is in the future.
  virtual Result<std::unique_ptr<Watcher>> watch(std::string_view prefix, Revision after) = 0;

  // Forgets versions that are superseded at or before `revision`.
  virtual Result<void> compact(Revision revision) = 0;

  // `done` is called when reads here see everything that was acknowledged anywhere before this call: at once,
  // from the calling thread, where nobody else can write. kUnavailable: nobody leads, try again.
  using BarrierDone = std::function<void(Result<void>)>;
  virtual void barrier(BarrierDone done) { done({}); }

  virtual Revision revision() const = 0;
  virtual Stats stats() const = 0;
};

}  // namespace coxswain::store
