#include "libs/store/node/identity.h"

#include <algorithm>
#include <set>

#include "libs/common/base/strings.h"
#include "libs/store/node/members.h"

namespace coxswain::store {
namespace {

constexpr std::string_view kHead = "coxswain member 1";
constexpr std::size_t kLongestFile = 64 << 10;
constexpr std::size_t kLongestClusterId = 64;

std::string hex64(std::uint64_t value) {
  std::string out(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4)
    out[static_cast<std::size_t>(i)] = "0123456789abcdef"[value & 15];
  return out;
}

std::optional<std::uint64_t> parse_hex64(std::string_view text) {
  std::uint64_t value = 0;
  if (text.size() != 16) return std::nullopt;
  for (const char c : text) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value << 4 | digit;
  }
  return value;
}

Error damaged() {
  return make_error(ErrorCode::kCorruption,
                    "the file MEMBER is damaged; replace this member (coxctl store member replace)");
}

bool read_line(const std::vector<std::string>& words, Identity* identity) {
  if (words.size() == 2 && words[0] == "id") {
    identity->member = parse_uint64(words[1]).value_or(0);
    return identity->member != 0;
  }
  if (words.size() == 2 && words[0] == "cluster") {
    identity->cluster = words[1];
    return is_cluster_id(words[1]);
  }
  if (words.size() == 2 && words[0] == "data") {
    identity->data_id = parse_hex64(words[1]).value_or(0);
    return identity->data_id != 0;
  }
  if (words.size() == 2 && words[0] == "instead-of") {
    identity->instead_of = parse_uint64(words[1]).value_or(0);
    return identity->instead_of != 0;
  }
  if (words.size() != 3 || words[0] != "voter") return false;
  const auto id = parse_uint64(words[1]);
  if (!id.has_value() || *id == 0 || !check_peer_address(words[2]).ok()) return false;
  identity->voters.push_back({*id, words[2]});
  return true;
}

Result<void> check_members(const GroupStoreOptions& options) {
  std::set<std::uint64_t> ids;
  std::set<std::string> addresses;
  bool self = false;
  for (const GroupMember& member : options.members) {
    if (member.id == 0) return make_error(ErrorCode::kInvalidArgument, "a member's id must be 1 or more");
    COX_RETURN_IF_ERROR(check_peer_address(member.peer_address));
    if (!ids.insert(member.id).second || !addresses.insert(member.peer_address).second) {
      return make_error(ErrorCode::kInvalidArgument, "the list of members has " + std::to_string(member.id) +
                                                         "=" + member.peer_address +
                                                         " twice; ids and addresses must differ");
    }
    self = self || member.id == options.member_id;
  }
  if (ids.size() > raft::kMaxMembers) return make_error(ErrorCode::kInvalidArgument, "too many members");
  if (self) return {};
  return make_error(ErrorCode::kInvalidArgument, "the list of members has no member " +
                                                     std::to_string(options.member_id) + ", which this is");
}

}  // namespace

bool is_cluster_id(std::string_view text) {
  return !text.empty() && text.size() <= kLongestClusterId &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                  c == '_' || c == '.';
         });
}

std::string encode_identity(const Identity& identity) {
  std::string out = std::string(kHead) + "\nid " + std::to_string(identity.member) + "\ncluster " +
                    identity.cluster + "\ndata " + hex64(identity.data_id) + "\n";
  if (identity.instead_of != 0) out += "instead-of " + std::to_string(identity.instead_of) + "\n";
  for (const GroupMember& voter : identity.voters)
    out += "voter " + std::to_string(voter.id) + " " + voter.peer_address + "\n";
  return out;
}

