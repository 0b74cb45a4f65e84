// What two members say to each other before anything else, and how bytes are framed between them: version 2.
//
//   frame  := u32 length, u32 crc32c of the payload (both big-endian), payload
//   hello  := "COXPEER" version purpose cluster-bytes from data-id to unix-ms     from whoever connects
//   answer := version, 0 data-id | 1 refused text-bytes
//
// Mail: frames of messages follow, one way, for as long as the connection lasts. A state: state_transfer.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libs/common/base/result.h"
#include "libs/store/raft/types.h"

namespace coxswain::store {

inline constexpr std::uint8_t kPeerVersion = 2;
inline constexpr std::size_t kFrameHead = 8;
inline constexpr std::size_t kMaxFrameBytes = 32u << 20;

enum class Purpose : std::uint8_t { kMail = 1, kState = 2 };

struct Hello {
  Purpose purpose = Purpose::kMail;
  std::string cluster;
  raft::MemberId from = raft::kNobody;
  std::uint64_t data_id = 0;  // of the data directory of `from`
  raft::MemberId to = raft::kNobody;
  std::int64_t unix_ms = 0;  // by the clock of `from`
};

// Leases, certificates and ages are by each machine's clock: members whose clocks are hours apart disagree
// about all of them, and are not to begin with that. One that goes wrong later does not end a connection.
inline constexpr std::int64_t kMaxClockGapMs = 60 * 60 * 1000;
Result<void> check_clock(const Hello& hello, std::int64_t ours_unix_ms);  // kPermissionDenied

std::string frame(std::string_view payload);
// Of the head alone: how long the payload is. kCorruption: longer than anybody may send.
Result<std::size_t> frame_length(std::string_view head);
Result<void> check_frame(std::string_view head, std::string_view payload);  // kCorruption

std::string encode_hello(const Hello& hello);
// kCorruption: not a hello; kUnimplemented: of another version, and the error says which.
Result<Hello> decode_hello(std::string_view bytes);

// Yes, and which data directory answers; or why not.
std::string encode_answer(const Result<std::uint64_t>& outcome);
Result<std::uint64_t> decode_answer(std::string_view bytes);  // what the other one said, or kCorruption

// Who a member is, in its certificate.
std::string member_name(raft::MemberId id);
inline constexpr const char* kMembersOrganization = "system:store-members";

}  // namespace coxswain::store
