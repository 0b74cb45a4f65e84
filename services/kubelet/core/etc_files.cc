#include "services/kubelet/core/etc_files.h"

#include <algorithm>
#include <sstream>

#include "libs/common/base/strings.h"
#include "services/kubelet/core/container_spec.h"

namespace coxswain::kubelet {
namespace {

struct Resolver {
  std::vector<std::string> servers, searches, options;
};

Resolver parse(const std::string& text) {
  Resolver out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    auto* list = key == "nameserver" ? &out.servers
                 : key == "search"   ? &out.searches
                 : key == "options"  ? &out.options
                                     : nullptr;
    while (list && words >> word) list->push_back(word);
  }
  return out;
}

void add_unique(std::vector<std::string>& list, const std::string& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

}  // namespace

std::string hosts_file(const v1::Pod& pod, const std::string& pod_ip, const std::string& cluster_domain) {
  std::string out =
      "# Managed by the kubelet.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
  const std::string host = pod_hostname(pod);
  if (!pod_ip.empty()) {
    out += pod_ip + "\t";
    if (!pod.spec.subdomain.empty()) {
      out +=
          host + "." + pod.spec.subdomain + "." + pod.metadata.namespace_ + ".svc." + cluster_domain + "\t";
    }
    out += host + "\n";
  }
  if (!pod.spec.hostAliases.empty()) out += "\n# Entries added by hostAliases.\n";
  for (const auto& alias : pod.spec.hostAliases) out += alias.ip + "\t" + join(alias.hostnames, "\t") + "\n";
  return out;
}

std::string resolv_conf(const v1::Pod& pod, const DnsSettings& dns) {
  const std::string policy = pod.spec.dnsPolicy.empty() ? "ClusterFirst" : pod.spec.dnsPolicy;
  const bool cluster = !dns.cluster_dns.empty() && (policy == "ClusterFirstWithHostNet" ||
                                                    (policy == "ClusterFirst" && !pod.spec.hostNetwork));
  Resolver r = policy == "None" ? Resolver{} : parse(dns.node_resolv_conf);
  if (cluster) {
    r.servers = dns.cluster_dns;
    const std::string svc = "svc." + dns.cluster_domain;
    r.searches.insert(r.searches.begin(), {pod.metadata.namespace_ + "." + svc, svc, dns.cluster_domain});
    r.options = {"ndots:5"};
  }
  if (pod.spec.dnsConfig) {
    for (const auto& s : pod.spec.dnsConfig->nameservers) add_unique(r.servers, s);
    for (const auto& s : pod.spec.dnsConfig->searches) add_unique(r.searches, s);
    for (const auto& o : pod.spec.dnsConfig->options) {
      const auto same = [&](const std::string& old) { return split(old, ':').front() == o.name; };
      r.options.erase(std::remove_if(r.options.begin(), r.options.end(), same), r.options.end());
      r.options.push_back(o.value ? o.name + ":" + *o.value : o.name);
    }
  }
  std::string out;
  for (const auto& s : r.servers) out += "nameserver " + s + "\n";
  if (!r.searches.empty()) out += "search " + join(r.searches, " ") + "\n";
  if (!r.options.empty()) out += "options " + join(r.options, " ") + "\n";
  return out;
}

}  // namespace coxswain::kubelet
