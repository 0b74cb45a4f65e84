// resource.Quantity: fixed-point numbers with SI suffixes ("250m", "64Mi", "1e3"). Exact to a nano
// unit, bounded to ±(2^63-1); what is finer is rounded away from zero, what is larger saturates.
// Source: the Kubernetes API reference, "Quantity".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libs/common/base/result.h"

namespace coxswain::api {

class Quantity {
 public:
  enum class Format : std::uint8_t { kDecimalSi, kBinarySi, kDecimalExponent };

  Quantity() = default;
  static Result<Quantity> parse(std::string_view text);
  static Quantity from_int(std::int64_t value, Format format = Format::kDecimalSi);
  static Quantity from_milli(std::int64_t milli, Format format = Format::kDecimalSi);

  std::string to_string() const;     // the canonical form
  std::int64_t value() const;        // whole units, rounded up (away from zero)
  std::int64_t milli_value() const;  // thousandths, rounded up; saturates
  bool is_zero() const { return nanos_ == 0; }
  int sign() const { return nanos_ > 0 ? 1 : (nanos_ < 0 ? -1 : 0); }
  bool is_whole() const { return nanos_ % 1'000'000'000 == 0; }

  // The left side's format wins unless it is zero.
  Quantity& add(const Quantity& other);
  Quantity& sub(const Quantity& other);

  friend bool operator==(const Quantity& a, const Quantity& b) { return a.nanos_ == b.nanos_; }
  friend bool operator<(const Quantity& a, const Quantity& b) { return a.nanos_ < b.nanos_; }
  friend bool operator>(const Quantity& a, const Quantity& b) { return b < a; }
  friend bool operator<=(const Quantity& a, const Quantity& b) { return !(b < a); }
  friend bool operator>=(const Quantity& a, const Quantity& b) { return !(a < b); }

 private:
  using Wide = __int128;  // 2^63 * 10^9 needs 93 bits
  Wide nanos_ = 0;
  Format format_ = Format::kDecimalSi;
};

}  // namespace coxswain::api
