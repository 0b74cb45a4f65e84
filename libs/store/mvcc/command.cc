#include "libs/store/mvcc/command.h"

#include <algorithm>

#include "libs/common/base/wire.h"

namespace coxswain::store {
namespace {

constexpr std::uint64_t kWithOrigin = 3;  // beside the types of commands

bool valid_key(std::string_view key) { return !key.empty() && key.find('\0') == std::string_view::npos; }

void decode_txn(WireReader* in, Txn* txn) {
  for (std::uint64_t n = in->varint(); n > 0 && in->ok(); --n) {
    Compare compare;
    compare.key = in->bytes();
    compare.mod_revision = static_cast<Revision>(in->varint());
    txn->compares.push_back(std::move(compare));
  }
  for (std::uint64_t n = in->varint(); n > 0 && in->ok(); --n) {
    Op op;
    op.type = in->varint() == 0 ? Op::Type::kPut : Op::Type::kDelete;
    const std::uint64_t splice = in->varint();
    op.splice_at = splice == 0 ? kNoSplice : splice - 1;
    op.key = in->bytes();
    op.value = in->bytes();
    txn->ops.push_back(std::move(op));
  }
}

}  // namespace

Result<void> check_txn(const Txn& txn, std::size_t max_value_bytes, std::size_t max_bytes) {
  std::size_t bytes = 0;
  std::vector<std::string_view> keys;
  keys.reserve(txn.ops.size());
  for (const Op& op : txn.ops) {
    if (!valid_key(op.key))
      return make_error(ErrorCode::kInvalidArgument, "a key is empty or contains a NUL byte");
    if (op.splice_at != kNoSplice && op.splice_at > op.value.size()) {
      return make_error(ErrorCode::kInvalidArgument, "splice position outside of the value of " + op.key);
    }
    if (op.value.size() > max_value_bytes) {
      return make_error(ErrorCode::kInvalidArgument, "the object has " + std::to_string(op.value.size()) +
                                                         " bytes; the store takes at most " +
                                                         std::to_string(max_value_bytes) + " of one");
    }
    keys.push_back(op.key);
    bytes += op.key.size() + op.value.size();
  }
  for (const Compare& compare : txn.compares) bytes += compare.key.size();
  std::sort(keys.begin(), keys.end());
  if (std::adjacent_find(keys.begin(), keys.end()) != keys.end()) {
    return make_error(ErrorCode::kInvalidArgument, "a transaction names one key twice");
  }
  if (bytes > max_bytes) {
    return make_error(ErrorCode::kInvalidArgument, "the transaction has " + std::to_string(bytes) +
                                                       " bytes; at most " + std::to_string(max_bytes) +
                                                       " are allowed");
  }
  return {};
}

std::string encode_txn(const Txn& txn) {
  std::size_t size = 16;
  for (const Compare& compare : txn.compares) size += compare.key.size() + 16;
  for (const Op& op : txn.ops) size += op.key.size() + op.value.size() + 24;
  std::string out;
  out.reserve(size);
  put_varint(&out, static_cast<std::uint64_t>(Command::Type::kTxn));
  put_varint(&out, txn.compares.size());
  for (const Compare& compare : txn.compares) {
    put_bytes(&out, compare.key);
    put_varint(&out, static_cast<std::uint64_t>(compare.mod_revision));
  }
  put_varint(&out, txn.ops.size());
  for (const Op& op : txn.ops) {
    put_varint(&out, static_cast<std::uint64_t>(op.type));
    put_varint(&out, op.splice_at == kNoSplice ? 0 : op.splice_at + 1);
    put_bytes(&out, op.key);
    put_bytes(&out, op.value);
  }
  return out;
}

std::string encode_compact(Revision revision) {
  std::string out;
  put_varint(&out, static_cast<std::uint64_t>(Command::Type::kCompact));
  put_varint(&out, static_cast<std::uint64_t>(revision));
  return out;
}

std::string encode_check() {
  std::string out;
  put_varint(&out, static_cast<std::uint64_t>(Command::Type::kCheck));
  return out;
}

std::string encode_report(std::uint64_t check, const StateHash& hash) {
  std::string out;
  put_varint(&out, static_cast<std::uint64_t>(Command::Type::kReport));
  for (const std::uint64_t number : {check, hash.high, hash.low}) put_varint(&out, number);
  return out;
}

std::string encode_with_origin(const Origin& origin, std::string_view command) {
  std::string out;
  out.reserve(command.size() + 32);
  put_varint(&out, kWithOrigin);
  for (const std::uint64_t number : {origin.member, origin.incarnation, origin.sequence, origin.settled})
    put_varint(&out, number);
  out.append(command);
  return out;
}

Result<Command> decode_command(std::string_view bytes) {
  WireReader in(bytes);
  Command command;
  std::uint64_t type = in.varint();
  if (type == kWithOrigin) {
    Origin& origin = command.origin.emplace();
    for (std::uint64_t* number : {&origin.member, &origin.incarnation, &origin.sequence, &origin.settled})
      *number = in.varint();
    type = in.varint();
  }
  command.type = static_cast<Command::Type>(type);
  switch (command.type) {
    case Command::Type::kTxn:
      decode_txn(&in, &command.txn);
      break;
    case Command::Type::kCompact:
      command.compact_to = static_cast<Revision>(in.varint());
      break;
    case Command::Type::kCheck:
      break;
    case Command::Type::kReport:
      for (std::uint64_t* number : {&command.check, &command.hash.high, &command.hash.low})
        *number = in.varint();
      if (!command.origin.has_value()) in.fail();  // whose it is
      break;
    default:
      return make_error(ErrorCode::kCorruption, "unknown command type in the log");
  }
  if (!in.ok() || !in.done()) return make_error(ErrorCode::kCorruption, "malformed command in the log");
  return command;
}

}  // namespace coxswain::store
