#include "libs/client/api_client.h"
#include "libs/common/kubeconfig/kubeconfig.h"

namespace coxswain::client {

Result<std::shared_ptr<ApiClient>> ApiClient::from_kubeconfig(const std::string& path,
                                                              const std::string& user_agent,
                                                              Options options) {
  COX_ASSIGN_OR_RETURN(const kubeconfig::Config config, kubeconfig::load(path));
  http::ClientOptions http_options;
  http_options.base_url = config.server;
  http_options.ca_pem = config.ca_pem;
  http_options.certificate_pem = config.certificate_pem;
  http_options.key_pem = config.key_pem;
  http_options.bearer_token = config.token;
  http_options.insecure_skip_verify = config.insecure_skip_verify;
  http_options.user_agent = user_agent;
  COX_ASSIGN_OR_RETURN(auto transport, http::make_client(http_options));
  return std::make_shared<ApiClient>(std::shared_ptr<http::Client>(std::move(transport)), options);
}

}  // namespace coxswain::client
