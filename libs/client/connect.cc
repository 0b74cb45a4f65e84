#include "libs/client/api_client.h"
#include "libs/client/failover.h"
#include "libs/common/kubeconfig/kubeconfig.h"

namespace coxswain::client {

Result<std::shared_ptr<ApiClient>> ApiClient::from_kubeconfig(const std::string& path,
                                                              const std::string& user_agent,
                                                              Options options) {
  COX_ASSIGN_OR_RETURN(const kubeconfig::Config config, kubeconfig::load(path));
  COX_ASSIGN_OR_RETURN(std::vector<std::string> urls, parse_server_urls(options.servers));
  if (urls.empty()) urls.push_back(config.server);
  http::ClientOptions http_options;
  http_options.ca_pem = config.ca_pem;
  http_options.certificate_pem = config.certificate_pem;
  http_options.key_pem = config.key_pem;
  http_options.bearer_token = config.token;
  http_options.insecure_skip_verify = config.insecure_skip_verify;
  http_options.user_agent = user_agent;
  std::vector<ApiServer> servers;
  for (const std::string& url : urls) {
    http_options.base_url = url;
    COX_ASSIGN_OR_RETURN(auto transport, http::make_client(http_options));
    servers.push_back({url, std::move(transport)});
  }
  const auto transport = servers.size() == 1 ? servers[0].transport : make_failover_client(servers);
  return std::make_shared<ApiClient>(transport, std::move(options));
}

}  // namespace coxswain::client
