// The cluster's certificates and kubeconfigs under the data directory; made on first start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/common/base/result.h"
#include "libs/common/pki/pki.h"

namespace coxswain::apiserver {

struct CertificateOptions {
  std::string data_dir;
  std::string advertise_address;
  std::uint16_t port = 6443;
  std::string service_ip;       // the `kubernetes` Service's cluster IP
  std::uint64_t member_id = 0;  // of the store's group; 0: none
};

struct ServerCertificates {
  pki::KeyPair ca;
  pki::KeyPair serving;
  pki::KeyPair kubelet_client;
  pki::KeyPair store_member;  // of a member
};

// D/pki/{ca,apiserver,apiserver-kubelet-client}, D/kubeconfig/{admin,scheduler,controller-manager,
// kube-proxy}.conf and what this host's kubelet needs.
Result<ServerCertificates> ensure_cluster_certificates(const CertificateOptions& options);

// D/pki/kubelet-NAME.{crt,key} (serving) and D/kubeconfig/kubelet-NAME.conf.
Result<void> ensure_node_certificates(const CertificateOptions& options, const std::string& node_name,
                                      const std::vector<std::string>& ip_addresses);

std::string host_name();

}  // namespace coxswain::apiserver
