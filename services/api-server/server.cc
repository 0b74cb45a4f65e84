#include "services/api-server/server.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libs/common/base/strings.h"
#include "libs/common/log/log.h"
#include "libs/http/server.h"
#include "libs/registry/cluster/service_addresses.h"
#include "libs/registry/registry.h"
#include "libs/store/env/env.h"
#include "libs/store/open.h"
#include "services/api-server/certificates.h"
#include "services/api-server/open_store.h"

namespace coxswain::apiserver {
namespace {

// The source address of the default route: connecting a datagram socket sends nothing.
std::string default_address() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "127.0.0.1";
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(53);
  inet_pton(AF_INET, "192.0.2.1", &peer.sin_addr);  // TEST-NET-1, RFC 5737
  std::string text = "127.0.0.1";
  sockaddr_in own{};
  socklen_t length = sizeof(own);
  if (connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) == 0) {
    char buffer[INET_ADDRSTRLEN] = {};
    if (inet_ntop(AF_INET, &own.sin_addr, buffer, sizeof(buffer)) != nullptr) text = buffer;
  }
  close(fd);
  return text;
}

std::string advertised(const ServerOptions& options) {
  return options.advertise_address.empty() ? default_address() : options.advertise_address;
}

Result<registry::ClusterSettings> cluster_settings(const ServerOptions& options) {
  registry::ClusterSettings settings;
  settings.service_cluster_ip_range = options.service_cluster_ip_range;
  if (!registry::parse_ipv4_range(options.service_cluster_ip_range)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "--service-cluster-ip-range must be an IPv4 range like 10.96.0.0/16, not \"" +
                          options.service_cluster_ip_range + "\"");
  }
  const std::vector<std::string> ends = split(options.service_node_port_range, '-');
  const auto first = ends.size() == 2 ? parse_uint64(ends[0]) : std::nullopt;
  const auto last = ends.size() == 2 ? parse_uint64(ends[1]) : std::nullopt;
  if (!first || !last || *first < 1 || *last > 65535 || *first > *last) {
    return make_error(ErrorCode::kInvalidArgument,
                      "--service-node-port-range must look like 30000-32767, not \"" +
                          options.service_node_port_range + "\"");
  }
  settings.node_port_first = static_cast<std::int32_t>(*first);
  settings.node_port_last = static_cast<std::int32_t>(*last);
  return settings;
}

// Expires events once a minute.
class Housekeeping {
 public:
  Housekeeping(registry::Registry& registry, std::int64_t event_ttl_ms)
      : registry_(registry),
        every_(std::clamp<std::int64_t>(event_ttl_ms / 4, 100, 60'000)),
        thread_([this] { loop(); }) {}
  ~Housekeeping() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, every_, [this] { return stopping_; })) {
      lock.unlock();
      const int removed = registry_.expire_events();
      if (removed > 0) log_debug("events expired", {{"count", std::to_string(removed)}});
      malloc_trim(0);  // what bursts left behind
      lock.lock();
    }
  }
  registry::Registry& registry_;
  const std::chrono::milliseconds every_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

Result<void> start(const ServerOptions& options, registry::Registry& registry, const std::string& advertise,
                   http::Server& server, std::stop_token stop) {
  const std::uint16_t port = server.port();
  COX_RETURN_IF_ERROR(registry.bootstrap(std::move(stop)));
  if (options.shared_port != 0)
    COX_RETURN_IF_ERROR(server.share(options.shared_port));  // as soon as it can serve
  if (!options.port_file.empty()) {
    COX_RETURN_IF_ERROR(pki::write_file_atomic(options.port_file, std::to_string(port) + "\n", 0644));
  }
  log_info("ready", {{"address", advertise + ":" + std::to_string(port)},
                     {"kubeconfig", options.data_dir + "/kubeconfig/admin.conf"}});
  return {};
}

// Starts beside the wait for a stop: a store without a quorum may take any time.
Result<void> start_and_wait(const ServerOptions& options, registry::Registry& registry,
                            const std::string& advertise, http::Server& server,
                            const std::function<void()>& wait_for_stop) {
  Result<void> started;
  {
    std::jthread starter([&](std::stop_token stop) {
      started = start(options, registry, advertise, server, stop);
      if (!started.ok() && !stop.stop_requested()) kill(getpid(), SIGTERM);  // ends wait_for_stop
    });
    Housekeeping housekeeping(registry, options.event_ttl_s * 1000);
    wait_for_stop();
    log_info("stopping");
  }
  if (!started.ok() && started.error().code == ErrorCode::kCancelled) return {};
  return started;
}

