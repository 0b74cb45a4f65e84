// The protobuf wire format: a bounded reader over bytes. Never reads past the end.
#pragma once

#include <cstdint>
#include <string_view>

namespace coxswain::api::protobuf {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;
  std::uint64_t varint = 0;  // kVarint, kFixed64, kFixed32; else 0
  std::string_view bytes;    // kBytes; else empty
};

class WireReader {
 public:
  // `origin` is the offset of `bytes` in the whole body, for messages.
  WireReader(std::string_view bytes, std::size_t origin) : bytes_(bytes), origin_(origin) {}
  bool at_end() const { return at_ == bytes_.size(); }
  // False when the bytes are damaged; offset() is then where.
  bool next(WireField& field);
  bool read_varint(std::uint64_t& value);
  std::size_t offset() const { return origin_ + at_; }
  // Offset of a kBytes field's first byte in the whole body; `inner` must come from this reader.
  std::size_t offset_of(std::string_view inner) const {
    return origin_ + static_cast<std::size_t>(inner.data() - bytes_.data());
  }

 private:
  bool read_fixed(int size, std::uint64_t& value);
  std::string_view bytes_;
  std::size_t origin_;
  std::size_t at_ = 0;
};

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace coxswain::api::protobuf
