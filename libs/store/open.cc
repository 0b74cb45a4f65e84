#include "libs/store/open.h"

#include <malloc.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "libs/store/node/format.h"
#include "libs/store/node/identity.h"
#include "libs/store/node/node.h"
#include "libs/store/peer/tls_transport.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kKeptBytes = 16u << 20;  // of entries in memory, for members that are a little behind
constexpr int kElectionTicks = 20;

Clock* clock_of(Clock* clock) { return clock != nullptr ? clock : &system_clock(); }

MemberOptions alone(const StoreLimits& limits, Clock* clock) {
  MemberOptions options;
  options.raft.id = 1;
  options.raft.seed = 1;
  options.initial.voters = {1};
  options.limits = limits;
  options.clock = clock_of(clock);
  return options;
}

// The directory, for this process alone.
Result<std::unique_ptr<FileLock>> lock_directory(Env& env, const std::string& dir) {
  COX_RETURN_IF_ERROR(env.make_dir(dir));
  const std::size_t last = dir.find_last_not_of('/');
  const std::size_t slash = last == std::string::npos ? std::string::npos : dir.rfind('/', last);
  COX_RETURN_IF_ERROR(env.sync_dir(slash == std::string::npos ? "." : dir.substr(0, slash + 1)));
  return env.lock(dir + "/LOCK");
}

// Of today's format, with its engine open.
Result<void> open_directory(Env& env, const LocalStoreOptions& options, MemberOptions* member) {
  COX_ASSIGN_OR_RETURN(const std::int64_t format, check_format(env, options.dir));
  auto engine = open_rocksdb_engine(options.dir + "/state");
  if (!engine.ok()) {
    Error error = std::move(engine).error();
    if (error.code == ErrorCode::kCorruption)
      error.message += "; move " + options.dir + " away and restore a backup";
    return error;
  }
  COX_RETURN_IF_ERROR(env.sync_dir(options.dir));
  member->engine = std::move(engine).value();
  member->env = &env;
  member->log_dir = log_dir(options.dir);
  member->log_segment_bytes = options.log_segment_bytes;
  member->checkpoint_log_bytes = options.checkpoint_log_bytes;
  return prepare_log(env, options.dir, format, options.log_segment_bytes, member->engine);
}

Result<std::unique_ptr<Store>> open_and_trim(NodeOptions node) {
  auto store = open_node(std::move(node));
  ::malloc_trim(0);  // recovery reads whole log segments: 16 MiB that nobody needs again
  return store;
}

// ---- a member ----

// Who it is is settled before anything else is written.
Result<Identity> settle_identity(Env& env, const GroupStoreOptions& options) {
  COX_ASSIGN_OR_RETURN(const std::optional<Identity> found, load_identity(env, options.local.dir));
  if (found.has_value()) {
    COX_RETURN_IF_ERROR(check_identity(*found, options));
    return *found;
  }
  COX_ASSIGN_OR_RETURN(Identity identity, plan_identity(options, system_random().next() | 1));
  // Nobody else has to come to the same id, and the next group at this address (a restored one) is another.
  if (!options.join && options.members.size() == 1 && options.cluster_id.empty())
    identity.cluster = make_uuid(system_random());
  COX_ASSIGN_OR_RETURN(const std::vector<std::string> names, env.list(options.local.dir));
  const bool alone_before = std::find(names.begin(), names.end(), "FORMAT") != names.end();
  if (alone_before && (options.join || options.members.size() != 1 || options.member_id != 1)) {
    return make_error(ErrorCode::kInvalidArgument,
                      options.local.dir +
                          " has the store of an api-server that was alone; start it with --member-id 1 "
                          "--initial-cluster 1=HOST:PORT, then add the other members to it");
  }
  COX_RETURN_IF_ERROR(save_identity(env, options.local.dir, identity));
  return identity;
}

std::vector<MemberRecord> first_records(const GroupStoreOptions& options) {
  std::vector<MemberRecord> records;
  for (const GroupMember& member : options.members) {
    MemberRecord record;
    record.id = member.id;
    record.peer_address = member.peer_address;
    records.push_back(std::move(record));
  }
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return records;
}

MemberRecord self_record(const GroupStoreOptions& options, const Identity& identity) {
  MemberRecord self;
  self.id = options.member_id;
  self.name = options.name.empty() ? "member-" + std::to_string(options.member_id) : options.name;
  self.client_url = options.client_url;
  self.data_id = identity.data_id;
  for (const GroupMember& member : options.members)
    if (member.id == self.id) self.peer_address = member.peer_address;
  return self;
}

PeerAddress split_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  return {address.substr(0, colon), static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1)))};
}

std::map<raft::MemberId, PeerAddress> addresses(const std::vector<MemberRecord>& records) {
  std::map<raft::MemberId, PeerAddress> out;
  for (const MemberRecord& record : records) {
    if (record.role != MemberRole::kRemoved && check_peer_address(record.peer_address).ok())
      out[record.id] = split_address(record.peer_address);
  }
  return out;
}

