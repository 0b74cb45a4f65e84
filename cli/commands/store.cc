#include "cli/commands/store.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/printer.h"
#include "cli/store_members.h"
#include "libs/common/base/strings.h"
#include "libs/store/node/replace.h"

namespace coxswain::cli {
namespace {

constexpr std::int64_t kChangeTimeoutMs = 90'000;  // the server gives up before
constexpr std::int64_t kHashTimeoutMs = 300'000;
constexpr int kHashTries = 20;  // while a member catches up; half a second between

struct Connection {
  kubeconfig::Config config;
  std::shared_ptr<client::ApiClient> api;
};

Result<Connection> open(const GlobalOptions& global, std::int64_t timeout_ms) {
  Connection connection;
  COX_ASSIGN_OR_RETURN(connection.config, kubeconfig::load(global.kubeconfig));
  client::ApiClient::Options limits;
  limits.timeout_ms = timeout_ms;
  COX_ASSIGN_OR_RETURN(connection.api,
                       client::ApiClient::from_kubeconfig(global.kubeconfig, "coxctl", limits));
  return connection;
}

int print(const json::Value& document, const std::string& output) {
  const Result<std::string> text = format_object(document, output, "");
  if (!text.ok()) return fail(text.error());
  std::fputs(text->c_str(), stdout);
  return 0;
}

// One request of a change; the answer on stdout is `say`'s.
int change(const GlobalOptions& global, std::string_view method, const std::string& path,
           const json::Value& body, const std::function<void(Connection&, const json::Value&)>& say) {
  auto connection = open(global, kChangeTimeoutMs);
  if (!connection.ok()) return fail(connection.error());
  auto answer = connection->api->raw(method, path, body.is_null() ? "" : json::write(body));
  if (!answer.ok()) return fail_store(answer.error());
  say(*connection, *answer);
  return 0;
}

std::string member_path(std::uint64_t id, const char* action = "") {
  return "/store/v1/members/" + std::to_string(id) + action;
}

// How a new member is started; `answer` is its record.
void say_flags(Connection& connection, const json::Value& answer) {
  const std::string id = answer.get_string("id");
  auto list = connection.api->raw("GET", "/store/v1/members");
  const json::Value* members = list.ok() ? list->find("members") : nullptr;
  if (members == nullptr) {
    std::printf("`coxctl store member list` shows the others, whose addresses its api-server needs\n");
    return;
  }
  std::string cluster = initial_cluster(*members);
  const std::string self = id + "=" + answer.get_string("peerAddress");
  if (("," + cluster + ",").find("," + self + ",") == std::string::npos) cluster += "," + self;
  std::printf(
      "Start its api-server with a new data directory that has the cluster's CA (pki/ca.crt and "
      "pki/ca.key):\n\n"
      "  api-server --data-dir DIR --member-id %s --initial-cluster %s \\\n"
      "    --initial-cluster-state existing --cluster-id %s\n",
      id.c_str(), cluster.c_str(), list->get_string("clusterId").c_str());
}

void say_added(Connection& connection, const json::Value& answer) {
  const std::string id = answer.get_string("id");
  std::printf("member %s (%s) is added as a learner: it gets everything and has no vote yet\n\n", id.c_str(),
              answer.get_string("name").c_str());
  say_flags(connection, answer);
  std::printf(
      "\nWhen `coxctl store status` shows it without lag, give it a vote: coxctl store member promote %s\n",
      id.c_str());
}

Result<std::string> cluster_of(Connection& connection) {
  auto list = connection.api->raw("GET", "/store/v1/members");
  if (!list.ok()) return make_error(ErrorCode::kUnavailable, list.error().message);
  return list->get_string("clusterId");
}

// The data directory of the member that is replaced, if it is here.
struct ReplacedData {
  store::ReplacedMember member;
  std::unique_ptr<store::FileLock> lock;
};

// Looked at before anything is asked for: what cannot be replaced is not removed either.
Result<ReplacedData> prepare_replaced(Connection& connection, const StoreOptions& options) {
  ReplacedData data;
  COX_ASSIGN_OR_RETURN(data.member.cluster, cluster_of(connection));
  data.member.dir = options.data_dir + "/store";
  data.member.old = options.member;
  COX_RETURN_IF_ERROR(store::posix_env().list(options.data_dir));
  COX_ASSIGN_OR_RETURN(data.lock, store::lock_replaced(store::posix_env(), data.member));
  return data;
}

int replace_here(const ReplacedData& data, const StoreOptions& options, const json::Value& answer) {
  const std::uint64_t fresh = parse_uint64(answer.get_string("id")).value_or(0);
  const auto kept = store::replace_directory(store::posix_env(), data.member, fresh);
  if (!kept.ok()) {
    return fail(make_error(kept.error().code, kept.error().message + "; member " + std::to_string(fresh) +
                                                  " is to take the place: mend that, then try again"));
  }
  if (!kept->empty())
    std::printf("its old data is in %s; delete it when nobody wants to look at it any more\n", kept->c_str());
  std::printf(
      "Start its api-server with the flags of before: --data-dir %s --member-id ... It gets everything from "
      "the others, then votes.\n",
      options.data_dir.c_str());
  return 0;
}

// A member that has not come to the revision yet gets a moment.
HashAnswer ask_hash(const MemberReport& member, const ConnectTo& connect, std::int64_t revision) {
  HashAnswer out{member.record, nullptr, member.error};
  if (!member.reachable()) return out;
  const auto api = connect(member.endpoint);
  if (!api.ok()) {
    out.error = api.error().message;
    return out;
  }
  for (int i = 0; i < kHashTries; ++i) {
    auto answer = (*api)->raw("GET", "/store/v1/hash?revision=" + std::to_string(revision));
    if (answer.ok()) {
      out.answer = *std::move(answer);
      return out;
    }
    out.error = answer.error().message;
    if (answer.error().code != 504 && answer.error().code != 429) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  return out;
}

}  // namespace

int fail_store(const api::Status& status) {
  const int code = fail(status);
  const char* hint = nullptr;
  if (client::is_connection_error(status))
    hint =
        "is the api-server up? any other member's kubeconfig will do: --kubeconfig DIR/kubeconfig/admin.conf";
  else if (status.code == 401 || status.code == 403)
    hint = "use the admin's kubeconfig: --kubeconfig DIR/kubeconfig/admin.conf";
  else if (status.code == 404 && status.kind.empty())
    hint = "this server has no /store/v1: is it an api-server of Coxswain, and not an older one?";
  else if (status.code == 503)
    hint = "`coxctl store status` shows who is there and who leads; then try again";
  else if (status.code == 504)
    hint = "it may still come to pass: look with `coxctl store status` before you try again";
  else if (status.code == 410)
    hint = "choose a newer revision; `coxctl store status -o json` shows what is kept";
  if (hint != nullptr) std::fprintf(stderr, "%s\n", hint);
  return code;
}

int run_store_status(const GlobalOptions& global, const StoreOptions& options) {
  auto connection = open(global, 15'000);
  if (!connection.ok()) return fail(connection.error());
  const auto group =
      ask_members(*connection->api, connection->config.server, connector(connection->config, kAskTimeoutMs));
  if (!group.ok()) return fail_store(group.error());
  if (!options.output.empty()) return print(status_document(*group), options.output);
  std::fputs(status_table(*group).c_str(), stdout);
  return 0;
}

int run_member_list(const GlobalOptions& global, const StoreOptions& options) {
  auto connection = open(global, 15'000);
  if (!connection.ok()) return fail(connection.error());
  auto answer = connection->api->raw("GET", "/store/v1/members");
  if (!answer.ok()) return fail_store(answer.error());
  if (!options.output.empty()) return print(*answer, options.output);
  const json::Value* members = answer->find("members");
  std::fputs(member_table(members != nullptr ? *members : json::Value()).c_str(), stdout);
  return 0;
}

int run_member_add(const GlobalOptions& global, const StoreOptions& options) {
  return change(global, "POST", "/store/v1/members",
                json::Value::object({{"name", options.name}, {"peerAddress", options.peer_address}}),
                say_added);
}

int run_member_promote(const GlobalOptions& global, const StoreOptions& options) {
  return change(global, "POST", member_path(options.member, "/promote"), nullptr,
                [](Connection&, const json::Value& answer) {
                  std::printf("member %s (%s) has a vote now\n", answer.get_string("id").c_str(),
                              answer.get_string("name").c_str());
                });
}

int run_member_remove(const GlobalOptions& global, const StoreOptions& options) {
  return change(
      global, "DELETE", member_path(options.member), nullptr, [](Connection&, const json::Value& answer) {
        std::printf(
            "member %s (%s) is removed, for good: stop its api-server and delete its data directory\n",
            answer.get_string("id").c_str(), answer.get_string("name").c_str());
      });
}

int run_member_replace(const GlobalOptions& global, const StoreOptions& options) {
  auto connection = open(global, kChangeTimeoutMs);
  if (!connection.ok()) return fail(connection.error());
  Result<ReplacedData> data = ReplacedData();
  if (!options.data_dir.empty()) data = prepare_replaced(*connection, options);
  if (!data.ok()) return fail(data.error());
  const auto answer = connection->api->raw("POST", member_path(options.member, "/replace"));
  if (!answer.ok()) return fail_store(answer.error());
  std::printf("member %llu (%s) is out, and member %s takes its place\n",
              static_cast<unsigned long long>(options.member), answer->get_string("name").c_str(),
              answer->get_string("id").c_str());
  if (!options.data_dir.empty()) return replace_here(*data, options, *answer);
  say_flags(*connection, *answer);
  std::printf("\nIt votes as soon as it has everything.\n");
  return 0;
}

int run_transfer_leader(const GlobalOptions& global, const StoreOptions& options) {
  json::Value body = json::Value::object();
  if (options.member != 0) body.set("member", std::to_string(options.member));
  return change(global, "POST", "/store/v1/leader", body, [](Connection&, const json::Value& answer) {
    std::printf("member %s leads now\n", answer.get_string("leader").c_str());
  });
}

int run_store_compact(const GlobalOptions& global, const StoreOptions& options) {
  return change(global, "POST", "/store/v1/compact", json::Value::object({{"revision", options.revision}}),
                [](Connection&, const json::Value& answer) {
                  std::printf("compacted to revision %lld; the store is at %lld\n",
                              static_cast<long long>(answer.get_int("compactedRevision")),
                              static_cast<long long>(answer.get_int("revision")));
                });
}

int run_store_hash(const GlobalOptions& global, const StoreOptions& options) {
  auto connection = open(global, 15'000);
  if (!connection.ok()) return fail(connection.error());
  const auto group =
      ask_members(*connection->api, connection->config.server, connector(connection->config, kAskTimeoutMs));
  if (!group.ok()) return fail_store(group.error());
  const std::int64_t revision = options.revision > 0 ? options.revision : group->first.get_int("revision");
  std::vector<HashAnswer> answers(group->members.size());
  {
    const ConnectTo connect = connector(connection->config, kHashTimeoutMs);
    std::vector<std::jthread> asking;
    for (std::size_t i = 0; i < answers.size(); ++i)
      asking.emplace_back([&, i] { answers[i] = ask_hash(group->members[i], connect, revision); });
  }
  const HashVerdict verdict = judge_hashes(answers, revision);
  std::fputs(verdict.table.c_str(), stdout);
  std::fprintf(verdict.equal ? stdout : stderr, "%s\n", verdict.said.c_str());
  return verdict.equal ? 0 : 1;
}

}  // namespace coxswain::cli
