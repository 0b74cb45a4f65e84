// The api-server as a whole: store, registry, HTTP edge, housekeeping.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "libs/common/base/result.h"
#include "libs/store/open.h"

namespace coxswain::apiserver {

struct ServerOptions {
  std::string data_dir = "/var/lib/coxswain";
  std::string bind_address = "0.0.0.0";
  std::uint16_t port = 6443;      // 0: any free one
  std::string advertise_address;  // empty: the address of the default route
  std::string service_cluster_ip_range = "10.96.0.0/16";
  std::string service_node_port_range = "30000-32767";
  std::string store_backend = "local";  // or memory, or etcd://HOST:PORT,...
  std::int64_t compaction_interval_s = 300;
  std::int64_t event_ttl_s = 3600;
  std::string port_file;  // when set, the port is written there once ready
  int io_threads = 2;
  std::string
      control_plane_endpoint;     // HOST[:PORT] of a load balancer before several api-servers; empty: none
  std::uint16_t shared_port = 0;  // of all api-servers of this machine; 0: none

  // Of an external etcd (libs/store/etcd/open.h).
  std::string etcd_prefix;  // empty: the store's default
  std::string etcd_ca_path;
  std::string etcd_certificate_path;
  std::string etcd_key_path;

  // A member of a group (docs/store.md); empty initial_cluster: this api-server is alone.
  std::string initial_cluster;  // ID=HOST:PORT,...
  std::uint64_t member_id = 0;
  std::string member_name;                    // empty: this host's name and the id
  std::string initial_cluster_state = "new";  // or existing
  std::string cluster_id;
  std::string peer_bind_address = "0.0.0.0";
  std::int64_t election_timeout_ms = 1000;

  // How much of its log the local store keeps; 0: the store's default (libs/store/open.h).
  std::uint64_t store_log_segment_bytes = 0;
  std::uint64_t store_checkpoint_log_bytes = 0;
  std::uint64_t store_keep_entries = 0;
};

// What of it bounds the store.
inline store::StoreLimits store_limits(const ServerOptions& options) {
  store::StoreLimits limits;
  limits.retention_ms = options.compaction_interval_s * 1000;
  return limits;
}

// Serves until `wait_for_stop` returns; errors are start-up failures.
Result<void> run(const ServerOptions& options, const std::function<void()>& wait_for_stop);

// Just the CA, certificates and kubeconfigs of a cluster: for api-servers that are to share the CA.
Result<void> issue_cluster(const ServerOptions& options);

// Just the certificates of one more node.
Result<void> issue_node(const ServerOptions& options, const std::string& name, std::vector<std::string> ips);

}  // namespace coxswain::apiserver
