// What the members of the store's group say of themselves, side by side: collected over HTTP, shown as a
// table.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "libs/client/api_client.h"
#include "libs/common/kubeconfig/kubeconfig.h"

namespace coxswain::cli {

// One member as the one that was asked first knows it, and what it says itself.
struct MemberReport {
  json::Value record;    // of the first one's list; id, name, role, ...
  std::string endpoint;  // its api-server; "": not known
  json::Value status;    // GET /store/v1/status; null: it gave none...
  std::string error;     // ...because of this
  bool reachable() const { return status.is_object(); }
};

// The member that `api` reaches first, then all that it knows of, at the same time. Removed ones are left
// out.
struct StoreMembers {
  json::Value first;  // the first one's status
  std::vector<MemberReport> members;
};
using ConnectTo = std::function<Result<std::shared_ptr<client::ApiClient>>(const std::string& url)>;
client::ApiResult<StoreMembers> ask_members(client::ApiClient& api, const std::string& server,
                                            const ConnectTo& connect);

// With the credentials of `config`.
ConnectTo connector(const kubeconfig::Config& config, std::int64_t timeout_ms);
// A member that hangs must not hold up the others.
inline constexpr std::int64_t kAskTimeoutMs = 5'000;

// ID NAME ROLE TERM REVISION LAG DB-SIZE LOG-SIZE HEALTH ENDPOINT, and a line for whatever is wrong.
std::string status_table(const StoreMembers& group);
json::Value status_document(const StoreMembers& group);  // the same for programs
// ID NAME ROLE PEER-ADDRESS CLIENT-URL
std::string member_table(const json::Value& members);

// What a member says of everything as of one revision (GET /store/v1/hash), or why it says nothing.
struct HashAnswer {
  json::Value record;  // of the member
  json::Value answer;  // null: none...
  std::string error;   // ...because of this
};
struct HashVerdict {
  bool equal = false;  // all were asked and have the same
  std::string table;   // ID NAME REVISION KEYS HASH, and a line for each that could not be asked
  std::string said;    // one line
};
HashVerdict judge_hashes(const std::vector<HashAnswer>& answers, std::int64_t revision);

std::string human_bytes(std::int64_t bytes);  // "12.3 MiB"
// 1=HOST:PORT,2=HOST:PORT of all members of the group and those to come.
std::string initial_cluster(const json::Value& members);

}  // namespace coxswain::cli
