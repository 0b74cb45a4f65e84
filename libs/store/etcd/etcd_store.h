// The Store in an external etcd. Private to libs/store/etcd; see open.h.
//
// One thread talks to etcd, keeps the copy and runs all callbacks. Three jobs: a connection is checked, the
// copy brought up to date and the watch kept (session.cc); writes are sent, and their outcome found out
// (writes.cc); everything that is asked of etcd otherwise (upkeep.cc).
//
// A write is done when the watch shows its id: it is readable here then, and an answer that got lost does no
// harm. Whatever else may have happened to it is settled by the fence: a key whose revision every transaction
// compares. Once it was written anew, no earlier attempt can be executed any more, and those that were have
// shown themselves before that revision.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/store/etcd/client.h"
#include "libs/store/etcd/copy.h"
#include "libs/store/etcd/freshness.h"
#include "libs/store/etcd/open.h"

namespace coxswain::store::etcd {

// An eventfd.
class Wake {
 public:
  Wake();
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  int fd() const { return fd_; }
  void signal() const;
  void clear() const;

 private:
  const int fd_;
};

class EtcdStore : public Store, private Client::Events {
 public:
  EtcdStore(EtcdStoreOptions options, std::unique_ptr<Credentials> credentials);
  ~EtcdStore() override;
  Result<void> start();  // as open_etcd_store

  Result<EntryPtr> get(std::string_view key, Revision revision) const override;
  Result<RangeResult> range(const RangeRequest& request) const override;
  std::int64_t count(std::string_view prefix) const override;
  void txn(Txn txn, TxnDone done) override;
  Result<std::unique_ptr<Watcher>> watch(std::string_view prefix, Revision after) override;
  Result<void> compact(Revision revision) override;
  void barrier(BarrierDone done) override;
  Revision revision() const override;
  Stats stats() const override;

 private:
  enum class Phase { kApart, kChecking, kLoading, kCatchingUp, kServing };

  struct Write {
    enum class State {
      kReady,     // never executed, for certain
      kSent,      // on its way
      kLost,      // who knows
      kAnswered,  // waits until the copy shows it
    };
    Txn txn;
    TxnDone done;
    std::size_t bytes = 0;
    std::int64_t deadline_ms = 0;
    State state = State::kReady;
    Revision fence = 0;  // of the last attempt
  };
  using Writes = std::map<TxnId, Write>;  // in the order of their deadlines

  // What may be asked twice without harm; it is, until its deadline.
  struct Ask {
    std::string path;
    std::string request;
    std::int64_t deadline_ms = 0;
    std::function<void(Result<std::string>)> done;
  };
  struct Barrier {
    std::int64_t deadline_ms = 0;
    BarrierDone done;
  };
  struct Mail {
    std::vector<Write> writes;
    std::vector<Barrier> barriers;
    std::vector<Ask> asks;
  };

  // etcd_store.cc
  bool on_own_thread() const { return std::this_thread::get_id() == thread_.get_id(); }
  // `first` sees the answer on the store's thread.
  using OnAnswer = std::function<void(const Result<std::string>&)>;
  Result<std::string> ask_wait(std::string_view path, std::string request, OnAnswer first = nullptr) const;
  Result<void> read_old(const KeyRange& range, std::size_t limit, RangeResult* result) const;
  void run();
  bool take_mail();  // false: stop
  std::int64_t until_next_job() const;
  void fail_all();
  static std::int64_t now_ms();

  // session.cc
  void connected() override;
  void disconnected(const Error& why) override;
  void check_version();
  void check_format();
  Result<void> accept_format(const RangeResponse& answer);
  void create_format();
  void begin_load(Revision at);
  void load_page();
  void find_compacted();
  void finish_load();
  void open_watch();
  void on_watch(std::string message);
  void begin_serving();
  void tell_serving();
  void set_trouble(const std::string& trouble, bool started);
  template <typename Decoded>
  Client::Done expect(Result<Decoded> (*decode)(std::string_view), std::function<void(Decoded)> then);