// What is refused is tried again several times a second: it is said again after a while only.
class Seldom {
 public:
  bool due(const std::string& what) {
    constexpr std::size_t kHead = 60;  // numbers behind it may change
    constexpr std::size_t kMost = 64;
    constexpr std::int64_t kPauseMs = 10'000;
    const std::int64_t now_ms = system_clock().now_ms();
    const std::lock_guard lock(mutex_);
    if (said_ms_.size() >= kMost) said_ms_.clear();
    const auto [at, fresh] = said_ms_.try_emplace(what.substr(0, kHead), now_ms);
    if (!fresh && now_ms - at->second < kPauseMs) return false;
    at->second = now_ms;
    return true;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::int64_t> said_ms_;  // guarded by mutex_
};

Result<std::unique_ptr<TlsTransport>> open_transport(const GroupStoreOptions& options,
                                                     const Identity& identity, const MemberRecord& self,
                                                     const std::shared_ptr<Roster>& roster) {
  PeerOptions peer;
  peer.id = self.id;
  peer.cluster = identity.cluster;
  peer.data_id = identity.data_id;
  peer.listen_address = options.listen_address;
  peer.port = split_address(self.peer_address).port;
  peer.mail_silence_ms = options.election_timeout_ms;
  peer.clock = clock_of(options.local.clock);
  peer.tls = {options.ca_path, options.certificate_path, options.key_path};
  peer.admit = [roster](raft::MemberId id, std::uint64_t data_id) { return roster->admit(id, data_id); };
  peer.on_refusal = [roster, tell = options.on_event,
                     seldom = std::make_shared<Seldom>()](const std::string& why) {
    roster->set_refusal(why);
    if (tell && seldom->due(why)) tell(why);
  };
  COX_ASSIGN_OR_RETURN(auto transport, TlsTransport::open(std::move(peer)));
  transport->set_peers(addresses(roster->records()));
  return transport;
}

// Whose data is damaged gets it from the others.
Error with_way_out(Error error, const GroupStoreOptions& options) {
  if (error.code == ErrorCode::kCorruption) {
    error.message += ". With the other members: coxctl store member replace " +
                     std::to_string(options.member_id) + " --data-dir " +
                     options.local.dir.substr(0, options.local.dir.rfind('/'));
  }
  return error;
}

}  // namespace

Result<std::unique_ptr<Store>> open_memory_store(MemoryStoreOptions options) {
  NodeOptions node;
  node.member = alone(options.limits, options.clock);
  node.self = {1, MemberRole::kVoter, "member-1", "", "", 0};
  node.member.engine = open_memory_engine();
  return open_node(std::move(node));
}

Result<std::unique_ptr<Store>> open_local_store(LocalStoreOptions options) {
  Env& env = options.env != nullptr ? *options.env : posix_env();
  NodeOptions node;
  node.member = alone(options.limits, options.clock);
  node.self = {1, MemberRole::kVoter, "member-1", "", "", 0};
  COX_ASSIGN_OR_RETURN(node.lock, lock_directory(env, options.dir));
  COX_ASSIGN_OR_RETURN(const std::optional<Identity> identity, load_identity(env, options.dir));
  if (identity.has_value()) {
    return make_error(ErrorCode::kInvalidArgument,
                      options.dir + " is the data directory of member " + std::to_string(identity->member) +
                          " of a group; start it with --member-id " + std::to_string(identity->member) +
                          " and --initial-cluster");
  }
  COX_RETURN_IF_ERROR(open_directory(env, options, &node.member));
  return open_and_trim(std::move(node));
}

Result<void> follow_replacement(GroupStoreOptions* options) {
  Env& env = options->local.env != nullptr ? *options->local.env : posix_env();
  COX_ASSIGN_OR_RETURN(const std::optional<Identity> found, load_identity(env, options->local.dir));
  if (!found.has_value() || found->instead_of != options->member_id) return {};
  for (GroupMember& member : options->members)
    if (member.id == found->instead_of) member.id = found->member;
  options->member_id = found->member;
  return {};
}

Result<std::unique_ptr<Store>> open_group_store(GroupStoreOptions options) {
  Env& env = options.local.env != nullptr ? *options.local.env : posix_env();
  NodeOptions node;
  COX_ASSIGN_OR_RETURN(node.lock, lock_directory(env, options.local.dir));
  COX_ASSIGN_OR_RETURN(const Identity identity, settle_identity(env, options));
  MemberOptions& member = node.member;
  member.raft.id = identity.member;
  member.raft.seed = system_random().next();
  member.raft.election_ticks = kElectionTicks;
  member.raft.election_spread_ticks = kElectionTicks / 3;
  member.raft.heartbeat_ticks = 2;
  for (const GroupMember& voter : identity.voters) member.initial.voters.push_back(voter.id);
  member.limits = options.local.limits;
  member.clock = clock_of(options.local.clock);
  member.keep_entries = options.local.keep_entries;
  member.keep_log_bytes = options.local.keep_log_bytes;
  member.log_cache_bytes = kKeptBytes;
  node.tick_ms = std::max<std::int64_t>(1, options.election_timeout_ms / kElectionTicks);
  node.cluster_id = identity.cluster;
  node.self = self_record(options, identity);
  node.roster = std::make_shared<Roster>(first_records(options));
  COX_ASSIGN_OR_RETURN(auto transport, open_transport(options, identity, node.self, node.roster));
  node.on_event = options.on_event;
  node.on_members = [peers = transport.get()](const std::vector<MemberRecord>& records) {
    peers->set_peers(addresses(records));
  };
  node.on_removed = options.on_removed;
  node.transport = std::move(transport);
  if (Result<void> opened = open_directory(env, options.local, &member); !opened.ok())
    return with_way_out(std::move(opened).error(), options);
  auto store = open_and_trim(std::move(node));
  if (!store.ok()) return with_way_out(std::move(store).error(), options);
  return store;
}

StoreAdmin* admin_of(Store& store) { return dynamic_cast<StoreAdmin*>(&store); }

}  // namespace coxswain::store
