// Writes: sent, and their outcome found out.
#include "libs/store/etcd/etcd_store.h"

namespace coxswain::store::etcd {
namespace {

constexpr std::size_t kMostSent = 200;  // at once; etcd takes 250 streams over TLS
constexpr std::int64_t kRetryMs = 20;

bool contains(const CallEnd& end, std::string_view text) {
  return end.message.find(text) != std::string::npos;
}

// etcd refuses these before it proposes them to its members, or without effect.
bool surely_not_executed(const CallEnd& end) {
  if (end.lost) return false;
  return end.not_executed || end.code == kGrpcInvalidArgument || end.code == kGrpcPermissionDenied ||
         end.code == kGrpcUnauthenticated || end.code == kGrpcUnimplemented ||
         contains(end, "etcdserver: no leader") || contains(end, "etcdserver: too many requests") ||
         contains(end, "database space exceeded") || contains(end, "larger than max") ||
         contains(end, "etcdserver: user name is empty");
}

bool passes_by_itself(const CallEnd& end) {
  return end.not_executed || contains(end, "no leader") || contains(end, "too many requests") ||
         contains(end, "revision of auth store is old");
}

Error unknown(const std::string& why) {
  return make_error(ErrorCode::kDeadlineExceeded, "the outcome of this write is unknown: " + why);
}

}  // namespace

void EtcdStore::send_writes() {
  if (now_ms() < retry_at_ms_) return;
  while (!ready_.empty() && sent_ < kMostSent) {
    const TxnId id = std::move(ready_.front());
    ready_.pop_front();
    const auto it = writes_.find(id);
    if (it != writes_.end() && it->second.state == Write::State::kReady) send_write(id, it->second);
  }
}

void EtcdStore::send_write(const TxnId& id, Write& write) {
  write.state = Write::State::kSent;
  write.fence = fence_;
  ++sent_;
  const TxnRequest request = encode_write(layout_, write.txn, id, copy_.base(), fence_);
  client_.call(kTxnPath, request.bytes(),
               [this, id](Client::Answer answer) { write_answered(id, std::move(answer)); });
}

void EtcdStore::write_answered(const TxnId& id, Client::Answer answer) {
  --sent_;
  const auto it = writes_.find(id);
  if (it == writes_.end()) return;  // the watch was faster, or its time is over
  Write& write = it->second;
  if (!answer.ok()) return write_failed(id, write, answer.error());
  const Result<TxnResponse> response = decode_txn(*answer);
  if (response.ok()) return write_decided(id, write, *response);
  write_failed(id, write, {kGrpcInternal, response.error().message, false});
}

void EtcdStore::write_decided(const TxnId& id, Write& write, const TxnResponse& answer) {
  TxnResult result;
  const bool effect = answer.succeeded && (has_certain_effect(write.txn) || answer.nested_succeeded);
  if (!answer.succeeded) {
    Result<Refusal> refusal = decode_refusal(layout_, write.txn, answer, copy_.base());
    if (!refusal.ok()) return write_failed(id, write, {kGrpcInternal, refusal.error().message, false});
    if (refusal->by_fence) {
      ready_again(id, write);
      if (refusal->fence < write.fence)
        client_.drop(make_error(ErrorCode::kUnavailable, "its fence went back"));
      fence_ = std::max(fence_, refusal->fence);
      return;
    }
    result = std::move(refusal->result);
  } else if (!effect) {
    result = result_of(write.txn, {}, answer.header.revision - copy_.base());
  }
  // Whoever is told looks: the copy must be there.
  write.state = Write::State::kAnswered;
  const auto shown = [this, id, effect, result = std::move(result)](const Result<void>& there) {
    const auto it = writes_.find(id);
    if (it == writes_.end()) return;
    if (there.ok() && !effect) return finish(it, result);
    finish(it, there.ok() ? unknown("it was committed, but history is gone before it was seen here")
                          : unknown(there.error().message));
  };
  const Revision revision = answer.header.revision;
  if (copy_.applied() >= revision) return shown({});
  freshness_.wait(revision, effect ? Freshness::Ours::kCertain : Freshness::Ours::kSoon, now_ms(),
                  write.deadline_ms, shown);
}

void EtcdStore::write_failed(const TxnId& id, Write& write, const CallEnd& end) {
  if (contains(end, "database space exceeded")) {
    const std::lock_guard lock(mutex_);
    read_only_ = error_of(end).message;
  }
  if (!surely_not_executed(end)) {
    write.state = Write::State::kLost;
    lost_ = true;
    // Its event or a fence would settle it; the latter is sent when this connection, or the next, serves.
    return;
  }
  if (!passes_by_itself(end)) return finish(writes_.find(id), error_of(end));
  retry_at_ms_ = now_ms() + kRetryMs;
  ready_again(id, write);
  if (contains(end, "no leader")) client_.drop(make_error(ErrorCode::kUnavailable, end.message));
}

void EtcdStore::ready_again(const TxnId& id, Write& write) {
  write.state = Write::State::kReady;
  ready_.push_front(id);
}

// What the watch brings: ours are done.
void EtcdStore::write_shown(const Change& change) {
  for (const TxnId& id : change.ids) {
    const auto it = writes_.find(id);
    if (it == writes_.end()) continue;
    {
      const std::lock_guard lock(mutex_);
      read_only_.clear();
    }
    finish(it, result_of(it->second.txn, change.plan.events, change.plan.result.revision));
  }
  if (change.fence != 0) fence_shown(change.fence);
}

// No attempt with an older fence will be executed any more; those that were have been shown.
void EtcdStore::fence_shown(Revision fence) {
  fence_ = std::max(fence_, fence);
  fencing_ = false;
  if (!lost_) return;
  lost_ = false;
  for (auto& [id, write] : writes_) {
    if (write.state != Write::State::kLost) continue;
    if (write.fence < fence) {
      ready_again(id, write);
    } else {
      lost_ = true;
    }
  }
}

// The copy was loaded anew: what happened in between was not seen.
void EtcdStore::history_lost() {
  for (auto it = writes_.begin(); it != writes_.end();) {
    const auto at = it++;
    if (at->second.state != Write::State::kReady)
      finish(at, unknown("etcd compacted what happened before it was seen here"));
  }
  lost_ = false;
}

void EtcdStore::send_fence() {
  if (!lost_ || fencing_) return;
  fencing_ = true;
  client_.call(kPutPath, encode_put(layout_.fence(), ""), [this](const Client::Answer& answer) {
    fencing_ = false;  // once more if it failed: there is no harm in two
    if (!answer.ok()) {
      const CallEnd& end = answer.error();
      return client_.drop(make_error(ErrorCode::kUnavailable, end.message));
    }
    const Result<ResponseHeader> header = decode_header_of(*answer);
    if (!header.ok()) return client_.drop(header.error());
    // Its event settles what was lost; until then there is nothing more to fence.
    fencing_ = copy_.applied() < header->revision;
    fence_ = std::max(fence_, header->revision);
  });
}

void EtcdStore::finish(Writes::iterator it, Result<TxnResult> result) {
  const TxnDone done = std::move(it->second.done);
  {
    const std::lock_guard lock(mutex_);
    --queued_txns_;
    queued_bytes_ -= it->second.bytes;
  }
  writes_.erase(it);
  done(std::move(result));
}

void EtcdStore::expire_writes(std::int64_t now) {
  while (!writes_.empty() && writes_.begin()->second.deadline_ms <= now) {
    const auto it = writes_.begin();
    if (it->second.state != Write::State::kReady) {
      finish(it, unknown("etcd did not answer in time"));
      continue;
    }
    std::string why;
    {
      const std::lock_guard lock(mutex_);
      why = trouble_;
    }
    finish(it, make_error(ErrorCode::kUnavailable, why.empty() ? "etcd is too slow; nothing was written"
                                                               : why + "; nothing was written"));
  }
}

}  // namespace coxswain::store::etcd