  // writes.cc
  void send_writes();
  void send_write(const TxnId& id, Write& write);
  void write_answered(const TxnId& id, Client::Answer answer);
  void write_decided(const TxnId& id, Write& write, const TxnResponse& answer);
  void write_failed(const TxnId& id, Write& write, const CallEnd& end);
  void write_shown(const Change& change);
  void fence_shown(Revision fence);
  void ready_again(const TxnId& id, Write& write);
  void finish(Writes::iterator it, Result<TxnResult> result);
  void history_lost();
  void send_fence();
  void expire_writes(std::int64_t now);

  // upkeep.cc
  void send_asks();
  void ask_answered(Ask ask, Client::Answer answer);
  void send_barrier();
  void send_tick();
  void expire_asks(std::int64_t now);
  void compact_by_age();
  void move_compaction();
  void refresh_status();

  const EtcdStoreOptions options_;
  const std::unique_ptr<Credentials> credentials_;
  const Layout layout_;
  const std::uint64_t process_;  // random: ours are the transactions that carry it
  const Wake wake_;

  // The thread's own.
  Client client_;
  Copy copy_;
  Freshness freshness_;
  Phase phase_ = Phase::kApart;
  std::uint64_t session_ = 0;  // which connection this is
  std::uint64_t cluster_ = 0;
  std::string format_;  // what the format key says
  Revision goal_ = 0;   // where etcd was when this connection began
  bool must_load_ = true;
  int permanent_failures_ = 0;  // one after the other, before the first success
  struct Load {
    std::unique_ptr<State> state;
    std::set<std::string> foreign;
    Revision base = 0;
    Revision at = 0;
    Revision compacted = 0;
    std::string from;
    std::int64_t limit = 0;
  } load_;

  Writes writes_;
  std::deque<TxnId> ready_;
  std::uint64_t last_write_ = 0;
  std::size_t sent_ = 0;
  Revision fence_ = 0;    // the newest known
  bool lost_ = false;     // there are kLost ones
  bool fencing_ = false;  // a new fence is on its way
  std::int64_t retry_at_ms_ = 0;

  std::deque<Ask> asks_;
  std::size_t asked_ = 0;
  std::vector<Barrier> barriers_;
  bool barrier_sent_ = false;
  std::int64_t expired_ms_ = 0;
  std::int64_t status_at_ms_ = 0;
  std::int64_t compact_at_ms_ = 0;
  bool compact_known_ = false;
  std::int64_t compact_version_ = 0;
  Revision compact_to_ = 0;

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable started_changed_;
  mutable Mail mail_;
  bool stopping_ = false;
  std::size_t queued_txns_ = 0;
  std::size_t queued_bytes_ = 0;
  bool started_ = false;
  std::optional<Error> start_error_;
  std::string trouble_;  // empty: serving
  std::int64_t apart_since_ms_ = 0;
  std::string read_only_;
  std::int64_t db_size_ = 0;

  std::thread thread_;
};

// What a call that failed means to callers of the store.
Error error_of(const CallEnd& end);
bool is_compacted(const CallEnd& end);
bool is_too_late(const CallEnd& end);  // etcd itself gave up: the outcome is not known

inline constexpr std::string_view kRangePath = "/etcdserverpb.KV/Range";
inline constexpr std::string_view kPutPath = "/etcdserverpb.KV/Put";
inline constexpr std::string_view kTxnPath = "/etcdserverpb.KV/Txn";
inline constexpr std::string_view kCompactPath = "/etcdserverpb.KV/Compact";
inline constexpr std::string_view kWatchPath = "/etcdserverpb.Watch/Watch";
inline constexpr std::string_view kStatusPath = "/etcdserverpb.Maintenance/Status";

}  // namespace coxswain::store::etcd
