// Non-blocking bytes over a connected socket, plain or TLS. OpenSSL works on the descriptor itself: no
// copies through memory buffers, and an idle TLS connection holds a few kilobytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "libs/common/base/result.h"
#include "libs/http/server.h"

namespace coxswain::http {

class Transport {
 public:
  // kEnd: the peer will send no more, but may still read; kClosed: the connection is of no more use.
  enum class Status { kOk, kWantRead, kWantWrite, kEnd, kClosed };
  virtual ~Transport() = default;
  // Until kOk; then read and write may be called.
  virtual Status handshake() = 0;
  virtual Status read(char* buffer, std::size_t size, std::size_t& taken) = 0;
  virtual Status write(std::string_view bytes, std::size_t& taken) = 0;
  virtual bool pending() const = 0;       // bytes are ready that the socket will not announce
  virtual void close_notify() = 0;        // best effort
  virtual PeerIdentity peer() const = 0;  // after the handshake
};

// Shared by all connections of a server. Re-reads nothing: a new certificate needs a new context.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  virtual std::unique_ptr<Transport> accept(int fd) = 0;
};

Result<std::shared_ptr<TlsContext>> make_tls_context(const TlsConfig& config);
std::unique_ptr<Transport> plain_transport(int fd);

}  // namespace coxswain::http
