#include "libs/registry/cluster/server_endpoints.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "libs/common/base/strings.h"
#include "libs/common/json/json.h"
#include "libs/common/log/log.h"

namespace coxswain::registry {
namespace {

constexpr std::int64_t kRetryMs = 1'000;
constexpr int kAttempts = 5;               // others may change the objects at the same time
constexpr std::size_t kMaxServers = 1000;  // what a slice holds at most

}  // namespace

Error refusal_of(const std::string& what, const Registry::Answer& answer) {
  const bool later = answer.code == 503 || answer.code == 504 || answer.code == 429;
  const Result<json::Value> status = json::parse(answer.body);
  const std::string told = status.ok() ? status->get_string("message") : std::string();
  return make_error(later ? ErrorCode::kUnavailable : ErrorCode::kInternal,
                    what + ": " + (told.empty() ? std::string(trim(answer.body)) : told));
}

// Told by the store's thread that a lease changed; waited for by ours.
struct ServerEndpoints::Wake {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool woken = false;  // guarded by mutex

  void wake() {
    const std::lock_guard lock(mutex);
    woken = true;
    changed.notify_all();
  }
  void wait_ms(std::int64_t ms, std::stop_token stop) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, stop, std::chrono::milliseconds(ms), [this] { return woken; });
    woken = false;
  }
};

ServerEndpoints::ServerEndpoints(store::Store& store, Clock& clock, Call call, Settings settings)
    : store_(store),
      clock_(clock),
      call_(std::move(call)),
      settings_(std::move(settings)),
      wake_(std::make_shared<Wake>()) {}

ServerEndpoints::~ServerEndpoints() { stop(); }

Result<void> ServerEndpoints::register_self(std::stop_token stop) {
  if (!settings_.shared) return look(stop, false);
  COX_RETURN_IF_ERROR(renew(stop));
  const Result<void> done = look(stop, false);
  if (done.ok() || done.error().code == ErrorCode::kUnavailable) return done;
  // It may be another server's address that is refused: no reason not to serve.
  log_warning("cannot keep the endpoints of the api-servers", {{"error", done.error().message}});
  return {};
}

void ServerEndpoints::start() {
  if (!settings_.shared || thread_.joinable()) return;
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void ServerEndpoints::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  remove_self();
}

void ServerEndpoints::run(std::stop_token stop) {
  std::unique_ptr<store::Watcher> watcher;
  std::int64_t warned_ms = clock_.now_ms() - kServerLeaseRenewMs;
  while (!stop.stop_requested()) {
    if (watcher == nullptr) {
      if (auto watch = store_.watch(kServerLeasePrefix, 0); watch.ok()) watcher = std::move(*watch);
    }
    // Taken before the look: what comes after it wakes us again.
    if (watcher != nullptr && !watcher->poll(256).ok()) watcher.reset();
    if (watcher != nullptr) {
      watcher->arm([weak = std::weak_ptr<Wake>(wake_)] {
        if (const std::shared_ptr<Wake> alive = weak.lock()) alive->wake();
      });
    }
    Result<void> done;
    if (clock_.now_ms() >= next_renewal_ms_) done = renew(stop);
    if (done.ok()) done = look(stop, false);
    if (stop.stop_requested()) return;
    std::int64_t wait_ms = next_renewal_ms_ - clock_.now_ms();
    if (next_expiry_ms_ != 0) wait_ms = std::min(wait_ms, next_expiry_ms_ - clock_.now_ms());
    if (!done.ok()) {
      if (clock_.now_ms() - warned_ms >= kServerLeaseRenewMs) {
        warned_ms = clock_.now_ms();
        log_warning("cannot keep the endpoints of the api-servers", {{"error", done.error().message}});
      }
      wait_ms = kRetryMs;
    }
    wake_->wait_ms(std::max<std::int64_t>(wait_ms, 10), stop);
  }
}

Result<void> ServerEndpoints::renew(std::stop_token stop) {
  store::Txn txn;
  txn.ops.push_back({store::Op::Type::kPut, server_lease_key(settings_.self),
                     json::write(json::Value::object({{"renewals", static_cast<long>(++renewals_)}})),
                     store::kNoSplice});
  const std::int64_t asked_ms = clock_.now_ms();
  const Result<store::TxnResult> written = commit(std::move(txn), stop);
  if (!written.ok()) {
    return make_error(ErrorCode::kUnavailable, "cannot renew the server's lease: " + written.error().message);
  }
  next_renewal_ms_ = asked_ms + kServerLeaseRenewMs;
  return {};
}

