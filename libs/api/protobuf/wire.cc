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
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[at_ + static_cast<std::size_t>(i)])) << (8 * i);
  }
  at_ += static_cast<std::size_t>(size);
  return true;
}

bool WireReader::next(WireField& field) {
  std::uint64_t tag = 0;
  if (!read_varint(tag) || (tag >> 3) == 0 || (tag >> 3) > 0x1fffffff) return false;
  field.number = static_cast<std::uint32_t>(tag >> 3);
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
    default: return false;  // groups are not used
  }
}

}  // namespace coxswain::api::protobuf
