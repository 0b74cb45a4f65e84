// From a new connection to one that serves: who is there, what is in it, all of it here, and what changes.
#include <algorithm>

#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
#include "libs/store/etcd/etcd_store.h"

namespace coxswain::store::etcd {
namespace {

constexpr std::int64_t kFirstPageKeys = 32;  // of any size that etcd allows, they fit into one message
constexpr std::int64_t kMostPageKeys = 2'000;
constexpr std::int64_t kPageBytes = 4 << 20;  // what a page should have

Error refuse(const std::string& why) { return make_error(ErrorCode::kInvalidArgument, why); }

std::int64_t bytes_of(const std::vector<KeyValue>& kvs) {
  std::size_t bytes = 1;
  for (const KeyValue& kv : kvs) bytes += kv.key.size() + kv.value.size();
  return static_cast<std::int64_t>(bytes);
}

}  // namespace

// The answer to a step of this; without it the connection is of no use.
template <typename Decoded>
Client::Done EtcdStore::expect(Result<Decoded> (*decode)(std::string_view),
                               std::function<void(Decoded)> then) {
  return [this, decode, then = std::move(then)](Client::Answer answer) {
    if (!answer.ok()) return client_.drop(error_of(answer.error()));
    Result<Decoded> decoded = decode(*answer);
    if (!decoded.ok()) return client_.drop(decoded.error());
    then(*std::move(decoded));
  };
}

void EtcdStore::connected() {
  ++session_;
  phase_ = Phase::kChecking;
  check_version();
}

void EtcdStore::disconnected(const Error& why) {
  phase_ = Phase::kApart;
  copy_.interrupted();
  load_ = {};
  fencing_ = barrier_sent_ = false;
  set_trouble(why.message, false);
  const bool permanent = why.code != ErrorCode::kUnavailable;
  permanent_failures_ = permanent ? permanent_failures_ + 1 : 0;
  if (permanent_failures_ < static_cast<int>(options_.endpoints.size())) return;
  const std::lock_guard lock(mutex_);
  start_error_ = why;
  started_changed_.notify_all();
}

// Empty: it serves.
void EtcdStore::set_trouble(const std::string& trouble, bool started) {
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    if (trouble == trouble_ && started_ == (started || started_)) return;
    const bool served = !started_ || trouble_.empty();
    changed = !stopping_ && (started || started_) && served != trouble.empty();
    if (!trouble.empty() && trouble_.empty()) apart_since_ms_ = started_ ? now_ms() : 0;
    trouble_ = trouble;
    started_ = started_ || started;
  }
  started_changed_.notify_all();
  if (changed && options_.on_change)
    options_.on_change(trouble.empty() ? "it serves" : "it does not serve: " + trouble);
}

void EtcdStore::check_version() {
  client_.call(
      kStatusPath, "", expect<StatusResponse>(decode_status, [this](const StatusResponse& status) {
        const std::vector<std::string> parts = split(status.version, '.');
        const auto major = parse_int64(parts[0]).value_or(0);
        const auto minor = parts.size() > 1 ? parse_int64(parts[1]).value_or(0) : 0;
        if (major < 3 || (major == 3 && minor < 4))
          return client_.drop(refuse("it is version " + status.version + "; 3.4 or later is needed"));
        {
          const std::lock_guard lock(mutex_);
          db_size_ = status.db_size;
        }
        check_format();
      }));
}

void EtcdStore::check_format() {
  client_.call(kRangePath, encode_range({layout_.format()}),
               expect<RangeResponse>(decode_range, [this](const RangeResponse& answer) {
                 if (answer.kvs.empty() && !copy_.loaded()) return create_format();
                 if (const Result<void> good = accept_format(answer); !good.ok())
                   return client_.drop(good.error());
                 goal_ = answer.header.revision;
                 if (!must_load_) return open_watch();
                 load_.base = answer.kvs.front().create_revision;
                 // As much of the past as the ring holds, so that watches go on over a restart.
                 const auto window = static_cast<Revision>(options_.limits.history_events);
                 begin_load(std::max({load_.base, goal_ - window, copy_.applied()}));
               }));
}

Result<void> EtcdStore::accept_format(const RangeResponse& answer) {
  if (answer.kvs.empty())
    return refuse("what was below " + options_.prefix + " is gone: restart to begin anew");
  COX_RETURN_IF_ERROR(etcd::check_format(answer.kvs.front().value));
  if (copy_.loaded()) {
    const std::string restart = ": if that is meant, restart this process";
    if (answer.header.cluster_id != cluster_) return refuse("this is another etcd than before" + restart);
    if (answer.kvs.front().value != format_ || answer.kvs.front().create_revision != copy_.base())
      return refuse("what is below " + options_.prefix + " was made anew" + restart);
    if (answer.header.revision < copy_.applied())
      return refuse("it went back from revision " + std::to_string(copy_.applied()) + " to " +
                    std::to_string(answer.header.revision) + ", as a restored backup does" + restart);
  }
  cluster_ = answer.header.cluster_id;
  format_ = answer.kvs.front().value;
  return {};
}

