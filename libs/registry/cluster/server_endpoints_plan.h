// Which api-servers live, and what the endpoints of the Service `kubernetes` must be then. Pure.
//
// Every server keeps a lease: a key that it writes anew every 10 s. Nobody's clock is compared with anybody
// else's: a server is taken for dead when, on the observer's clock, its lease has not moved for 15 s. (The
// periods are those of Kubernetes' lease endpoint reconciler.)
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/json/json.h"
#include "libs/store/store.h"

namespace coxswain::registry {

inline constexpr std::int64_t kServerLeaseTtlMs = 15'000;
inline constexpr std::int64_t kServerLeaseRenewMs = 10'000;
inline constexpr std::string_view kServerLeasePrefix = "/coxswain/masterleases/";

struct ServerAddress {
  std::string ip;
  std::int32_t port = 0;
  auto operator<=>(const ServerAddress&) const = default;
};
std::string server_lease_key(const ServerAddress& server);
std::optional<ServerAddress> parse_server_lease_key(std::string_view key);

struct ServerLease {
  ServerAddress server;
  store::Revision renewed = 0;  // the revision of its last renewal: moves with each one
};

// What one observer remembers from look to look.
class ServerLeases {
 public:
  struct Outcome {
    std::vector<ServerAddress> live;   // sorted; the observer always among them
    std::vector<ServerLease> expired;  // to be removed, unless they move before
    std::int64_t next_expiry_ms = 0;   // when the next one may expire; 0: none
  };
  // After a time without looks nothing is known of what moved meanwhile: every lease gets its whole time
  // again. So does one that is seen first.
  Outcome look(const ServerAddress& observer, const std::vector<ServerLease>& leases, std::int64_t now_ms);

 private:
  struct Seen {
    store::Revision renewed = 0;
    std::int64_t since_ms = 0;
  };
  std::map<ServerAddress, Seen> seen_;
  std::optional<std::int64_t> looked_ms_;
};

struct ObjectChange {
  enum class Type { kCreate, kReplace, kDelete };
  Type type = Type::kCreate;
  std::string collection;  // "/api/v1/namespaces/default/endpoints"
  std::string name;
  json::Value body;  // kDelete: the DeleteOptions
};

// What brings the objects to the state in which they lead to all of `live`. `endpoints`: as it is, null when
// there is none; `slices`: those of the Service. Replaced is only what is as it was read. Endpoints have one
// subset for each port, and there is one slice for each port: `kubernetes` has the lowest, the others carry
// theirs in the name. Nobody alive: nothing to do, there is no better place to lead to.
std::vector<ObjectChange> plan_server_endpoints(std::vector<ServerAddress> live, const json::Value& endpoints,
                                                const std::vector<json::Value>& slices);

}  // namespace coxswain::registry
