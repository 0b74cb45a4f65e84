#include "libs/api/protobuf/wire.h"

namespace coxswain::api::protobuf {

bool WireReader::read_varint(std::uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ >= bytes_.size()) return false;
    const auto byte = static_cast<unsigned char>(bytes_[at_++]);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

bool WireReader::read_fixed(int size, std::uint64_t& value) {
  if (bytes_.size() - at_ < static_cast<std::size_t>(size)) return false;
  value = 0;
  for (int i = 0; i < size; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[at_ + static_cast<std::size_t>(i)]))
             << (8 * i);
  }
  at_ += static_cast<std::size_t>(size);
  return true;
}

bool WireReader::next(WireField& field) {
  std::uint64_t tag = 0;
  if (!read_varint(tag) || (tag >> 3) == 0 || (tag >> 3) > 0x1fffffff) return false;
  field.number = static_cast<std::uint32_t>(tag >> 3);
  field.varint = 0;
  field.bytes =
      bytes_.substr(at_, 0);  // callers that expect another wire type see nothing, not the last field
  switch (tag & 7) {
    case 0:
      field.type = WireType::kVarint;
      return read_varint(field.varint);
    case 1:
      field.type = WireType::kFixed64;
      return read_fixed(8, field.varint);
    case 5:
      field.type = WireType::kFixed32;
      return read_fixed(4, field.varint);
    case 2: {
      field.type = WireType::kBytes;
      std::uint64_t size = 0;
      if (!read_varint(size) || size > bytes_.size() - at_) return false;
      field.bytes = bytes_.substr(at_, static_cast<std::size_t>(size));
      at_ += static_cast<std::size_t>(size);
      return true;
    }
    default:
      return false;  // groups are not used
  }
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - i < size) return false;
    for (std::size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if (lead == 0xe0 && second < 0xa0) return false;  // overlong
    if (lead == 0xed && second > 0x9f) return false;  // surrogate
    if (lead == 0xf0 && second < 0x90) return false;  // overlong
    if (lead == 0xf4 && second > 0x8f) return false;  // above U+10FFFF
    i += size;
  }
  return true;
}

}  // namespace coxswain::api::protobuf
