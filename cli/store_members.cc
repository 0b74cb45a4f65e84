#include "cli/store_members.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <thread>

#include "cli/printer.h"

namespace coxswain::cli {
namespace {

constexpr std::size_t kMostMembers = 16;  // that are asked

std::string number_text(const json::Value& object, std::string_view key) {
  return object.find(key) == nullptr ? "-" : std::to_string(object.get_int(key));
}

void ask(MemberReport& report, const ConnectTo& connect) {
  if (report.endpoint.empty()) {
    report.error = "it has not said yet where its api-server is";
    return;
  }
  const auto api = connect(report.endpoint);
  if (!api.ok()) {
    report.error = api.error().message;
    return;
  }
  auto status = (*api)->raw("GET", "/store/v1/status");
  if (!status.ok())
    report.error = status.error().message;
  else if (status->get_string("member") != report.record.get_string("id"))
    report.error = "member " + status->get_string("member") + " answers there";
  else
    report.status = *std::move(status);
}

std::string role_of(const MemberReport& report) {
  if (report.reachable()) return report.status.get_string("role");
  return report.record.get_bool("votes") ? "voter" : "learner";
}

// How far its state is behind what is committed, in entries of the log.
std::string lag_of(const StoreMembers& group, const MemberReport& report) {
  std::int64_t committed = 0;
  std::int64_t last = 0;
  for (const MemberReport& one : group.members) {
    committed = std::max(committed, one.status.is_object() ? one.status.get_int("committedIndex") : 0);
    if (one.reachable() && one.status.get_string("role") == "leader") last = one.status.get_int("lastIndex");
  }
  if (report.reachable())
    return std::to_string(std::max<std::int64_t>(0, committed - report.status.get_int("appliedIndex")));
  // Only the leader knows what the others have.
  for (const MemberReport& one : group.members) {
    if (!one.reachable() || one.status.get_string("role") != "leader") continue;
    const json::Value* members = one.status.find("members");
    if (members == nullptr || !members->is_array()) continue;
    for (const json::Value& member : members->as_array()) {
      if (member.get_string("id") == report.record.get_string("id") && member.find("matchIndex") != nullptr)
        return std::to_string(std::max<std::int64_t>(0, last - member.get_int("matchIndex")));
    }
  }
  return "-";
}

struct Health {
  std::string word;
  std::string why;
};

Health health_of(const MemberReport& report) {
  if (!report.reachable()) return {"unreachable", report.error};
  const json::Value& status = report.status;
  if (status.get_bool("readOnly")) return {"read-only", status.get_string("readOnlyReason")};
  if (!status.get_bool("serving")) return {"not-serving", status.get_string("notServingReason")};
  if (const std::string alarm = status.get_string("alarm"); !alarm.empty()) return {"alarm", alarm};
  if (status.get_string("leader") == "0") return {"no-leader", "it knows of no leader: is there a quorum?"};
  return {"ok", ""};
}

}  // namespace

std::string human_bytes(std::int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

ConnectTo connector(const kubeconfig::Config& config, std::int64_t timeout_ms) {
  return [config, timeout_ms](const std::string& url) -> Result<std::shared_ptr<client::ApiClient>> {
    http::ClientOptions options;
    options.base_url = url;
    while (options.base_url.ends_with('/')) options.base_url.pop_back();
    options.ca_pem = config.ca_pem;
    options.certificate_pem = config.certificate_pem;
    options.key_pem = config.key_pem;
    options.bearer_token = config.token;
    options.insecure_skip_verify = config.insecure_skip_verify;
    options.user_agent = "coxctl";
    options.connect_timeout_ms = 3'000;
    COX_ASSIGN_OR_RETURN(auto transport, http::make_client(options));
    client::ApiClient::Options limits;
    limits.timeout_ms = timeout_ms;
    return std::make_shared<client::ApiClient>(std::shared_ptr<http::Client>(std::move(transport)), limits);
  };
}

client::ApiResult<StoreMembers> ask_members(client::ApiClient& api, const std::string& server,
                                            const ConnectTo& connect) {
  auto first = api.raw("GET", "/store/v1/status");
  if (!first.ok()) return std::move(first).error();
  StoreMembers group;
  group.first = *std::move(first);
  const json::Value* list = group.first.find("members");
  if (list == nullptr || !list->is_array()) return group;
  for (const json::Value& record : list->as_array()) {
    if (group.members.size() >= kMostMembers) break;
    if (record.get_string("role") == "removed" && !record.get_bool("inGroup")) continue;
    MemberReport report{record, record.get_string("clientUrl"), nullptr, ""};
    if (record.get_string("id") == group.first.get_string("member")) {
      report.status = group.first;
      if (report.endpoint.empty()) report.endpoint = server;
    }
    group.members.push_back(std::move(report));
  }
  std::vector<std::jthread> asking;
  for (MemberReport& report : group.members)
    if (!report.reachable()) asking.emplace_back([&report, &connect] { ask(report, connect); });
  asking.clear();  // waits
  return group;
}

std::string status_table(const StoreMembers& group) {
  std::vector<std::vector<std::string>> rows = {
      {"ID", "NAME", "ROLE", "TERM", "REVISION", "LAG", "DB-SIZE", "LOG-SIZE", "HEALTH", "ENDPOINT"}};
  std::string notes;
  for (const MemberReport& report : group.members) {
    const Health health = health_of(report);
    const auto size = [&](std::string_view key) {
      return report.reachable() ? human_bytes(report.status.get_int(key)) : std::string("-");
    };
    const json::Value none = json::Value::object();
    const json::Value& status = report.reachable() ? report.status : none;
    rows.push_back({report.record.get_string("id"), report.record.get_string("name"), role_of(report),
                    number_text(status, "term"), number_text(status, "revision"), lag_of(group, report),
                    size("stateBytes"), size("logBytes"), health.word,
                    report.endpoint.empty() ? "<unknown>" : report.endpoint});
    if (health.word != "ok")
      notes += "member " + report.record.get_string("id") + ": " + health.word + ": " + health.why + "\n";
  }
  return align(rows) + notes;
}

json::Value status_document(const StoreMembers& group) {
  json::Value members = json::Value::array();
  for (const MemberReport& report : group.members) {
    const Health health = health_of(report);
    json::Value member = json::Value::object({{"id", report.record.get_string("id")},
                                              {"name", report.record.get_string("name")},
                                              {"role", role_of(report)},
                                              {"endpoint", report.endpoint},
                                              {"reachable", report.reachable()},
                                              {"health", health.word}});
    if (!health.why.empty()) member.set("reason", health.why);
    if (report.reachable()) member.set("status", report.status);
    members.push_back(std::move(member));
  }
  return json::Value::object(
      {{"clusterId", group.first.get_string("clusterId")}, {"members", std::move(members)}});
}

std::string member_table(const json::Value& members) {
  std::vector<std::vector<std::string>> rows = {{"ID", "NAME", "ROLE", "PEER-ADDRESS", "CLIENT-URL"}};
  if (members.is_array()) {
    for (const json::Value& member : members.as_array()) {
      const std::string url = member.get_string("clientUrl");
      rows.push_back({member.get_string("id"), member.get_string("name"), member.get_string("role"),
                      member.get_string("peerAddress"), url.empty() ? "<unknown>" : url});
    }
  }
  return align(rows);
}

HashVerdict judge_hashes(const std::vector<HashAnswer>& answers, std::int64_t revision) {
  std::vector<std::vector<std::string>> rows = {{"ID", "NAME", "REVISION", "KEYS", "HASH"}};
  std::string notes;
  std::set<std::string> hashes;
  std::size_t asked = 0;
  for (const HashAnswer& one : answers) {
    const std::string id = one.record.get_string("id");
    const bool answered = one.answer.is_object();
    if (!answered) notes += "member " + id + ": " + one.error + "\n";
    const json::Value& answer = answered ? one.answer : json::Value::object();
    rows.push_back({id, one.record.get_string("name"), number_text(answer, "revision"),
                    number_text(answer, "keys"), answered ? answer.get_string("hash") : "-"});
    asked += answered ? 1 : 0;
    if (answered) hashes.insert(answer.get_string("hash"));
  }
  HashVerdict verdict{hashes.size() == 1 && asked == answers.size(), align(rows) + notes, ""};
  const std::string at = " at revision " + std::to_string(revision);
  if (verdict.equal) {
    verdict.said = "equal: " + std::to_string(asked) + (asked == 1 ? " member" : " members") + at;
  } else if (hashes.size() > 1) {
    verdict.said = "error: members differ" + at +
                   ": save a snapshot of each with --local, then replace the odd one with a new member";
  } else {
    verdict.said = "error: " + std::to_string(answers.size() - asked) + " of " +
                   std::to_string(answers.size()) + " members could not be asked" + at +
                   "; what they say is above";
  }
  return verdict;
}

std::string initial_cluster(const json::Value& members) {
  std::string out;
  if (!members.is_array()) return out;
  for (const json::Value& member : members.as_array()) {
    if (member.get_string("role") == "removed" || member.get_string("peerAddress").empty()) continue;
    out += (out.empty() ? "" : ",") + member.get_string("id") + "=" + member.get_string("peerAddress");
  }
  return out;
}

}  // namespace coxswain::cli
