#include "libs/registry/store_admin.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "libs/common/base/strings.h"
#include "libs/store/node/members.h"

namespace coxswain::registry {
namespace {

constexpr std::string_view kRoot = "/store/v1";
constexpr std::int64_t kPatienceMs = 60'000;  // for a change that the store does not finish
constexpr std::size_t kMaxBodyBytes = 64 * 1024;

// ---- what is shown ----

const char* role_name(store::MemberRole role) {
  switch (role) {
    case store::MemberRole::kLearner:
      return "learner";
    case store::MemberRole::kVoter:
      return "voter";
    case store::MemberRole::kRemoved:
      return "removed";
  }
  return "";
}

json::Value record_json(const store::MemberRecord& record) {
  return json::Value::object({{"id", std::to_string(record.id)},
                              {"name", record.name},
                              {"role", role_name(record.role)},
                              {"peerAddress", record.peer_address},
                              {"clientUrl", record.client_url},
                              {"dataId", std::to_string(record.data_id)}});
}

json::Value member_json(const store::MemberView& view) {
  json::Value member = record_json(view.record);
  member.set("inGroup", view.in_group);
  member.set("votes", view.votes);
  if (view.match_known) member.set("matchIndex", view.match);
  if (!view.hash.empty()) member.set("hash", view.hash);
  if (view.differs) member.set("differs", true);
  return member;
}

json::Value members_json(const store::GroupStatus& status) {
  json::Value members = json::Value::array();
  for (const store::MemberView& view : status.members) members.push_back(member_json(view));
  return members;
}

// What this member is in its group.
const char* own_role(const store::GroupStatus& status) {
  if (status.leader == status.member) return "leader";
  for (const store::MemberView& view : status.members) {
    if (view.record.id != status.member) continue;
    return view.votes ? "follower" : view.in_group ? "learner" : "none";
  }
  return "none";
}

json::Value status_json(const store::GroupStatus& status) {
  const store::Stats& stats = status.stats;
  return json::Value::object({{"clusterId", status.cluster_id},
                              {"member", std::to_string(status.member)},
                              {"role", own_role(status)},
                              {"leader", std::to_string(status.leader)},
                              {"term", status.term},
                              {"revision", stats.revision},
                              {"compactedRevision", stats.compacted},
                              {"keys", stats.keys},
                              {"watchers", stats.watchers},
                              {"lastIndex", status.last_index},
                              {"committedIndex", status.committed_index},
                              {"appliedIndex", status.applied_index},
                              {"logFirstIndex", status.log_first_index},
                              {"logBytes", status.log_bytes},
                              {"stateBytes", status.state_bytes},
                              {"serving", stats.serving},
                              {"notServingReason", stats.not_serving_reason},
                              {"readOnly", stats.read_only},
                              {"readOnlyReason", stats.read_only_reason},
                              {"alarm", stats.alarm},
                              {"checkIndex", status.check_index},
                              {"checkRevision", status.check_revision},
                              {"agreedHash", status.agreed_hash},
                              {"members", members_json(status)}});
}

// ---- what is asked for ----

api::ApiResult<json::Value> read_body(const Call& call, std::initializer_list<std::string_view> fields) {
  const std::string& body = call.request().body;
  if (body.size() > kMaxBodyBytes) return api::request_too_large("the body may have 64 KiB");
  if (trim(body).empty()) return json::Value::object();
  Result<json::Value> parsed = json::parse(body);
  if (!parsed.ok()) return api::bad_request("the body is not JSON: " + parsed.error().message);
  if (!parsed->is_object()) return api::bad_request("the body must be a JSON object");
  for (const json::Member& member : parsed->as_object()) {
    if (std::find(fields.begin(), fields.end(), member.first) == fields.end())
      return bad_store_field("StoreRequest", member.first, "FieldValueForbidden", "unknown field");
  }
  return *std::move(parsed);
}

// A positive number, as one or as decimal text. None: the field is not there.
api::ApiResult<std::optional<std::uint64_t>> read_number(const json::Value& body, const std::string& field) {
  const json::Value* value = body.find(field);
  if (value == nullptr || value->is_null()) return std::optional<std::uint64_t>();
  std::optional<std::uint64_t> number;
  if (value->is_string()) number = parse_uint64(value->as_string());
  if (value->type() == json::Type::kInt && value->as_int() > 0)
    number = static_cast<std::uint64_t>(value->as_int());
  if (!number.has_value() || *number == 0 || *number > static_cast<std::uint64_t>(INT64_MAX)) {
    return bad_store_field("StoreRequest", field, "FieldValueInvalid",
                           "Invalid value: must be a positive number");
  }
  return number;
}

api::ApiResult<std::string> read_text(const json::Value& body, const std::string& field,
                                      Result<void> (*check)(std::string_view)) {
  const json::Value* value = body.find(field);
  if (value == nullptr || value->is_null())
    return bad_store_field("StoreMember", field, "FieldValueRequired", "Required value");
  if (!value->is_string())
    return bad_store_field("StoreMember", field, "FieldValueTypeInvalid", "Invalid value: must be a string");
  if (const Result<void> valid = check(value->as_string()); !valid.ok())
    return bad_store_field("StoreMember", field, "FieldValueInvalid",
                           "Invalid value: " + valid.error().message);
  return value->as_string();
}

// ---- how it is answered ----

// `id`: of the member that it is about; empty: none in particular.
api::Status status_of_change(const Error& error, const std::string& id) {
  if (id.empty() && error.code == ErrorCode::kConflict) return {409, "Conflict", error.message};
  if (id.empty() && error.code == ErrorCode::kNotFound) return {404, "NotFound", error.message};
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return api::invalid({"", "StoreMember"}, id, {{"FieldValueInvalid", error.message, ""}});
    case ErrorCode::kNotFound: {
      api::Status status = api::not_found({"", "members"}, id);
      status.message += ": " + error.message;
      return status;
    }
    case ErrorCode::kConflict:
      return api::conflict({"", "members"}, id, error.message);
    default:
      return status_of_store_error(error);
  }
}

using Answer = std::function<void(const CallPtr&)>;

// The store answers on its own thread, and perhaps too late: what comes first is sent, from the connection's.
std::function<void(Answer)> answer_later(const CallPtr& call) {
  auto once = std::make_shared<std::atomic<bool>>(false);
  call->exchange->post(kPatienceMs, [weak = std::weak_ptr<Call>(call), once] {
    const CallPtr waiting = weak.lock();
    if (waiting == nullptr || once->exchange(true)) return;
    respond_status(waiting,
                   api::timeout("the change is asked for and not done yet; see /store/v1/members", 1));
  });
  return [call, once](Answer answer) {
    if (once->exchange(true)) return;
    call->exchange->post(0, [call, answer = std::move(answer)] { answer(call); });
  };
}

store::StoreAdmin::MemberDone respond_member(const CallPtr& call, int code, const std::string& id) {
  return [later = answer_later(call), code, id](Result<store::MemberRecord> result) {
    later([code, id, result = std::move(result)](const CallPtr& waiting) {
      if (!result.ok()) return respond_status(waiting, status_of_change(result.error(), id));
      respond_json(waiting, code, record_json(*result));
    });
  };
}

// ---- the routes ----

struct Target {
  const CallPtr& call;
  store::StoreAdmin& admin;
  std::uint64_t id = 0;  // of a member, where the path has one
};

void get_status(const Target& target) { respond_json(target.call, 200, status_json(target.admin.status())); }

void get_members(const Target& target) {
  const store::GroupStatus status = target.admin.status();
  respond_json(target.call, 200,
               json::Value::object({{"clusterId", status.cluster_id}, {"members", members_json(status)}}));
}

void add_member(const Target& target) {
  const api::ApiResult<json::Value> body = read_body(*target.call, {"name", "peerAddress"});
  if (!body.ok()) return respond_status(target.call, body.error());
  api::ApiResult<std::string> name = read_text(*body, "name", store::check_member_name);
  if (!name.ok()) return respond_status(target.call, name.error());
  api::ApiResult<std::string> address = read_text(*body, "peerAddress", store::check_peer_address);
  if (!address.ok()) return respond_status(target.call, address.error());
  target.admin.add_member(*name, *address, respond_member(target.call, 201, *name));
}

void promote_member(const Target& target) {
  target.admin.promote_member(target.id, respond_member(target.call, 200, std::to_string(target.id)));
}

void remove_member(const Target& target) {
  target.admin.remove_member(target.id, respond_member(target.call, 200, std::to_string(target.id)));
}

void replace_member(const Target& target) {
  target.admin.replace_member(target.id, respond_member(target.call, 201, std::to_string(target.id)));
}

void transfer_leader(const Target& target) {
  const api::ApiResult<json::Value> body = read_body(*target.call, {"member"});
  if (!body.ok()) return respond_status(target.call, body.error());
  const api::ApiResult<std::optional<std::uint64_t>> member = read_number(*body, "member");
  if (!member.ok()) return respond_status(target.call, member.error());
  const std::uint64_t id = member->value_or(0);
  target.admin.transfer_leader(id, [later = answer_later(target.call), id](Result<std::uint64_t> leader) {
    later([id, leader = std::move(leader)](const CallPtr& call) {
      const std::string about = id == 0 ? "" : std::to_string(id);
      if (!leader.ok()) return respond_status(call, status_of_change(leader.error(), about));
      respond_json(call, 200, json::Value::object({{"leader", std::to_string(*leader)}}));
    });
  });
}

void compact(const Target& target) {
  const api::ApiResult<json::Value> body = read_body(*target.call, {"revision"});
  if (!body.ok()) return respond_status(target.call, body.error());
  const api::ApiResult<std::optional<std::uint64_t>> revision = read_number(*body, "revision");
  if (!revision.ok()) return respond_status(target.call, revision.error());
  if (!revision->has_value()) {
    return respond_status(
        target.call, bad_store_field("StoreRequest", "revision", "FieldValueRequired", "Required value"));
  }
  handle_store_compact(target.call, static_cast<std::int64_t>(**revision));
}

struct Route {
  std::string_view method;
  std::string_view path;  // below kRoot; {id} is a member's
  void (*handler)(const Target& target);
};
constexpr Route kRoutes[] = {
    {"GET", "status", get_status},
    {"GET", "members", get_members},
    {"POST", "members", add_member},
    {"DELETE", "members/{id}", remove_member},
    {"POST", "members/{id}/promote", promote_member},
    {"POST", "members/{id}/replace", replace_member},
    {"POST", "leader", transfer_leader},
    {"POST", "compact", compact},
    {"GET", "hash", [](const Target& target) { handle_store_hash(target.call); }},
    {"GET", "snapshot", [](const Target& target) { handle_store_snapshot(target.call); }},
};

bool matches(const std::vector<std::string>& path, std::string_view pattern, std::string* id) {
  const std::vector<std::string> wanted = split(pattern, '/');
  if (path.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (wanted[i] == "{id}")
      *id = path[i];
    else if (wanted[i] != path[i])
      return false;
  }
  return true;
}

void route(const CallPtr& call, std::string_view below) {
  const std::vector<std::string> path = split(below, '/');
  const http::Request& request = call->request();
  const Route* found = nullptr;
  bool known = false;
  std::string id;
  for (const Route& route : kRoutes) {
    if (!matches(path, route.path, &id)) continue;
    known = true;
    if (route.method == request.method) found = &route;
  }
  if (!known) return respond_status(call, api::page_not_found());
  if (found == nullptr)
    return respond_status(call, api::method_not_allowed({"", "store/v1/" + path[0]}, request.method));
  store::StoreAdmin* admin = call->core.options.store_admin;
  if (admin == nullptr) {
    return respond_status(call, {501, "NotImplemented",
                                 "the store of this api-server is not the built-in one, and has tools of its "
                                 "own: etcdctl, if it is an etcd"});
  }
  const std::optional<std::uint64_t> number = id.empty() ? std::nullopt : parse_uint64(id);
  if (!id.empty() && (!number.has_value() || *number == 0))
    return respond_status(call, api::not_found({"", "members"}, id.substr(0, 64)));
  found->handler({call, *admin, number.value_or(0)});
}

}  // namespace

api::Status bad_store_field(const std::string& what, const std::string& field, const std::string& reason,
                            const std::string& message) {
  return api::invalid({"", what}, "", {{reason, message, field}});
}

bool handle_store_admin(const CallPtr& call) {
  std::string_view path = call->request().path;
  if (path != kRoot && path.rfind(std::string(kRoot) + "/", 0) != 0) return false;
  const std::vector<std::string>& groups = call->user.groups;
  if (std::find(groups.begin(), groups.end(), "system:masters") == groups.end()) {
    respond_status(call, api::forbidden({"", "store"}, "",
                                        "user \"" + call->user.name +
                                            "\" is not of the group system:masters, which administers it"));
    return true;
  }
  while (path.size() > kRoot.size() && path.back() == '/') path.remove_suffix(1);
  route(call, path.size() > kRoot.size() ? path.substr(kRoot.size() + 1) : std::string_view());
  return true;
}

}  // namespace coxswain::registry
