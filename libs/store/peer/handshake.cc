#include "libs/store/peer/handshake.h"

#include <algorithm>
#include <cstdint>

#include "libs/common/base/strings.h"
#include "libs/common/base/wire.h"

namespace coxswain::store {
namespace {

constexpr std::string_view kMagic = "COXPEER";
constexpr std::size_t kMostText = 1000;

void put_big32(std::string* out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

std::uint32_t get_big32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

std::string frame(std::string_view payload) {
  std::string out;
  out.reserve(kFrameHead + payload.size());
  put_big32(&out, static_cast<std::uint32_t>(payload.size()));
  put_big32(&out, crc32c(payload));
  out.append(payload);
  return out;
}

Result<std::size_t> frame_length(std::string_view head) {
  if (head.size() < kFrameHead) return make_error(ErrorCode::kCorruption, "half a frame");
  const std::size_t length = get_big32(head);
  if (length > kMaxFrameBytes)
    return make_error(ErrorCode::kCorruption, "a frame of " + std::to_string(length) + " bytes");
  return length;
}

Result<void> check_frame(std::string_view head, std::string_view payload) {
  if (get_big32(head.substr(4)) == crc32c(payload)) return {};
  return make_error(ErrorCode::kCorruption, "a frame was damaged on its way");
}

std::string encode_hello(const Hello& hello) {
  std::string out(kMagic);
  out.push_back(static_cast<char>(kPeerVersion));
  put_varint(&out, static_cast<std::uint64_t>(hello.purpose));
  put_bytes(&out, hello.cluster);
  put_varint(&out, hello.from);
  put_varint(&out, hello.data_id);
  put_varint(&out, hello.to);
  put_varint(&out, static_cast<std::uint64_t>(std::max<std::int64_t>(hello.unix_ms, 0)));
  return out;
}

Result<Hello> decode_hello(std::string_view bytes) {
  if (bytes.size() <= kMagic.size() || bytes.substr(0, kMagic.size()) != kMagic)
    return make_error(ErrorCode::kCorruption, "not a member of a store");
  const auto version = static_cast<std::uint8_t>(bytes[kMagic.size()]);
  if (version != kPeerVersion) {
    return make_error(ErrorCode::kUnimplemented,
                      "it speaks version " + std::to_string(version) + ", this member speaks version " +
                          std::to_string(kPeerVersion) + ": run releases that are closer together");
  }
  WireReader reader(bytes.substr(kMagic.size() + 1));
  Hello hello;
  const std::uint64_t purpose = reader.varint();
  if (purpose != static_cast<std::uint64_t>(Purpose::kMail) &&
      purpose != static_cast<std::uint64_t>(Purpose::kState))
    reader.fail();
  hello.purpose = static_cast<Purpose>(purpose);
  hello.cluster = std::string(reader.bytes());
  hello.from = reader.varint();
  hello.data_id = reader.varint();
  hello.to = reader.varint();
  const std::uint64_t unix_ms = reader.varint();
  if (unix_ms > static_cast<std::uint64_t>(INT64_MAX)) reader.fail();
  hello.unix_ms = static_cast<std::int64_t>(unix_ms);
  if (!reader.ok() || !reader.done() || hello.from == raft::kNobody || hello.to == raft::kNobody)
    return make_error(ErrorCode::kCorruption, "not a member of a store");
  return hello;
}

Result<void> check_clock(const Hello& hello, std::int64_t ours_unix_ms) {
  const bool ahead = hello.unix_ms > ours_unix_ms;
  const std::int64_t gap_ms = ahead ? hello.unix_ms - ours_unix_ms : ours_unix_ms - hello.unix_ms;
  if (gap_ms <= kMaxClockGapMs) return {};
  const std::int64_t minutes = gap_ms / 60'000;
  return make_error(ErrorCode::kPermissionDenied,
                    "the clock of member " + std::to_string(hello.from) + " is " +
                        std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min " +
                        (ahead ? "ahead of" : "behind") + " that of member " + std::to_string(hello.to) +
                        ": set both right, with NTP for example; they go on by themselves then");
}

std::string encode_answer(const Result<std::uint64_t>& outcome) {
  std::string out(1, static_cast<char>(kPeerVersion));
  put_varint(&out, outcome.ok() ? 0 : 1);
  if (outcome.ok())
    put_varint(&out, *outcome);
  else
    put_bytes(&out, std::string_view(outcome.error().message).substr(0, kMostText));
  return out;
}

Result<std::uint64_t> decode_answer(std::string_view bytes) {
  if (bytes.empty()) return make_error(ErrorCode::kCorruption, "no answer");
  WireReader reader(bytes.substr(1));
  const std::uint64_t refused = reader.varint();
  const std::uint64_t data_id = refused == 0 ? reader.varint() : 0;
  const std::string text(refused == 0 ? std::string_view() : reader.bytes());
  if (!reader.ok() || !reader.done() || refused > 1 || text.size() > kMostText)
    return make_error(ErrorCode::kCorruption, "not an answer of a member");
  if (refused == 1) return make_error(ErrorCode::kPermissionDenied, text);
  return data_id;
}

std::string member_name(raft::MemberId id) { return "system:store-member:" + std::to_string(id); }

}  // namespace coxswain::store
