#include "libs/store/etcd/etcd_store.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <limits>

#include "libs/common/base/check.h"
#include "libs/common/base/clock.h"
#include "libs/store/mvcc/command.h"
#include "libs/store/watch/recent.h"

namespace coxswain::store {

namespace etcd {
namespace {

constexpr std::size_t kMaxAsks = 4096;
constexpr std::size_t kMaxBarriers = 65536;
constexpr std::int64_t kPageKeys = 500;
constexpr std::int64_t kIdleMs = 1'000;
constexpr std::int64_t kExpireEveryMs = 50;
constexpr std::int64_t kPatienceMs = 1'000;  // a change of connections is no outage

Error closing() { return make_error(ErrorCode::kUnavailable, "the store is closing"); }

}  // namespace

Wake::Wake() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { COX_CHECK(fd_ >= 0); }
Wake::~Wake() { ::close(fd_); }
void Wake::signal() const {
  const std::uint64_t one = 1;
  (void)!::write(fd_, &one, sizeof one);
}
void Wake::clear() const {
  std::uint64_t count = 0;
  (void)!::read(fd_, &count, sizeof count);
}

Error error_of(const CallEnd& end) {
  const auto contains = [&](std::string_view text) { return end.message.find(text) != std::string::npos; };
  const std::string said =
      "etcd: " + (end.message.empty() ? "status " + std::to_string(end.code) : end.message);
  if (is_compacted(end)) return make_error(ErrorCode::kCompacted, "that revision has been compacted");
  if (end.code == kGrpcInvalidArgument || contains("larger than max"))
    return make_error(ErrorCode::kInvalidArgument,
                      said + " (its flags --max-txn-ops and --max-request-bytes set these bounds)");
  if (contains("database space exceeded"))
    return make_error(ErrorCode::kResourceExhausted,
                      said +
                          ": compact and defragment it, or raise its --quota-backend-bytes, then disarm "
                          "its NOSPACE alarm");
  if (end.code == kGrpcUnauthenticated || end.code == kGrpcPermissionDenied || contains("user name is empty"))
    return make_error(ErrorCode::kPermissionDenied,
                      said +
                          ": give a client certificate whose common name is an etcd user with a role for "
                          "the prefix");
  return make_error(ErrorCode::kUnavailable, said);
}

bool is_compacted(const CallEnd& end) {
  return end.code == kGrpcOutOfRange && end.message.find("compacted") != std::string::npos;
}

std::int64_t EtcdStore::now_ms() { return system_clock().now_ms(); }

EtcdStore::EtcdStore(EtcdStoreOptions options, std::unique_ptr<Credentials> credentials)
    : options_(std::move(options)),
      credentials_(std::move(credentials)),
      layout_(options_.prefix),
      process_(system_random().next()),
      client_(options_, credentials_.get(), *this),
      copy_(layout_, options_.limits) {}

EtcdStore::~EtcdStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.signal();
  if (thread_.joinable()) thread_.join();
  client_.shut(closing());  // what is under way comes back
  fail_all();
  copy_.hub().close();
}

Result<void> EtcdStore::start() {
  thread_ = std::thread([this] { run(); });
  std::unique_lock lock(mutex_);
  started_changed_.wait_for(lock, std::chrono::milliseconds(options_.start_timeout_ms),
                            [this] { return started_ || start_error_.has_value(); });
  if (started_) return {};
  if (start_error_.has_value()) return *start_error_;
  return make_error(ErrorCode::kUnavailable,
                    trouble_.empty() ? "etcd does not answer" : trouble_ + "; is etcd running?");
}

// ---- any thread ----

Result<std::string> EtcdStore::ask_wait(std::string_view path, std::string request, OnAnswer first) const {
  if (on_own_thread())
    return make_error(ErrorCode::kUnavailable, "etcd cannot be asked from the store's own thread");
  auto promise = std::make_shared<std::promise<Result<std::string>>>();
  auto future = promise->get_future();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return closing();
    if (mail_.asks.size() >= kMaxAsks)
      return make_error(ErrorCode::kResourceExhausted, "too many writes and old reads wait for etcd");
    mail_.asks.push_back({std::string(path), std::move(request), now_ms() + options_.write_timeout_ms,
                          [promise, first = std::move(first)](Result<std::string> result) {
                            if (first) first(result);
                            promise->set_value(std::move(result));
                          }});
  }
  wake_.signal();
  return future.get();
}

