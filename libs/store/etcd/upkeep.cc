// What is asked of etcd beside writes: old revisions, freshness, compaction, how large it is.
#include <algorithm>

#include "libs/store/etcd/etcd_store.h"

namespace coxswain::store::etcd {
namespace {

constexpr std::size_t kMostAsked = 16;  // at once: old reads may be large
constexpr std::int64_t kStatusEveryMs = 30'000;

template <typename Queue>
std::vector<typename Queue::value_type> take_late(Queue* queue, std::int64_t now) {
  const auto late = std::stable_partition(queue->begin(), queue->end(),
                                          [now](const auto& item) { return item.deadline_ms > now; });
  std::vector<typename Queue::value_type> out(std::make_move_iterator(late),
                                              std::make_move_iterator(queue->end()));
  queue->erase(late, queue->end());
  return out;
}

}  // namespace

void EtcdStore::send_asks() {
  while (!asks_.empty() && asked_ < kMostAsked) {
    Ask ask = std::move(asks_.front());
    asks_.pop_front();
    ++asked_;
    const std::string path = ask.path;
    const std::string request = ask.request;
    client_.call(path, request, [this, ask = std::move(ask)](Client::Answer answer) mutable {
      ask_answered(std::move(ask), std::move(answer));
    });
  }
}

void EtcdStore::ask_answered(Ask ask, Client::Answer answer) {
  --asked_;
  if (answer.ok()) return ask.done(*std::move(answer));
  Error error = error_of(answer.error());
  if (error.code != ErrorCode::kUnavailable) return ask.done(std::move(error));
  asks_.push_back(std::move(ask));  // once more, on this connection or the next, until its deadline
  if (client_.connected()) client_.drop(std::move(error));
}

void EtcdStore::expire_asks(std::int64_t now) {
  const auto late = [this] {
    const std::lock_guard lock(mutex_);
    return make_error(ErrorCode::kUnavailable, trouble_.empty() ? "etcd did not answer in time" : trouble_);
  };
  for (const Ask& ask : take_late(&asks_, now)) ask.done(late());
  for (const Barrier& barrier : take_late(&barriers_, now)) barrier.done(late());
}

// One linearizable read for all who wait, and then its revision.
void EtcdStore::send_barrier() {
  if (barriers_.empty() || barrier_sent_) return;
  barrier_sent_ = true;
  auto waiting = std::make_shared<std::vector<Barrier>>(std::move(barriers_));
  barriers_.clear();
  KeyRange any{layout_.format()};
  any.count_only = true;
  client_.call(kRangePath, encode_range(any), [this, waiting](const Client::Answer& answer) {
    barrier_sent_ = false;
    const Result<RangeResponse> range =
        answer.ok() ? decode_range(*answer) : Result<RangeResponse>(error_of(answer.error()));
    if (!range.ok()) {
      barriers_.insert(barriers_.end(), std::make_move_iterator(waiting->begin()),
                       std::make_move_iterator(waiting->end()));
      if (client_.connected()) client_.drop(range.error());
      return;
    }
    const Revision there = range->header.revision;
    const std::int64_t now = now_ms();
    for (Barrier& barrier : *waiting) {
      if (copy_.applied() >= there) {
        barrier.done({});
      } else {
        freshness_.wait(there, Freshness::Ours::kSoon, now, barrier.deadline_ms, std::move(barrier.done));
      }
    }
  });
}

void EtcdStore::send_tick() {
  const auto at = freshness_.tick_at_ms();
  if (!at.has_value() || *at > now_ms()) return;
  freshness_.tick_began();
  client_.call(kPutPath, encode_put(layout_.tick(), ""), [this](const Client::Answer& answer) {
    const Result<ResponseHeader> header =
        answer.ok() ? decode_header_of(*answer) : Result<ResponseHeader>(error_of(answer.error()));
    freshness_.tick_ended(header.ok() ? header->revision : 0, now_ms());
    if (!header.ok() && client_.connected()) client_.drop(header.error());
  });
}

// ---- compaction ----

// Everybody remembers where etcd was, waits for the time to pass, and then tries to move the key on from the
// version it saw; who succeeds compacts to what it remembers. So it happens once, and never too early.
void EtcdStore::compact_by_age() {
  const std::int64_t every = options_.limits.retention_ms;
  const std::int64_t now = now_ms();
  if (every <= 0 || now < compact_at_ms_) return;
  compact_at_ms_ = now + every;
  move_compaction();
}

void EtcdStore::move_compaction() {
  TxnRequest request;
  // No key has this version: the first time, it is only looked at.
  request.compare_version(layout_.compact(), compact_known_ ? compact_version_ : -1);
  request.then_put(layout_.compact(), std::to_string(compact_to_));
  request.else_range({layout_.compact()});
  client_.call(kTxnPath, request.bytes(), [this](const Client::Answer& answer) {
    compact_known_ = false;
    if (!answer.ok()) return;  // the next time
    const Result<TxnResponse> response = decode_txn(*answer);
    if (!response.ok() || (!response->succeeded && response->ranges.empty())) return;
    const Revision due = std::exchange(compact_to_, response->header.revision);
    compact_known_ = true;
    if (!response->succeeded) {
      const auto& kvs = response->ranges.front().kvs;
      compact_version_ = kvs.empty() ? 0 : kvs.front().version;
      return;
    }
    ++compact_version_;
    asks_.push_back({std::string(kCompactPath), encode_compaction(due), now_ms() + options_.write_timeout_ms,
                     [](const Result<std::string>&) {}});
  });
}

void EtcdStore::refresh_status() {
  const std::int64_t now = now_ms();
  if (now < status_at_ms_) return;
  status_at_ms_ = now + kStatusEveryMs;
  client_.call(kStatusPath, "", [this](const Client::Answer& answer) {
    if (!answer.ok()) return;
    const Result<StatusResponse> status = decode_status(*answer);
    if (!status.ok()) return;
    const std::lock_guard lock(mutex_);
    db_size_ = status->db_size;
  });
}

}  // namespace coxswain::store::etcd
