// A connection between two members: TLS 1.3, both sides with a certificate of the cluster's authority. Calls
// wait, each no longer than its time; one thread reads or writes at a time, any may shut(). The process
// ignores SIGPIPE.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::store {

struct PeerTls {
  std::string ca_path;
  std::string certificate_path;
  std::string key_path;
};

class TlsStream {
 public:
  virtual ~TlsStream() = default;
  // All of it. kDeadlineExceeded: the other side takes nothing for the time given at the start.
  virtual Result<void> write(std::string_view bytes) = 0;
  // Exactly so many bytes. `timeout_ms` 0: however long it takes.
  virtual Result<std::string> read(std::size_t size, std::int64_t timeout_ms) = 0;
  // False: the other side has closed it, so that what is written would be lost. To ask after a pause.
  virtual bool alive() const = 0;
  virtual void shut() = 0;                             // whoever waits, and all later calls, get kUnavailable
  virtual const std::string& common_name() const = 0;  // of the other side, verified
  virtual const std::vector<std::string>& organizations() const = 0;
};

class TlsPeers {  // certificates, loaded once
 public:
  virtual ~TlsPeers() = default;
  // `silence_ms`: the connection is over when the other machine acknowledges nothing for so long. TCP itself
  // would try again ever more rarely, and go on late after a network that was broken for a while.
  virtual Result<std::unique_ptr<TlsStream>> connect(const std::string& host, std::uint16_t port,
                                                     std::int64_t timeout_ms, std::int64_t silence_ms) = 0;
  virtual Result<std::unique_ptr<TlsStream>> accept(int fd, std::int64_t timeout_ms) = 0;  // takes `fd`
};

Result<std::unique_ptr<TlsPeers>> load_peer_tls(const PeerTls& files);

}  // namespace coxswain::store
