// Members over TLS: a listener, a sender for each of the others, a reader for each connection that comes in.
// The wire is in handshake.h.
//
// A member proves who it is by its certificate (member_name(), kMembersOrganization, of the cluster's
// authority); a message that names another sender ends its connection. What waits for somebody who does not
// take it is bounded, and lost when it is too much: Raft sends it again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "libs/common/base/clock.h"
#include "libs/store/node/transport.h"
#include "libs/store/peer/tls_stream.h"

namespace coxswain::store {

struct PeerAddress {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const PeerAddress&) const = default;
};

struct PeerOptions {
  raft::MemberId id = raft::kNobody;
  std::string cluster;        // both sides must name the same
  std::uint64_t data_id = 0;  // of this member's data directory
  // Whether a member, known by its certificate, may speak with this one; asked by both sides. Any thread.
  std::function<Result<void>(raft::MemberId, std::uint64_t data_id)> admit =
      [](raft::MemberId, std::uint64_t) { return Result<void>(); };
  std::string listen_address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  PeerTls tls;
  Clock* clock = &system_clock();  // not owned; what time it is
  std::int64_t io_timeout_ms = 5000;
  std::int64_t mail_silence_ms = 1000;  // mail that the other machine does not acknowledge: connect again
  std::size_t queue_messages = 4096;
  std::size_t queue_bytes = 64u << 20;
  std::size_t state_bytes_per_second = 64u << 20;  // leaves room for mail and for clients
  std::function<void(const std::string&)> on_refusal = [](const std::string&) {};  // one line; any thread
};

class TlsTransport : public Transport {
 public:
  // Listens already; nothing is answered before start().
  static Result<std::unique_ptr<TlsTransport>> open(PeerOptions options);
  virtual std::uint16_t port() const = 0;
  // Where the others are; any time. Those that are not named are not sent to.
  virtual void set_peers(const std::map<raft::MemberId, PeerAddress>& peers) = 0;
};

}  // namespace coxswain::store
