// A Store that is kept in an external etcd (v3 API, etcd 3.4 or later), by as many processes as like to.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/store/open.h"

namespace coxswain::store {

struct EtcdEndpoint {
  std::string host;  // a name or an address; IPv6 without brackets
  std::uint16_t port = 2379;
};

struct EtcdStoreOptions {
  std::vector<EtcdEndpoint> endpoints;  // members of one etcd; the first one that answers is used
  // Any of these: TLS 1.2 or later. None: plain text, and only to loopback addresses unless `plain`.
  std::string ca_path;           // who signs etcd's certificates; empty: the system's authorities
  std::string certificate_path;  // ours, and its key: both or neither
  std::string key_path;
  bool plain = false;
  std::string prefix = "/coxswain";  // all keys are below it; nobody else may write there

  StoreLimits limits;
  Clock* clock = nullptr;                   // not owned; null: system_clock()
  std::int64_t start_timeout_ms = 30'000;   // until etcd answers for the first time
  std::int64_t connect_timeout_ms = 3'000;  // to one endpoint, TLS included
  std::int64_t request_timeout_ms = 5'000;  // one request; then the next endpoint is tried
  std::int64_t write_timeout_ms = 10'000;   // one write, with all it takes; barriers and old reads, too
  std::int64_t keepalive_ms = 10'000;       // of silence; after half of that again the connection is dead
  // One line whenever the store starts serving, or stops and why. On the store's thread; may be empty.
  std::function<void(const std::string& what)> on_change;
};

// "etcd://HOST[:PORT],HOST[:PORT],..." or "etcd+plain://...": sets `endpoints` and `plain`.
Result<EtcdStoreOptions> parse_etcd_target(std::string_view target);
// "HOST:PORT", with brackets around an IPv6 address.
std::string to_string(const EtcdEndpoint& endpoint);

// Waits until etcd has answered and the copy is loaded. Errors: kInvalidArgument (options, files; the prefix
// holds what this did not write, or a newer release did; etcd is too old), kPermissionDenied (certificates,
// etcd's own authentication), kUnavailable (nobody answers). Later, endpoints that fail are left for others;
// meanwhile reads answer from the copy, barriers and writes wait, and stats() tell.
//
// Reads are those of a copy in memory, fed by one etcd watch. Revisions count from the one that made the
// prefix; those of others who write to the same etcd are skipped. compact() compacts the whole etcd.
// A get or range of a revision that is older than the history in memory asks etcd and waits: not to be called
// from this store's callbacks.
Result<std::unique_ptr<Store>> open_etcd_store(EtcdStoreOptions options);

}  // namespace coxswain::store
