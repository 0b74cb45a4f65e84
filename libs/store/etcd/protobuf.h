// Protobuf's wire format, as much as etcd's messages use of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libs/common/base/wire.h"

namespace coxswain::store::etcd {

inline void put_field(std::string* out, std::uint32_t field, std::string_view bytes) {
  put_varint(out, field << 3 | 2u);
  put_bytes(out, bytes);
}
// Zero is what an absent field means; inside a oneof it must be written: `always`.
inline void put_field(std::string* out, std::uint32_t field, std::int64_t value, bool always = false) {
  if (value == 0 && !always) return;
  put_varint(out, field << 3);
  put_varint(out, static_cast<std::uint64_t>(value));
}

// One field after the other. A field of another type than asked for reads as zero or empty.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : wire_(bytes) {}

  // False: that was all, or it is malformed; ok() tells.
  bool next() {
    number_ = 0;
    bytes_ = {};
    if (wire_.done()) return false;
    const std::uint64_t tag = wire_.varint();
    field_ = tag >> 3;
    switch (tag & 7) {
      case 0:
        number_ = wire_.varint();
        break;
      case 1:
        skip(8);
        break;
      case 2:
        bytes_ = wire_.bytes();
        break;
      case 5:
        skip(4);
        break;
      default:  // groups: nobody sends them
        wire_.fail();
    }
    if (field_ == 0 || field_ > 0x1fffffff) wire_.fail();
    return wire_.ok();
  }
  std::uint64_t field() const { return field_; }
  std::uint64_t number() const { return number_; }
  std::int64_t integer() const { return static_cast<std::int64_t>(number_); }
  std::string_view bytes() const { return bytes_; }
  bool ok() const { return wire_.ok(); }

 private:
  void skip(std::size_t size) {
    if (wire_.rest().size() < size) return wire_.fail();
    wire_ = WireReader(wire_.rest().substr(size));
  }

  WireReader wire_;
  std::uint64_t field_ = 0;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace coxswain::store::etcd