Result<void> EtcdStore::read_old(const KeyRange& range, std::size_t limit, RangeResult* result) const {
  KeyRange page = range;
  for (;;) {
    const std::size_t left =
        limit == 0 ? static_cast<std::size_t>(kPageKeys) : limit - result->entries.size();
    page.limit = std::min<std::int64_t>(kPageKeys, static_cast<std::int64_t>(left));
    COX_ASSIGN_OR_RETURN(const std::string bytes, ask_wait(kRangePath, encode_range(page)));
    COX_ASSIGN_OR_RETURN(const RangeResponse answer, decode_range(bytes));
    for (const KeyValue& kv : answer.kvs) {
      COX_ASSIGN_OR_RETURN(EntryPtr entry, entry_of(layout_, kv, copy_.base()));
      result->entries.push_back(std::move(entry));
    }
    result->more = answer.more;
    result->remaining = answer.count - static_cast<std::int64_t>(answer.kvs.size());
    if (!answer.more || answer.kvs.empty() || (limit != 0 && result->entries.size() >= limit)) return {};
    page.key = answer.kvs.back().key + '\0';
  }
}

Result<EntryPtr> EtcdStore::get(std::string_view key, Revision revision) const {
  EntryPtr found;
  COX_ASSIGN_OR_RETURN(const bool recent, get_recent(copy_.state(), copy_.hub(), key, revision, &found));
  if (!recent) {
    RangeResult result;
    KeyRange range{layout_.data(key)};
    range.revision = revision + copy_.base();
    COX_RETURN_IF_ERROR(read_old(range, 1, &result));
    found = result.entries.empty() ? nullptr : result.entries.front();
  }
  if (found == nullptr) return make_error(ErrorCode::kNotFound, "no such key");
  return found;
}

Result<RangeResult> EtcdStore::range(const RangeRequest& request) const {
  RangeResult result;
  COX_ASSIGN_OR_RETURN(const bool recent, range_recent(copy_.state(), copy_.hub(), request, &result));
  if (recent) return result;
  KeyRange range = layout_.data_range(request.prefix);
  range.key = layout_.data(range_start(request));
  range.revision = request.revision + copy_.base();
  COX_RETURN_IF_ERROR(read_old(range, request.limit, &result));
  return result;
}

std::int64_t EtcdStore::count(std::string_view prefix) const {
  return copy_.state().snapshot().index.count_prefix(prefix);
}

void EtcdStore::txn(Txn txn, TxnDone done) {
  if (Result<void> valid = check_txn(txn, options_.limits.max_value_bytes, options_.limits.max_txn_bytes);
      !valid.ok())
    return done(std::move(valid).error());
  Write write;
  for (const Op& op : txn.ops) write.bytes += op.key.size() + op.value.size();
  write.txn = std::move(txn);
  write.done = std::move(done);
  Error refusal;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      refusal = closing();
    } else if (queued_txns_ >= options_.limits.max_queued_txns ||
               queued_bytes_ + write.bytes > options_.limits.max_queued_bytes) {
      refusal = make_error(ErrorCode::kResourceExhausted, "too many writes are waiting; retry later");
    } else {
      ++queued_txns_;
      queued_bytes_ += write.bytes;
      write.deadline_ms = now_ms() + options_.write_timeout_ms;
      mail_.writes.push_back(std::move(write));
      if (mail_.writes.size() == 1) wake_.signal();
      return;
    }
  }
  write.done(std::move(refusal));
}

Result<std::unique_ptr<Watcher>> EtcdStore::watch(std::string_view prefix, Revision after) {
  return copy_.hub().watch(prefix, after);
}

Result<void> EtcdStore::compact(Revision revision) {
  const State::Snapshot now = copy_.state().snapshot();
  if (revision > now.revision)
    return make_error(ErrorCode::kOutOfRange, "cannot compact to a revision in the future");
  if (revision <= now.compacted) return {};
  const Revision at = revision + copy_.base();
  // Somebody else, or an attempt whose answer was lost, may have been first.
  const auto is_done = [](const Result<std::string>& answer) {
    return answer.ok() || answer.error().code == ErrorCode::kCompacted;
  };
  const auto answer =
      ask_wait(kCompactPath, encode_compaction(at), [this, at, is_done](const Result<std::string>& early) {
        if (is_done(early)) copy_.compacted(at);
      });
  if (!is_done(answer)) return answer.error();
  return {};
}

void EtcdStore::barrier(BarrierDone done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && mail_.barriers.size() < kMaxBarriers) {
      mail_.barriers.push_back({now_ms() + options_.write_timeout_ms, std::move(done)});
      if (mail_.barriers.size() == 1) wake_.signal();
      return;
    }
  }
  done(make_error(ErrorCode::kUnavailable, "too many reads wait for etcd, or the store is closing"));
}

Revision EtcdStore::revision() const { return copy_.state().snapshot().revision; }

