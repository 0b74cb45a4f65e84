#include "services/api-server/certificates.h"

#include <algorithm>
#include <filesystem>

#include <unistd.h>

#include "libs/api/meta/names.h"
#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"
#include "libs/common/kubeconfig/kubeconfig.h"
#include "libs/store/peer/handshake.h"

namespace coxswain::apiserver {
namespace {

// Whether the file leads to this server as this user. Such a file is left alone: its owner may have chosen a
// namespace or added contexts, and readers never see it change for nothing.
bool still_right(const std::string& path, const kubeconfig::Config& wanted) {
  const Result<kubeconfig::Config> found = kubeconfig::load(path, wanted.context);
  return found.ok() && found->server == wanted.server && found->ca_pem == wanted.ca_pem &&
         found->certificate_pem == wanted.certificate_pem && found->key_pem == wanted.key_pem &&
         !found->insecure_skip_verify;
}

// A client certificate and the kubeconfig around it.
Result<void> ensure_user(const CertificateOptions& options, const pki::KeyPair& ca, const std::string& name,
                         const std::string& user, std::vector<std::string> groups) {
  pki::CertificateRequest request;
  request.common_name = user;
  request.organizations = std::move(groups);
  request.client = true;
  const std::int64_t now = system_clock().unix_ms();
  COX_ASSIGN_OR_RETURN(const pki::KeyPair pair, pki::ensure_certificate(options.data_dir + "/pki",
                                                                        name + "-client", ca, request, now));
  kubeconfig::Config config;
  const Endpoint server = options.endpoint.value_or(Endpoint{options.advertise_address, options.port});
  config.server = "https://" + server.host + ":" + std::to_string(server.port);
  config.user = user;
  config.context = user + "@coxswain";
  COX_ASSIGN_OR_RETURN(config.ca_pem, pki::read_file(ca.certificate_path));
  COX_ASSIGN_OR_RETURN(config.certificate_pem, pki::read_file(pair.certificate_path));
  COX_ASSIGN_OR_RETURN(config.key_pem, pki::read_file(pair.key_path));
  const std::string path = options.data_dir + "/kubeconfig/" + name + ".conf";
  if (still_right(path, config)) return {};
  return kubeconfig::save(path, config, "coxswain");
}

void add_name(const std::string& host, pki::CertificateRequest* request) {
  std::vector<std::string>& names = api::is_ipv4(host) ? request->ip_addresses : request->dns_names;
  if (std::find(names.begin(), names.end(), host) == names.end()) names.push_back(host);
}

}  // namespace

Result<void> make_data_dir(const std::string& data_dir) {
  for (const char* name : {"", "/pki", "/kubeconfig"}) {
    std::error_code error;
    std::filesystem::create_directories(data_dir + name, error);
    if (error) {
      return make_error(ErrorCode::kIo, "cannot make " + data_dir + name + ": " + error.message() +
                                            "; choose a writable --data-dir");
    }
    std::filesystem::permissions(data_dir + name, std::filesystem::perms::owner_all, error);
  }
  return {};
}

Result<Endpoint> parse_control_plane_endpoint(const std::string& text, std::uint16_t default_port) {
  const std::size_t colon = text.find(':');
  Endpoint out{to_lower(text.substr(0, colon)), default_port};
  const auto port = colon == std::string::npos ? default_port : parse_uint64(text.substr(colon + 1));
  const bool digits_only = out.host.find_first_not_of("0123456789.") == std::string::npos;
  const bool known = digits_only ? api::is_ipv4(out.host) : api::check_dns1123_subdomain(out.host).empty();
  if (!known || !port || *port < 1 || *port > 65535) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "--control-plane-endpoint must be HOST or HOST:PORT with an IPv4 address or a DNS name, "
        "not \"" +
            text + "\"");
  }
  out.port = static_cast<std::uint16_t>(*port);
  return out;
}

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "localhost";
  return to_lower(name);
}

