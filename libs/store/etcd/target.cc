#include <algorithm>

#include "libs/common/base/strings.h"
#include "libs/store/etcd/open.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kMostEndpoints = 32;

Result<EtcdEndpoint> parse_endpoint(std::string_view text) {
  const auto refuse = [text] {
    return make_error(ErrorCode::kInvalidArgument,
                      "\"" + std::string(text) + "\" is not HOST:PORT; write etcd://HOST:PORT,HOST:PORT");
  };
  EtcdEndpoint endpoint;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return refuse();
    endpoint.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && port.front() != ':') return refuse();
  } else {
    const std::size_t colon = text.find(':');
    if (colon != text.rfind(':')) return refuse();
    endpoint.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (!port.empty()) {
    const auto number = parse_uint64(port.substr(1));
    if (!number || *number < 1 || *number > 65535) return refuse();
    endpoint.port = static_cast<std::uint16_t>(*number);
  }
  if (endpoint.host.empty() || endpoint.host.find_first_of("/@ ") != std::string::npos) return refuse();
  return endpoint;
}

}  // namespace

std::string to_string(const EtcdEndpoint& endpoint) {
  const bool six = endpoint.host.find(':') != std::string::npos;
  return (six ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

Result<EtcdStoreOptions> parse_etcd_target(std::string_view target) {
  constexpr std::string_view kScheme = "etcd://";
  constexpr std::string_view kPlainScheme = "etcd+plain://";
  EtcdStoreOptions options;
  options.plain = target.substr(0, kPlainScheme.size()) == kPlainScheme;
  if (!options.plain && target.substr(0, kScheme.size()) != kScheme) {
    return make_error(ErrorCode::kInvalidArgument,
                      "\"" + std::string(target) + "\" does not begin with etcd://");
  }
  target.remove_prefix(options.plain ? kPlainScheme.size() : kScheme.size());
  for (const std::string& part : split(target, ',')) {
    COX_ASSIGN_OR_RETURN(EtcdEndpoint endpoint, parse_endpoint(part));
    options.endpoints.push_back(std::move(endpoint));
  }
  if (options.endpoints.size() > kMostEndpoints)
    return make_error(ErrorCode::kInvalidArgument, "more than 32 etcd endpoints");
  return options;
}

}  // namespace coxswain::store