Stats EtcdStore::stats() const {
  const State::Snapshot now = copy_.state().snapshot();
  Stats stats;
  stats.revision = now.revision;
  stats.compacted = now.compacted;
  stats.keys = now.index.size();
  stats.watchers = copy_.hub().watchers();
  const std::lock_guard lock(mutex_);
  stats.disk_bytes = db_size_;
  stats.read_only = !read_only_.empty();
  stats.read_only_reason = read_only_;
  stats.serving = trouble_.empty() || now_ms() - apart_since_ms_ < kPatienceMs;
  if (!stats.serving) stats.not_serving_reason = trouble_;
  return stats;
}

// ---- the thread ----

void EtcdStore::run() {
  while (take_mail()) {
    const std::int64_t now = now_ms();
    if (now >= expired_ms_ + kExpireEveryMs) {
      expired_ms_ = now;
      expire_writes(now);
      expire_asks(now);
      freshness_.expire(now);
    }
    if (client_.connected() && phase_ >= Phase::kCatchingUp) send_tick();
    if (client_.connected() && phase_ == Phase::kServing) {
      send_fence();
      send_writes();
      send_asks();
      send_barrier();
      compact_by_age();
      refresh_status();
    }
    client_.step(wake_.fd(), until_next_job());
  }
}

bool EtcdStore::take_mail() {
  Mail mail;
  wake_.clear();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    std::swap(mail, mail_);
  }
  for (Write& write : mail.writes) {
    const TxnId id = make_txn_id(process_, ++last_write_);
    writes_.emplace(id, std::move(write));
    ready_.push_back(id);
  }
  for (Ask& ask : mail.asks) asks_.push_back(std::move(ask));
  for (Barrier& barrier : mail.barriers) barriers_.push_back(std::move(barrier));
  return true;
}

std::int64_t EtcdStore::until_next_job() const {
  const std::int64_t now = now_ms();
  std::int64_t next = now + kIdleMs;
  if (!writes_.empty() || !barriers_.empty() || !asks_.empty()) next = now + kExpireEveryMs;
  if (const auto tick = freshness_.tick_at_ms(); tick.has_value() && phase_ >= Phase::kCatchingUp)
    next = std::min(next, *tick);
  if (!ready_.empty() && retry_at_ms_ > now) next = std::min(next, retry_at_ms_);
  return std::max<std::int64_t>(0, next - now);
}

void EtcdStore::fail_all() {
  Mail mail;
  {
    const std::lock_guard lock(mutex_);
    std::swap(mail, mail_);
  }
  for (Write& write : mail.writes) write.done(closing());
  while (!writes_.empty()) {
    const auto it = writes_.begin();
    finish(it,
           it->second.state == Write::State::kReady
               ? closing()
               : make_error(ErrorCode::kDeadlineExceeded, "the store is closing; the outcome is unknown"));
  }
  for (Ask& ask : mail.asks) ask.done(closing());
  for (Ask& ask : asks_) ask.done(closing());
  for (auto* barriers : {&mail.barriers, &barriers_}) {
    for (Barrier& barrier : *barriers) barrier.done(closing());
  }
  freshness_.expire(std::numeric_limits<std::int64_t>::max());
}

}  // namespace etcd

Result<std::unique_ptr<Store>> open_etcd_store(EtcdStoreOptions options) {
  const auto refuse = [](const std::string& why) { return make_error(ErrorCode::kInvalidArgument, why); };
  if (options.endpoints.empty()) return refuse("no etcd endpoint is given");
  if (options.certificate_path.empty() != options.key_path.empty())
    return refuse("--etcd-certfile and --etcd-keyfile belong together");
  const std::string& prefix = options.prefix;
  if (prefix.size() < 2 || prefix.front() != '/' || prefix.back() == '/' ||
      prefix.find('\0') != std::string::npos)
    return refuse("--etcd-prefix must begin with / and end with something else, like /coxswain");
  const bool tls = !options.ca_path.empty() || !options.certificate_path.empty();
  if (tls && options.plain) return refuse("etcd+plain:// and --etcd-*file exclude each other");
  for (const EtcdEndpoint& endpoint : options.endpoints) {
    if (tls || options.plain || etcd::is_loopback(endpoint.host)) continue;
    return refuse("etcd at " + to_string(endpoint) +
                  " would be spoken to in plain text: give --etcd-cafile (and --etcd-certfile, "
                  "--etcd-keyfile), or write etcd+plain:// where the network is trusted");
  }
  std::unique_ptr<etcd::Credentials> credentials;
  if (tls) {
    COX_ASSIGN_OR_RETURN(credentials, etcd::load_credentials(options));
  }
  auto store = std::make_unique<etcd::EtcdStore>(std::move(options), std::move(credentials));
  COX_RETURN_IF_ERROR(store->start());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace coxswain::store
