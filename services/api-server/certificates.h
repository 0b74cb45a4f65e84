// The cluster's certificates and kubeconfigs under the data directory; made on first start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/common/base/result.h"
#include "libs/common/pki/pki.h"

namespace coxswain::apiserver {

// Where clients find any of several api-servers: a load balancer, a name.
struct Endpoint {
  std::string host;  // IPv4 address or DNS name
  std::uint16_t port = 0;
};
// HOST or HOST:PORT. kInvalidArgument, naming the flag, if it is neither.
Result<Endpoint> parse_control_plane_endpoint(const std::string& text, std::uint16_t default_port);

struct CertificateOptions {
  std::string data_dir;
  std::string advertise_address;
  std::uint16_t port = 6443;
  std::string service_ip;       // the `kubernetes` Service's cluster IP
  std::uint64_t member_id = 0;  // of the store's group; 0: none
  // Kubeconfigs lead there, and the serving certificate is valid for it; none: advertise_address and port.
  std::optional<Endpoint> endpoint;
};

struct ServerCertificates {
  pki::KeyPair ca;
  pki::KeyPair serving;
  pki::KeyPair kubelet_client;
  pki::KeyPair store_member;  // of a member
};

// D, D/pki and D/kubeconfig, for their owner alone.
Result<void> make_data_dir(const std::string& data_dir);

// What this server needs: D/pki/{ca,apiserver,apiserver-kubelet-client,store-member-N}.
Result<ServerCertificates> ensure_server_certificates(const CertificateOptions& options);

// What leads others to it: D/kubeconfig/{admin,scheduler,controller-manager,kube-proxy}.conf and what this
// host's kubelet needs.
Result<void> ensure_users(const CertificateOptions& options);

// D/pki/kubelet-NAME.{crt,key} (serving) and D/kubeconfig/kubelet-NAME.conf.
Result<void> ensure_node_certificates(const CertificateOptions& options, const std::string& node_name,
                                      const std::vector<std::string>& ip_addresses);

std::string host_name();

}  // namespace coxswain::apiserver