Result<void> ServerEndpoints::look(std::stop_token stop, bool leaving) {
  for (int i = 0; i < kAttempts; ++i) {
    COX_ASSIGN_OR_RETURN(const std::vector<ServerLease> leases, read_leases());
    ServerLeases::Outcome outcome = leases_.look(settings_.self, leases, clock_.now_ms());
    next_expiry_ms_ = outcome.next_expiry_ms;
    if (leaving) std::erase(outcome.live, settings_.self);
    COX_ASSIGN_OR_RETURN(const bool done, settle(outcome.live, stop));
    if (!done) continue;
    remove_expired(outcome.expired, stop);
    return {};
  }
  return make_error(ErrorCode::kUnavailable, "others change the endpoints of the Service kubernetes as well");
}

Result<std::vector<ServerLease>> ServerEndpoints::read_leases() const {
  if (!settings_.shared) return std::vector<ServerLease>();
  store::RangeRequest range;
  range.prefix = kServerLeasePrefix;
  range.limit = kMaxServers;
  COX_ASSIGN_OR_RETURN(const store::RangeResult found, store_.range(range));
  std::vector<ServerLease> out;
  for (const store::EntryPtr& entry : found.entries) {
    if (std::optional<ServerAddress> server = parse_server_lease_key(entry->key)) {
      out.push_back({std::move(*server), entry->mod_revision});
    }
  }
  return out;
}

Result<bool> ServerEndpoints::settle(const std::vector<ServerAddress>& live, std::stop_token stop) {
  const auto read = [&](const std::string& target) -> Result<json::Value> {
    const Registry::Answer answer = call_("GET", target, "", stop);
    if (answer.code == 404) return json::Value();
    if (answer.code != 200) return refusal_of("cannot read " + target, answer);
    return json::parse(answer.body);
  };
  COX_ASSIGN_OR_RETURN(const json::Value endpoints, read("/api/v1/namespaces/default/endpoints/kubernetes"));
  COX_ASSIGN_OR_RETURN(const json::Value slices,
                       read("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector="
                            "kubernetes.io%2Fservice-name%3Dkubernetes"));
  const json::Value* items = slices.find("items");
  const std::vector<ObjectChange> plan = plan_server_endpoints(
      live, endpoints, items == nullptr ? std::vector<json::Value>() : items->as_array());
  for (const ObjectChange& change : plan) {
    const bool creates = change.type == ObjectChange::Type::kCreate;
    const std::string target = creates ? change.collection : change.collection + "/" + change.name;
    const bool removes = change.type == ObjectChange::Type::kDelete;
    const Registry::Answer answer =
        call_(creates ? "POST" : (removes ? "DELETE" : "PUT"), target, json::write(change.body), stop);
    if (answer.code == 409 || answer.code == 404) return false;
    if (answer.code >= 300) return refusal_of("cannot write " + target, answer);
  }
  return true;
}

void ServerEndpoints::remove_expired(const std::vector<ServerLease>& expired, std::stop_token stop) {
  for (const ServerLease& lease : expired) {
    log_info("an api-server is gone",
             {{"server", lease.server.ip + ":" + std::to_string(lease.server.port)}});
    store::Txn txn;
    txn.compares.push_back({server_lease_key(lease.server), lease.renewed});
    txn.ops.push_back({store::Op::Type::kDelete, server_lease_key(lease.server), {}});
    static_cast<void>(commit(std::move(txn), stop));  // it stays expired: removed at the next look
  }
}

Result<store::TxnResult> ServerEndpoints::commit(store::Txn txn, std::stop_token stop) {
  struct Pending {
    std::mutex mutex;
    std::condition_variable_any arrived;
    std::optional<Result<store::TxnResult>> result;  // guarded by mutex
  };
  auto pending = std::make_shared<Pending>();
  store_.txn(std::move(txn), [pending](Result<store::TxnResult> result) {
    const std::lock_guard lock(pending->mutex);
    pending->result = std::move(result);
    pending->arrived.notify_all();
  });
  std::unique_lock lock(pending->mutex);
  if (!pending->arrived.wait(lock, stop, [&] { return pending->result.has_value(); })) {
    return make_error(ErrorCode::kCancelled, "stopped while the store had no answer yet");
  }
  return std::move(*pending->result);
}

void ServerEndpoints::remove_self() {
  std::stop_source late;
  std::jthread timer([this, &late](std::stop_token done) {
    Wake wake;
    wake.wait_ms(settings_.removal_timeout_ms, done);
    late.request_stop();
  });
  store::Txn txn;
  txn.ops.push_back({store::Op::Type::kDelete, server_lease_key(settings_.self), {}});
  const Result<store::TxnResult> removed = commit(std::move(txn), late.get_token());
  Result<void> done;
  if (removed.ok()) done = look(late.get_token(), true);
  if (!removed.ok() || !done.ok()) {
    log_warning("cannot take this server out of the endpoints; the others will notice in 15 s",
                {{"error", removed.ok() ? done.error().message : removed.error().message}});
  }
}

}  // namespace coxswain::registry
