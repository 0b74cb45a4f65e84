// One connection to etcd, plain or TLS, that never blocks: whoever owns it polls its descriptor. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libs/common/base/result.h"
#include "libs/store/etcd/open.h"

namespace coxswain::store::etcd {

// Certificates, loaded once; outlives its links.
class Credentials {
 public:
  virtual ~Credentials() = default;
};
// kInvalidArgument: a file is missing or unusable, and which.
Result<std::unique_ptr<Credentials>> load_credentials(const EtcdStoreOptions& options);

class Link {
 public:
  virtual ~Link() = default;
  // Goes on connecting; true: done, who is there is verified. Errors as open_etcd_store's.
  virtual Result<bool> connect() = 0;
  // What there is, at most `size` bytes; 0: nothing now. After the end: kUnavailable.
  virtual Result<std::size_t> read(char* buffer, std::size_t size) = 0;
  // How much was taken; 0: nothing now.
  virtual Result<std::size_t> write(std::string_view bytes) = 0;
  virtual int descriptor() const = 0;
  virtual short waits_for() const = 0;  // POLLIN, POLLOUT: what the last call lacked
};

// `credentials` null: plain. Looks the name up at once, which may take as long as the resolver does.
Result<std::unique_ptr<Link>> open_link(const EtcdEndpoint& endpoint, Credentials* credentials);

// Whether all addresses of `host` are this machine's own.
bool is_loopback(const std::string& host);

}  // namespace coxswain::store::etcd
