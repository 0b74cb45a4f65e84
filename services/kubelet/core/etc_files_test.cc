#include "services/kubelet/core/etc_files.h"

#include <catch2/catch.hpp>

#include "libs/common/json/json.h"

using namespace coxswain;
using namespace coxswain::kubelet;

namespace {

v1::Pod pod_from(const std::string& spec) {
  auto parsed =
      json::parse(R"({"metadata":{"name":"web","namespace":"shop","uid":"u"},"spec":)" + spec + "}");
  REQUIRE(parsed.ok());
  v1::Pod pod;
  from_json(*parsed, pod);
  return pod;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("hosts: the pod's own name, its domain, hostAliases") {
  const std::string plain = hosts_file(pod_from("{}"), "10.1.2.3", "cluster.local");
  CHECK(has(plain, "127.0.0.1\tlocalhost\n"));
  CHECK(has(plain, "10.1.2.3\tweb\n"));
  const std::string named =
      hosts_file(pod_from(R"({"hostname":"db","subdomain":"sql"})"), "10.1.2.3", "cluster.local");
  CHECK(has(named, "10.1.2.3\tdb.sql.shop.svc.cluster.local\tdb\n"));
  const std::string aliased =
      hosts_file(pod_from(R"({"hostAliases":[{"ip":"1.2.3.4","hostnames":["one","two"]}]})"), "10.1.2.3",
                 "cluster.local");
  CHECK(has(aliased, "1.2.3.4\tone\ttwo\n"));
}

TEST_CASE("resolv.conf by dnsPolicy and dnsConfig") {
  DnsSettings dns;
  dns.node_resolv_conf = "nameserver 9.9.9.9\nsearch example.org\noptions timeout:3\n";
  const std::string node = resolv_conf(pod_from(R"({"dnsPolicy":"Default"})"), dns);
  CHECK(has(node, "nameserver 9.9.9.9\n"));
  CHECK(has(node, "example.org"));
  dns.cluster_dns = {"10.96.0.10"};
  const std::string cluster = resolv_conf(pod_from(R"({"dnsPolicy":"ClusterFirst"})"), dns);
  CHECK(has(cluster, "nameserver 10.96.0.10\n"));
  CHECK(has(cluster, "search shop.svc.cluster.local svc.cluster.local cluster.local example.org\n"));
  CHECK(has(cluster, "ndots:5"));
  CHECK_FALSE(has(cluster, "9.9.9.9"));
  // On the node's network ClusterFirst means the node's resolvers, unless it says otherwise.
  CHECK(has(resolv_conf(pod_from(R"({"dnsPolicy":"ClusterFirst","hostNetwork":true})"), dns), "9.9.9.9"));
  CHECK(has(resolv_conf(pod_from(R"({"dnsPolicy":"ClusterFirstWithHostNet","hostNetwork":true})"), dns),
            "10.96.0.10"));
  const std::string none = resolv_conf(
      pod_from(
          R"({"dnsPolicy":"None","dnsConfig":{"nameservers":["1.1.1.1"],"searches":["a.b"],"options":[{"name":"ndots","value":"2"},{"name":"edns0"}]}})"),
      dns);
  CHECK(has(none, "nameserver 1.1.1.1\n"));
  CHECK(has(none, "search a.b\n"));
  CHECK(has(none, "options ndots:2 edns0\n"));
  CHECK_FALSE(has(none, "10.96.0.10"));
}
