// A gRPC client's end of one HTTP/2 connection, without a socket: bytes in, events and bytes out. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::store::etcd {

// gRPC's status codes that are told apart here.
enum GrpcCode : int {
  kGrpcOk = 0,
  kGrpcInvalidArgument = 3,
  kGrpcPermissionDenied = 7,
  kGrpcResourceExhausted = 8,
  kGrpcFailedPrecondition = 9,
  kGrpcOutOfRange = 11,
  kGrpcUnimplemented = 12,
  kGrpcInternal = 13,
  kGrpcUnavailable = 14,
  kGrpcUnauthenticated = 16,
};

// How a call ended.
struct CallEnd {
  int code = kGrpcOk;
  std::string message;
  bool not_executed = false;  // for certain: the server did not look at it
  bool lost = false;          // the connection ended; `message` is why, not what the server said of the call
};

// Cuts a stream of bytes into messages. Errors: longer than allowed, or compressed, which nobody asked for.
class MessageReader {
 public:
  explicit MessageReader(std::size_t max_bytes) : max_bytes_(max_bytes) {}
  Result<void> append(std::string_view bytes);
  std::optional<std::string> next();
  std::size_t buffered() const { return buffer_.size(); }

 private:
  Result<void> check_head() const;

  const std::size_t max_bytes_;
  std::string buffer_;
};

// "%20" and the like; what is no escape stays. At most 1 KiB of it.
std::string decode_grpc_message(std::string_view text);

using StreamId = std::int32_t;

struct GrpcEvent {
  enum class Type { kMessage, kClosed, kGoAway };
  Type type = Type::kMessage;
  StreamId stream = 0;
  std::string message;  // kMessage; kGoAway: what the server said
  CallEnd end;          // kClosed
};

class GrpcSession {
 public:
  virtual ~GrpcSession() = default;
  // Calls `path` with one message. Unless `stays_open`, that is all this side says. kUnavailable: the
  // connection takes no more calls.
  virtual Result<StreamId> call(std::string_view path, std::string_view message, bool stays_open) = 0;
  virtual void cancel(StreamId stream) = 0;  // its kClosed may still come
  virtual void ping() = 0;
  // Bytes from the server; an error ends the connection.
  virtual Result<std::vector<GrpcEvent>> receive(std::string_view bytes) = 0;
  // What is to be sent next, valid until the next call of anything; empty: nothing now.
  virtual std::string_view output() = 0;
};

struct GrpcOptions {
  std::string authority;  // host:port
  bool tls = false;
  std::size_t max_message_bytes = 64u << 20;
};
std::unique_ptr<GrpcSession> open_grpc_session(GrpcOptions options);

}  // namespace coxswain::store::etcd
