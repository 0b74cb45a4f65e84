// The kubelet's HTTPS server, for the api-server: container logs, health, the pods it knows.
#pragma once

#include <memory>

#include "libs/http/server.h"
#include "services/kubelet/pods/pod_manager.h"

namespace coxswain::kubelet {

struct ServerSettings {
  std::string address = "0.0.0.0";
  std::uint16_t port = 10250;
  http::TlsConfig tls;  // client certificates are required
};

class KubeletServer {
 public:
  virtual ~KubeletServer() = default;
  virtual std::uint16_t port() const = 0;
  virtual void stop() = 0;  // ends streams
};

Result<std::unique_ptr<KubeletServer>> serve_kubelet(const ServerSettings& settings, PodManager& pods,
                                                     Runtime& runtime);

}  // namespace coxswain::kubelet
