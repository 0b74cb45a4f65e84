// /etc/hosts and /etc/resolv.conf of a pod's containers. Pure.
#pragma once

#include <string>
#include <vector>

#include "services/kubelet/core/model.h"

namespace coxswain::kubelet {

struct DnsSettings {
  std::vector<std::string> cluster_dns;  // empty: pods use the node's resolvers
  std::string cluster_domain = "cluster.local";
  std::string node_resolv_conf;  // the text of the node's file
};

std::string hosts_file(const v1::Pod& pod, const std::string& pod_ip, const std::string& cluster_domain);
std::string resolv_conf(const v1::Pod& pod, const DnsSettings& dns);

}  // namespace coxswain::kubelet
