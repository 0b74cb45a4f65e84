// What the log carries: fully determined commands, encoded. Applying the same commands in the same order
// gives the same state on every member. The format is in docs/store.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libs/store/mvcc/sessions.h"
#include "libs/store/mvcc/state_hash.h"
#include "libs/store/store.h"

namespace coxswain::store {

struct Command {
  // 3 is taken: a command with its origin.
  enum class Type : std::uint8_t { kTxn = 1, kCompact = 2, kCheck = 4, kReport = 5 };
  Type type = Type::kTxn;
  Txn txn;                  // kTxn
  Revision compact_to = 0;  // kCompact
  std::uint64_t check = 0;  // kReport: the index of the check...
  StateHash hash;           // ...and the state that the origin's member had there
  std::optional<Origin> origin;
};

// kInvalidArgument: empty, NUL-containing or repeated keys, a splice outside of the value, a value or all of
// it too large.
Result<void> check_txn(const Txn& txn, std::size_t max_value_bytes, std::size_t max_bytes);

std::string encode_txn(const Txn& txn);
std::string encode_compact(Revision revision);
std::string encode_check();
std::string encode_report(std::uint64_t check, const StateHash& hash);
// Any of them, with who asks for it in front.
std::string encode_with_origin(const Origin& origin, std::string_view command);
Result<Command> decode_command(std::string_view bytes);  // kCorruption

}  // namespace coxswain::store
