#include "libs/client/leader_elector.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "libs/client/reflector.h"
#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"
#include "libs/common/metrics/metrics.h"

namespace coxswain::client {
namespace {

constexpr ResourceInfo kLeases{"coordination.k8s.io", "v1", "Lease", "leases", true};

// A process that restarted itself is the same candidate: it need not wait for its own lease to run out.
constexpr const char* kIdentityVariable = "COXSWAIN_ELECTION_IDENTITY";

std::string default_identity() {
  const std::string pid = std::to_string(getpid()) + ":";
  if (const char* kept = std::getenv(kIdentityVariable);
      kept != nullptr && std::string_view(kept).starts_with(pid)) {
    return kept + pid.size();
  }
  char host[256] = "unknown";
  gethostname(host, sizeof(host) - 1);
  const std::string identity = std::string(host) + "_" + make_uuid(system_random());
  setenv(kIdentityVariable, (pid + identity).c_str(), 1);  // the pid tells an exec from a child
  return identity;
}

Result<std::int64_t> positive_duration_ms(const char* flag, const std::string& text) {
  const auto ms = parse_duration_ms(text);
  if (ms && *ms > 0) return *ms;
  return make_error(ErrorCode::kInvalidArgument,
                    std::string(flag) + " must be a duration like 10s, not '" + text + "'");
}

}  // namespace

Result<LeaderElectionOptions> leader_election_options(std::string lease, const LeaderElectionFlags& flags) {
  constexpr const char* kDuration = "--leader-elect-lease-duration";
  constexpr const char* kDeadline = "--leader-elect-renew-deadline";
  LeaderElectionOptions out;
  out.name = std::move(lease);
  COX_ASSIGN_OR_RETURN(out.lease_duration_ms, positive_duration_ms(kDuration, flags.lease_duration));
  COX_ASSIGN_OR_RETURN(out.renew_deadline_ms, positive_duration_ms(kDeadline, flags.renew_deadline));
  COX_ASSIGN_OR_RETURN(out.retry_period_ms,
                       positive_duration_ms("--leader-elect-retry-period", flags.retry_period));
  if (out.lease_duration_ms % 1000 != 0)
    return make_error(ErrorCode::kInvalidArgument, std::string(kDuration) + " must be whole seconds");
  if (out.renew_deadline_ms <= out.retry_period_ms) {
    return make_error(ErrorCode::kInvalidArgument,
                      std::string(kDeadline) + " must be longer than --leader-elect-retry-period");
  }
  if (out.renew_deadline_ms + 2 * out.retry_period_ms >= out.lease_duration_ms) {
    return make_error(
        ErrorCode::kInvalidArgument,
        std::string(kDeadline) + " and twice --leader-elect-retry-period must be shorter than " + kDuration);
  }
  return out;
}

LeaderElector::LeaderElector(ApiClient& client, LeaderElectionOptions options, Clock& clock)
    : client_(client.transport(), {.timeout_ms = std::max<std::int64_t>(1, options.retry_period_ms)}),
      options_(std::move(options)),
      clock_(clock) {
  if (options_.identity.empty()) options_.identity = default_identity();
}

LeaderElector::Record LeaderElector::read(const json::Value& lease) {
  Record record;
  const json::Value* spec = lease.find("spec");
  if (spec == nullptr) return record;
  record.holder = spec->get_string("holderIdentity");
  record.duration_seconds = spec->get_int("leaseDurationSeconds");
  record.acquire_time = spec->get_string("acquireTime");
  record.renew_time = spec->get_string("renewTime");
  record.transitions = spec->get_int("leaseTransitions");
  return record;
}

json::Value LeaderElector::write(const Record& record, const json::Value& lease) const {
  json::Value out = lease;
  if (out.is_null()) {
    out = json::Value::object({{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}});
    out["metadata"] = json::Value::object({{"name", options_.name}, {"namespace", options_.ns}});
  }
  json::Value spec =
      json::Value::object({{"holderIdentity", record.holder},
                           {"leaseDurationSeconds", json::Value(static_cast<long>(record.duration_seconds))},
                           {"leaseTransitions", json::Value(static_cast<long>(record.transitions))}});
  if (!record.acquire_time.empty()) spec.set("acquireTime", record.acquire_time);
  if (!record.renew_time.empty()) spec.set("renewTime", record.renew_time);
  out.set("spec", std::move(spec));
  return out;
}

bool LeaderElector::try_acquire_or_renew() {
  auto lease = client_.get_json(kLeases, options_.ns, options_.name);
  if (!lease.ok() && !is_not_found(lease.error())) {
    log_warning("cannot read the lease", {{"lease", options_.name}, {"error", lease.error().message}});
    return false;
  }
  const bool exists = lease.ok();
  const Record current = exists ? read(*lease) : Record();
  if (!observed_ms_ || !(current == observed_)) {
    observed_ = current;
    observed_ms_ = clock_.now_ms();
  }
  const bool ours = current.holder == options_.identity;
  if (exists && !ours && !current.holder.empty() && lease_left_ms() > 0) return false;

  Record wanted;
  wanted.holder = options_.identity;
  wanted.duration_seconds = options_.lease_duration_ms / 1000;
  wanted.renew_time = format_rfc3339_micro(clock_.unix_ms());
  wanted.acquire_time = ours ? current.acquire_time : wanted.renew_time;
  wanted.transitions = current.transitions + (exists && !ours ? 1 : 0);
  json::Value body = write(wanted, exists ? *lease : json::Value());
  // The resourceVersion in the body makes this a compare-and-swap: two candidates cannot both win.
  auto written = exists ? client_.update_json(kLeases, options_.ns, options_.name, std::move(body))
                        : client_.create_json(kLeases, options_.ns, std::move(body));
  if (!written.ok()) {
    if (!is_conflict(written.error()) && !is_already_exists(written.error())) {
      log_warning("cannot write the lease", {{"lease", options_.name}, {"error", written.error().message}});
    }
    return false;
  }
  observed_ = wanted;
  observed_ms_ = clock_.now_ms();
  return true;
}

std::int64_t LeaderElector::lease_left_ms() const {
  const std::int64_t duration_ms =
      observed_.duration_seconds > 0 ? observed_.duration_seconds * 1000 : options_.lease_duration_ms;
  return observed_ms_ ? *observed_ms_ + duration_ms - clock_.now_ms() : 0;
}

std::int64_t LeaderElector::retry_after_ms() const {
  const std::int64_t left_ms = lease_left_ms();
  // An attempt that failed just now, or a lease that is nobody's, is no reason to hurry.
  return left_ms > 0 && !observed_.holder.empty() ? std::min(left_ms, options_.retry_period_ms)
                                                  : options_.retry_period_ms;
}

void LeaderElector::release() {
  auto lease = client_.get_json(kLeases, options_.ns, options_.name);
  if (!lease.ok()) return;
  Record record = read(*lease);
  if (record.holder != options_.identity) return;
  record.holder.clear();
  record.duration_seconds = 1;
  record.renew_time = format_rfc3339_micro(clock_.unix_ms());
  static_cast<void>(client_.update_json(kLeases, options_.ns, options_.name, write(record, *lease)));
}

bool LeaderElector::run(std::stop_token stop, const std::function<void(std::stop_token)>& lead) {
  std::int64_t renewed_ms = clock_.now_ms();
  while (!try_acquire_or_renew()) {
    if (!sleep_for_ms(retry_after_ms(), stop)) return true;
    renewed_ms = clock_.now_ms();
  }
  log_info("became leader", {{"lease", options_.name}, {"identity", options_.identity}});
  std::stop_source leading;
  std::stop_callback forward(stop, [&leading] { leading.request_stop(); });
  std::atomic<bool> lost{false};
  std::jthread renewer([&](std::stop_token done) {
    // Counted from before the call: the write may have happened at its very start. An attempt is two calls of
    // one retry period at most, so the loss is noticed at the latest
    // deadline + 2 retry periods after the last renewal, before anybody else may take the lease.
    while (sleep_for_ms(options_.retry_period_ms, done)) {
      const std::int64_t started_ms = clock_.now_ms();
      const bool late = started_ms - renewed_ms > options_.renew_deadline_ms;
      if (!late && try_acquire_or_renew()) {
        renewed_ms = started_ms;
      } else if (late || clock_.now_ms() - renewed_ms > options_.renew_deadline_ms ||
                 (observed_.holder != options_.identity && !observed_.holder.empty())) {
        lost.store(true);
        leading.request_stop();
        return;
      }
    }
  });
  leads_.store(true);
  lead(leading.get_token());
  leads_.store(false);
  renewer.request_stop();
  renewer.join();
  if (lost.load()) {
    log_error("lost the leader lease", {{"lease", options_.name}});
    return false;
  }
  release();
  return true;
}

void LeaderElector::write_metrics(std::string& out) const {
  const std::string_view name = "leader_election_master_status";
  metrics::family(out, name, "gauge", "1 while this candidate leads.");
  metrics::sample(out, name, "name=\"" + options_.name + "\"", leads_.load() ? 1 : 0);
}

}  // namespace coxswain::client