Result<CertificateOptions> certificate_options(const ServerOptions& options, const std::string& advertise) {
  CertificateOptions out;
  out.data_dir = options.data_dir;
  out.advertise_address = advertise;
  out.port = options.shared_port != 0 ? options.shared_port : options.port;
  COX_ASSIGN_OR_RETURN(out.member_id, store_member_id(options));
  if (const auto range = registry::parse_ipv4_range(options.service_cluster_ip_range)) {
    out.service_ip = registry::format_ipv4(range->base + 1);
  }
  if (!options.control_plane_endpoint.empty()) {
    COX_ASSIGN_OR_RETURN(out.endpoint,
                         parse_control_plane_endpoint(options.control_plane_endpoint, out.port));
  }
  return out;
}

}  // namespace

Result<void> issue_cluster(const ServerOptions& options) {
  COX_RETURN_IF_ERROR(cluster_settings(options));
  COX_ASSIGN_OR_RETURN(const CertificateOptions certificates,
                       certificate_options(options, advertised(options)));
  COX_RETURN_IF_ERROR(ensure_server_certificates(certificates));
  return ensure_users(certificates);
}

Result<void> issue_node(const ServerOptions& options, const std::string& name, std::vector<std::string> ips) {
  COX_ASSIGN_OR_RETURN(const CertificateOptions certificates,
                       certificate_options(options, advertised(options)));
  return ensure_node_certificates(certificates, name, ips);
}

Result<void> run(const ServerOptions& options, const std::function<void()>& wait_for_stop) {
  // Few arenas: threads here are few and short of memory, not of locks.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
  mallopt(M_MMAP_THRESHOLD,
          1 << 20);  // else 128 KiB, now: a group of writes would be mapped and unmapped anew
  COX_ASSIGN_OR_RETURN(const registry::ClusterSettings settings, cluster_settings(options));
  const std::string advertise = advertised(options);
  COX_RETURN_IF_ERROR(make_data_dir(options.data_dir));
  COX_ASSIGN_OR_RETURN(const auto lock, store::posix_env().lock(options.data_dir + "/LOCK"));
  COX_ASSIGN_OR_RETURN(const CertificateOptions wanted, certificate_options(options, advertise));
  COX_ASSIGN_OR_RETURN(ServerCertificates certificates, ensure_server_certificates(wanted));
  COX_ASSIGN_OR_RETURN(std::unique_ptr<store::Store> store, open_store(options, certificates, advertise));

  registry::Options registry_options;
  registry_options.settings = settings;
  registry_options.advertise_address = advertise;
  registry_options.event_ttl_ms = options.event_ttl_s * 1000;
  registry_options.several_servers = may_share_store(options);
  registry_options.store_admin = store::admin_of(*store);
  registry_options.kubelet_client.ca_pem_path = certificates.ca.certificate_path;
  registry_options.kubelet_client.certificate_pem_path = certificates.kubelet_client.certificate_path;
  registry_options.kubelet_client.key_pem_path = certificates.kubelet_client.key_path;

  // The port may be any free one, and what is written into objects and kubeconfigs must be the real
  // one: listen first, then make the registry behind a gate.
  registry_options.advertise_port = options.port;
  std::unique_ptr<registry::Registry> registry;
  std::atomic<registry::Registry*> gate{nullptr};
  http::ServerOptions edge;
  edge.address = options.bind_address;
  edge.port = options.port;
  edge.io_threads = options.io_threads;
  edge.tls = {certificates.serving.certificate_path, certificates.serving.key_path,
              certificates.ca.certificate_path, false};
  COX_ASSIGN_OR_RETURN(std::unique_ptr<http::Server> server,
                       http::serve(edge, [&gate](std::shared_ptr<http::Exchange> exchange) {
                         registry::Registry* ready = gate.load(std::memory_order_acquire);
                         if (ready != nullptr) return ready->handle(std::move(exchange));
                         http::Response starting;
                         starting.status = 503;
                         starting.headers.emplace_back("Retry-After", "1");
                         starting.body.push_back(http::Chunk::literal("starting\n"));
                         exchange->respond(std::move(starting));
                       }));
  registry_options.advertise_port = server->port();
  // Nobody is led here by a server that was refused its store or its port.
  ServerOptions real = options;
  real.port = server->port();
  COX_ASSIGN_OR_RETURN(const CertificateOptions users, certificate_options(real, advertise));
  COX_RETURN_IF_ERROR(ensure_users(users));
  registry = std::make_unique<registry::Registry>(*store, registry_options);
  gate.store(registry.get(), std::memory_order_release);
  const Result<void> started = start_and_wait(options, *registry, advertise, *server, wait_for_stop);
  registry->begin_shutdown();
  server->shutdown(5'000);
  registry->end_shutdown();
  store.reset();  // answers who still waits for it: while there are a registry and a server to answer through
  server.reset();
  registry.reset();
  return started;
}

}  // namespace coxswain::apiserver
