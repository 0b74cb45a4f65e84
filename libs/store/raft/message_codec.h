// Messages as bytes between members: version 1. Everything is checked while it is read, so that what step()
// gets makes sense in itself, whoever sent it:
//
//   message  := version=1 kind flags from to term index log_term commit commit_term hint
//               context
//               [kAppend, kForward: count entry*] [kSnapshot: index term configuration]
//   flags    := 1 reject | 2 transfer
//   entry    := term kind data       indexes follow the message's: index + 1, index + 2, ...
//
// Numbers are varints, data and configurations have their length in front. docs/store.md has the same for
// those who write another member.
#pragma once

#include <string>
#include <string_view>

#include "libs/common/base/result.h"
#include "libs/store/raft/types.h"

namespace coxswain::store::raft {

inline constexpr std::uint8_t kMessageVersion = 1;

std::string encode_message(const Message& message);

// kCorruption: not a message. kUnimplemented: of a newer version; the error says which.
Result<Message> decode_message(std::string_view bytes);

}  // namespace coxswain::store::raft