Result<ServerCertificates> ensure_server_certificates(const CertificateOptions& options) {
  COX_RETURN_IF_ERROR(make_data_dir(options.data_dir));
  const std::string dir = options.data_dir + "/pki";
  const std::int64_t now = system_clock().unix_ms();
  ServerCertificates out;
  COX_ASSIGN_OR_RETURN(out.ca, pki::ensure_ca(dir, now));
  pki::CertificateRequest serving;
  serving.common_name = "kube-apiserver";
  serving.dns_names = {"localhost",
                       "kubernetes",
                       "kubernetes.default",
                       "kubernetes.default.svc",
                       "kubernetes.default.svc.cluster.local",
                       host_name()};
  serving.ip_addresses = {"127.0.0.1"};
  for (const std::string& ip : {options.advertise_address, options.service_ip}) {
    if (!ip.empty() && ip != "127.0.0.1") serving.ip_addresses.push_back(ip);
  }
  if (options.endpoint) add_name(options.endpoint->host, &serving);
  serving.server = true;
  COX_ASSIGN_OR_RETURN(out.serving, pki::ensure_certificate(dir, "apiserver", out.ca, serving, now));
  pki::CertificateRequest client;
  client.common_name = "kube-apiserver-kubelet-client";
  client.organizations = {"system:masters"};
  client.client = true;
  COX_ASSIGN_OR_RETURN(out.kubelet_client,
                       pki::ensure_certificate(dir, "apiserver-kubelet-client", out.ca, client, now));
  if (options.member_id != 0) {
    pki::CertificateRequest member;
    member.common_name = store::member_name(options.member_id);
    member.organizations = {store::kMembersOrganization};
    member.server = member.client = true;
    const std::string name = "store-member-" + std::to_string(options.member_id);
    COX_ASSIGN_OR_RETURN(out.store_member, pki::ensure_certificate(dir, name, out.ca, member, now));
  }
  return out;
}

Result<void> ensure_users(const CertificateOptions& options) {
  COX_RETURN_IF_ERROR(make_data_dir(options.data_dir));
  COX_ASSIGN_OR_RETURN(const pki::KeyPair ca,
                       pki::ensure_ca(options.data_dir + "/pki", system_clock().unix_ms()));
  COX_RETURN_IF_ERROR(ensure_user(options, ca, "admin", "kubernetes-admin", {"system:masters"}));
  COX_RETURN_IF_ERROR(ensure_user(options, ca, "scheduler", "system:kube-scheduler", {}));
  COX_RETURN_IF_ERROR(ensure_user(options, ca, "controller-manager", "system:kube-controller-manager", {}));
  COX_RETURN_IF_ERROR(ensure_user(options, ca, "kube-proxy", "system:kube-proxy", {}));
  return ensure_node_certificates(options, host_name(), {"127.0.0.1", options.advertise_address});
}

Result<void> ensure_node_certificates(const CertificateOptions& options, const std::string& node_name,
                                      const std::vector<std::string>& ip_addresses) {
  COX_RETURN_IF_ERROR(make_data_dir(options.data_dir));
  const std::string dir = options.data_dir + "/pki";
  const std::int64_t now = system_clock().unix_ms();
  COX_ASSIGN_OR_RETURN(const pki::KeyPair ca, pki::ensure_ca(dir, now));
  pki::CertificateRequest serving;
  serving.common_name = "system:node:" + node_name;
  serving.organizations = {"system:nodes"};
  serving.dns_names = {node_name};
  for (const std::string& ip : ip_addresses) {
    bool known = false;
    for (const std::string& other : serving.ip_addresses) known = known || other == ip;
    if (!known) serving.ip_addresses.push_back(ip);
  }
  serving.server = true;
  COX_RETURN_IF_ERROR(pki::ensure_certificate(dir, "kubelet-" + node_name, ca, serving, now));
  return ensure_user(options, ca, "kubelet-" + node_name, "system:node:" + node_name, {"system:nodes"});
}

}  // namespace coxswain::apiserver