void EtcdStore::create_format() {
  TxnRequest request;
  request.compare_all_absent(layout_.everything());
  request.then_put(layout_.format(), encode_format(make_uuid(system_random())));
  request.else_range({layout_.format()});
  client_.call(kTxnPath, request.bytes(), expect<TxnResponse>(decode_txn, [this](const TxnResponse& answer) {
                 const bool foreign =
                     !answer.succeeded && (answer.ranges.empty() || answer.ranges.front().kvs.empty());
                 if (!foreign) return check_format();  // by us or by somebody who was faster
                 client_.drop(refuse("there are keys below " + options_.prefix +
                                     " that Coxswain did not write: choose another --etcd-prefix"));
               }));
}

// ---- loading ----

void EtcdStore::begin_load(Revision at) {
  phase_ = Phase::kLoading;
  load_.state = std::make_unique<State>();
  load_.foreign.clear();
  load_.at = at;
  load_.from = layout_.data_range("").key;
  load_.limit = kFirstPageKeys;
  load_page();
}

void EtcdStore::load_page() {
  KeyRange page{load_.from, layout_.data_range("").end};
  page.revision = load_.at;
  page.limit = load_.limit;
  client_.call(kRangePath, encode_range(page), [this](Client::Answer answer) {
    if (!answer.ok() && is_compacted(answer.error())) return find_compacted();
    if (!answer.ok() && answer.error().code == kGrpcResourceExhausted && load_.limit > kFirstPageKeys) {
      load_.limit = kFirstPageKeys;  // larger ones than before
      return load_page();
    }
    if (!answer.ok()) return client_.drop(error_of(answer.error()));
    const Result<RangeResponse> got = decode_range(*answer);
    if (!got.ok()) return client_.drop(got.error());
    for (const KeyValue& kv : got->kvs) {
      Result<EntryPtr> entry = entry_of(layout_, kv, load_.base);
      if (!entry.ok()) load_.foreign.insert(kv.key);
      if (entry.ok()) load_.state->load(*std::move(entry));
    }
    if (!got->more || got->kvs.empty()) return finish_load();
    load_.from = got->kvs.back().key + '\0';
    load_.limit = std::clamp(load_.limit * kPageBytes / bytes_of(got->kvs), kFirstPageKeys, kMostPageKeys);
    load_page();
  });
}

// A watch of what is gone is told where it would have to begin.
void EtcdStore::find_compacted() {
  auto stream = std::make_shared<StreamId>(0);
  const auto on_message = [this, stream](const std::string& message) {
    const Result<WatchResponse> answer = decode_watch(message);
    if (!answer.ok()) return client_.drop(answer.error());
    if (answer->created && !answer->canceled) return;
    client_.cancel(*stream);
    if (answer->compact_revision <= load_.at) return begin_load(goal_);
    load_.compacted = answer->compact_revision;
    begin_load(load_.compacted);
  };
  *stream = client_.stream(kWatchPath, encode_watch_create({layout_.format(), ""}, load_.at), on_message,
                           [this](const Client::Answer& answer) {
                             client_.drop(answer.ok() ? make_error(ErrorCode::kUnavailable, "its watch ended")
                                                      : error_of(answer.error()));
                           });
}

void EtcdStore::finish_load() {
  if (copy_.loaded()) history_lost();
  copy_.load(std::move(load_.state), std::move(load_.foreign), load_.base, load_.at, load_.compacted);
  load_ = {};
  must_load_ = false;
  freshness_.reached(copy_.applied());
  open_watch();
}

// ---- watching ----

void EtcdStore::open_watch() {
  phase_ = Phase::kCatchingUp;
  client_.stream(
      kWatchPath, encode_watch_create(layout_.everything(), copy_.applied() + 1),
      [this](std::string message) { on_watch(std::move(message)); },
      [this](const Client::Answer& answer) {
        client_.drop(answer.ok() ? make_error(ErrorCode::kUnavailable, "its watch ended")
                                 : error_of(answer.error()));
      });
  const auto arrived = [this, session = session_](const Result<void>& there) {
    if (session != session_ || phase_ != Phase::kCatchingUp) return;
    there.ok() ? begin_serving() : client_.drop(there.error());
  };
  if (copy_.applied() >= goal_) return arrived({});
  const std::int64_t now = now_ms();
  freshness_.wait(goal_, Freshness::Ours::kAfterReplay, now, now + options_.start_timeout_ms, arrived);
}

void EtcdStore::on_watch(std::string message) {
  Result<WatchResponse> response = decode_watch(message);
  if (!response.ok()) return client_.drop(response.error());
  if (response->canceled) {
    must_load_ = response->compact_revision > copy_.applied();
    return client_.drop(
        make_error(ErrorCode::kUnavailable, must_load_ ? "it compacted what was not seen yet"
                                                       : "it ended the watch: " + response->cancel_reason));
  }
  Hub::Wakes wakes;
  const Result<void> fed =
      copy_.feed(*std::move(response), &wakes, [this](const Change& change) { write_shown(change); });
  for (const auto& wake : wakes) wake();
  freshness_.reached(copy_.applied());
  if (!fed.ok()) return client_.drop(fed.error());
  if (phase_ == Phase::kServing) tell_serving();
}

void EtcdStore::begin_serving() {
  phase_ = Phase::kServing;
  client_.settled();
  permanent_failures_ = 0;
  tell_serving();
}

// Reads and writes go on beside foreign keys; but this is not how it should be.
void EtcdStore::tell_serving() {
  set_trouble(copy_.foreign().empty() ? "" : foreign_key(*copy_.foreign().begin()), true);
}

}  // namespace coxswain::store::etcd
