#include "services/api-server/open_store.h"

#include <unistd.h>

#include <csignal>

#include "libs/common/log/log.h"
#include "libs/store/etcd/open.h"

namespace coxswain::apiserver {
namespace {

store::LocalStoreOptions local_options(const ServerOptions& options) {
  store::LocalStoreOptions local;
  local.dir = options.data_dir + "/store";
  local.limits = store_limits(options);
  if (options.store_log_segment_bytes != 0) local.log_segment_bytes = options.store_log_segment_bytes;
  if (options.store_checkpoint_log_bytes != 0)
    local.checkpoint_log_bytes = options.store_checkpoint_log_bytes;
  if (options.store_keep_entries != 0) local.keep_entries = options.store_keep_entries;
  return local;
}

Result<std::unique_ptr<store::Store>> open_group(const ServerOptions& options,
                                                 const ServerCertificates& certificates,
                                                 const std::string& advertise_address) {
  if (options.member_id == 0)
    return make_error(ErrorCode::kInvalidArgument,
                      "--initial-cluster needs --member-id: which of them is this?");
  if (options.port == 0)
    return make_error(ErrorCode::kInvalidArgument,
                      "a member needs a port that the others know: set --secure-port");
  store::GroupStoreOptions group;
  group.local = local_options(options);
  group.member_id = options.member_id;
  group.name = options.member_name.empty() ? host_name() + "-" + std::to_string(options.member_id)
                                           : options.member_name;
  COX_ASSIGN_OR_RETURN(group.members, store::parse_initial_cluster(options.initial_cluster));
  COX_RETURN_IF_ERROR(store::follow_replacement(&group));
  group.join = options.initial_cluster_state == "existing";
  group.cluster_id = options.cluster_id;
  group.client_url = "https://" + advertise_address + ":" + std::to_string(options.port);
  group.listen_address = options.peer_bind_address;
  group.ca_path = certificates.ca.certificate_path;
  group.certificate_path = certificates.store_member.certificate_path;
  group.key_path = certificates.store_member.key_path;
  group.election_timeout_ms = options.election_timeout_ms;
  group.on_event = [](const std::string& text) { log_warning("store: " + text); };
  group.on_removed = [](const std::string& why) {
    log_error(why);
    kill(getpid(), SIGTERM);  // an orderly end: it has nothing to serve any more
  };
  return store::open_group_store(std::move(group));
}

bool is_etcd(const ServerOptions& options) { return options.store_backend.rfind("etcd", 0) == 0; }

Result<std::unique_ptr<store::Store>> open_etcd(const ServerOptions& options) {
  if (!options.initial_cluster.empty())
    return make_error(ErrorCode::kInvalidArgument,
                      "--initial-cluster goes with the built-in store, not with --store=etcd://");
  COX_ASSIGN_OR_RETURN(store::EtcdStoreOptions etcd, store::parse_etcd_target(options.store_backend));
  if (!options.etcd_prefix.empty()) etcd.prefix = options.etcd_prefix;
  etcd.ca_path = options.etcd_ca_path;
  etcd.certificate_path = options.etcd_certificate_path;
  etcd.key_path = options.etcd_key_path;
  etcd.limits = store_limits(options);
  etcd.on_change = [](const std::string& what) { log_warning("store: " + what); };
  return store::open_etcd_store(std::move(etcd));
}

}  // namespace

Result<std::uint64_t> store_member_id(const ServerOptions& options) {
  if (options.initial_cluster.empty()) return std::uint64_t{0};
  store::GroupStoreOptions group;
  group.local = local_options(options);
  group.member_id = options.member_id;
  COX_RETURN_IF_ERROR(store::follow_replacement(&group));
  return group.member_id;
}

bool may_share_store(const ServerOptions& options) {
  return is_etcd(options) || !options.initial_cluster.empty();
}

Result<std::unique_ptr<store::Store>> open_store(const ServerOptions& options,
                                                 const ServerCertificates& certificates,
                                                 const std::string& advertise_address) {
  if (is_etcd(options)) return open_etcd(options);
  if (!(options.etcd_prefix + options.etcd_ca_path + options.etcd_certificate_path + options.etcd_key_path)
           .empty())
    return make_error(ErrorCode::kInvalidArgument, "the --etcd-* flags go with --store=etcd://HOST:PORT,...");
  if (options.store_backend == "memory") {
    store::MemoryStoreOptions memory;
    memory.limits = store_limits(options);
    return store::open_memory_store(memory);
  }
  if (options.store_backend != "local")
    return make_error(
        ErrorCode::kInvalidArgument,
        "--store must be local, memory or etcd://HOST:PORT,..., not \"" + options.store_backend + "\"");
  if (!options.initial_cluster.empty()) return open_group(options, certificates, advertise_address);
  if (options.member_id != 0)
    return make_error(ErrorCode::kInvalidArgument, "--member-id goes with --initial-cluster");
  return store::open_local_store(local_options(options));
}

}  // namespace coxswain::apiserver