Result<Identity> decode_identity(std::string_view text) {
  if (text.size() > kLongestFile || text.empty() || text.back() != '\n') return damaged();
  const std::vector<std::string> lines = split(text.substr(0, text.size() - 1), '\n');
  if (lines.front() != kHead) {
    if (lines.front().rfind("coxswain member ", 0) != 0) return damaged();
    return make_error(ErrorCode::kInvalidArgument,
                      "the file MEMBER was written by a newer release; run that release");
  }
  Identity identity;
  for (std::size_t i = 1; i < lines.size(); ++i)
    if (!read_line(split(lines[i], ' '), &identity)) return damaged();
  if (identity.member == 0 || identity.cluster.empty() || identity.data_id == 0) return damaged();
  return identity;
}

Result<Identity> plan_identity(const GroupStoreOptions& options, std::uint64_t data_id) {
  COX_RETURN_IF_ERROR(check_members(options));
  if (!options.cluster_id.empty() && !is_cluster_id(options.cluster_id)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a cluster's id must be 1 to 64 letters, digits, '-', '_' or '.'");
  }
  Identity identity{options.member_id, options.cluster_id, data_id, 0, {}};
  if (options.join) {
    if (options.cluster_id.empty()) {
      return make_error(ErrorCode::kInvalidArgument,
                        "to join a group its cluster id is needed: `coxctl store member add` prints it");
    }
    return identity;
  }
  identity.voters = options.members;
  std::sort(identity.voters.begin(), identity.voters.end(),
            [](const GroupMember& a, const GroupMember& b) { return a.id < b.id; });
  if (identity.cluster.empty()) {
    // The same for all who are started with the same list.
    std::string all;
    for (const GroupMember& voter : identity.voters)
      all += std::to_string(voter.id) + "=" + voter.peer_address + "\n";
    identity.cluster = hex64(fnv1a_64(all));
  }
  return identity;
}

Result<void> check_identity(const Identity& found, const GroupStoreOptions& options) {
  const auto refuse = [&](const std::string& why) {
    return make_error(ErrorCode::kInvalidArgument, options.local.dir + " " + why);
  };
  if (found.member != options.member_id) {
    return refuse("is the data directory of member " + std::to_string(found.member) + ", not of member " +
                  std::to_string(options.member_id) + "; give every member its own");
  }
  if (!options.cluster_id.empty() && found.cluster != options.cluster_id) {
    return refuse("belongs to cluster " + found.cluster + ", not to " + options.cluster_id +
                  "; choose another directory, or leave out --cluster-id");
  }
  return check_members(options);
}

Result<std::vector<GroupMember>> parse_initial_cluster(const std::string& text) {
  std::vector<GroupMember> members;
  for (const std::string& part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    const auto id = equals == std::string::npos ? std::nullopt : parse_uint64(part.substr(0, equals));
    if (!id.has_value() || *id == 0) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "--initial-cluster must look like 1=10.0.0.1:2380,2=10.0.0.2:2380, not \"" + text + "\"");
    }
    members.push_back({*id, part.substr(equals + 1)});
  }
  return members;
}

Result<std::optional<Identity>> load_identity(Env& env, const std::string& dir) {
  auto file = env.open(dir + "/MEMBER", false);
  if (!file.ok()) {
    if (file.error().code == ErrorCode::kNotFound) return std::optional<Identity>();
    return std::move(file).error();
  }
  COX_ASSIGN_OR_RETURN(const std::string text, (*file)->read_at(0, kLongestFile + 1));
  Result<Identity> identity = decode_identity(text);
  if (!identity.ok()) return make_error(identity.error().code, dir + ": " + identity.error().message);
  return std::optional<Identity>(*std::move(identity));
}

Result<void> save_identity(Env& env, const std::string& dir, const Identity& identity) {
  const std::string temporary = dir + "/MEMBER.new";
  {
    COX_ASSIGN_OR_RETURN(std::unique_ptr<File> file, env.open(temporary, true));
    COX_RETURN_IF_ERROR(file->truncate(0));
    COX_RETURN_IF_ERROR(file->write_at(0, encode_identity(identity)));
    COX_RETURN_IF_ERROR(file->sync());
  }
  COX_RETURN_IF_ERROR(env.rename(temporary, dir + "/MEMBER"));
  return env.sync_dir(dir);
}

}  // namespace coxswain::store
