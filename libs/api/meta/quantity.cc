#include "libs/api/meta/quantity.h"

#include <algorithm>

namespace coxswain::api {
namespace {

using Wide = __int128;
constexpr Wide kNano = 1'000'000'000;
constexpr Wide kLimit = static_cast<Wide>(INT64_MAX) * kNano;

Wide clamp(Wide nanos) { return std::clamp(nanos, -kLimit, kLimit); }

std::int64_t divide_up(Wide value, Wide by) {
  Wide result = value / by;
  if (value % by > 0) ++result;
  if (value % by < 0) --result;
  return static_cast<std::int64_t>(std::clamp<Wide>(result, -static_cast<Wide>(INT64_MAX), INT64_MAX));
}

bool digit(char c) { return c >= '0' && c <= '9'; }

Error wrong_format() {
  return make_error(ErrorCode::kInvalidArgument,
                    "quantities must match the regular expression "
                    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}
Error wrong_suffix() { return make_error(ErrorCode::kInvalidArgument, "unable to parse quantity's suffix"); }

struct Suffix {
  int exponent10 = 0;
  int exponent1024 = 0;
  Quantity::Format format = Quantity::Format::kDecimalSi;
};

bool parse_suffix(std::string_view text, Suffix& out) {
  struct Named {
    std::string_view text;
    int exponent;
  };
  static constexpr Named kDecimal[] = {{"n", -9}, {"u", -6}, {"m", -3}, {"", 0},   {"k", 3},
                                       {"M", 6},  {"G", 9},  {"T", 12}, {"P", 15}, {"E", 18}};
  static constexpr Named kBinary[] = {{"Ki", 1}, {"Mi", 2}, {"Gi", 3}, {"Ti", 4}, {"Pi", 5}, {"Ei", 6}};
  for (const Named& named : kDecimal) {
    if (named.text == text) {
      out.exponent10 = named.exponent;
      return true;
    }
  }
  for (const Named& named : kBinary) {
    if (named.text == text) {
      out.exponent1024 = named.exponent;
      out.format = Quantity::Format::kBinarySi;
      return true;
    }
  }
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return false;
  std::string_view digits = text.substr(1);
  const bool negative = digits[0] == '-';
  if (digits[0] == '-' || digits[0] == '+') digits.remove_prefix(1);
  if (digits.empty() || digits.size() > 4 || !std::all_of(digits.begin(), digits.end(), digit)) return false;
  int exponent = 0;
  for (const char c : digits) exponent = exponent * 10 + (c - '0');
  if (exponent > 127) return false;
  out.exponent10 = negative ? -exponent : exponent;
  out.format = Quantity::Format::kDecimalExponent;
  return true;
}

// `digits` with the decimal point after `point` of them (may lie outside), times 1024^k, in nanos,
// rounded up, saturated.
Wide to_nanos(const std::string& digits, int point, int exponent1024) {
  Wide whole = 0;
  for (int i = 0; i < point; ++i) {
    whole = whole * 10 + (i < static_cast<int>(digits.size()) ? digits[i] - '0' : 0);
    if (whole > INT64_MAX) return kLimit;
  }
  constexpr int kPlaces = 18;
  Wide fraction = 0;
  bool sticky = false;
  for (int place = 0; place < kPlaces; ++place) {
    const int i = point + place;
    fraction = fraction * 10 + (i >= 0 && i < static_cast<int>(digits.size()) ? digits[i] - '0' : 0);
  }
  for (std::size_t i = static_cast<std::size_t>(std::max(point + kPlaces, 0)); i < digits.size(); ++i) {
    sticky = sticky || digits[i] != '0';
  }
  const Wide scale = static_cast<Wide>(1) << (10 * exponent1024);
  if (whole > INT64_MAX / scale) return kLimit;
  const Wide scaled = fraction * scale;  // < 2^120
  Wide nanos = whole * scale * kNano + scaled / kNano;
  if (scaled % kNano != 0 || sticky) ++nanos;
  return std::min(nanos, kLimit);
}

std::string text_of(Wide value) {
  if (value == 0) return "0";
  std::string out;
  for (Wide rest = value < 0 ? -value : value; rest > 0; rest /= 10)
    out += static_cast<char>('0' + static_cast<int>(rest % 10));
  if (value < 0) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

Result<Quantity> Quantity::parse(std::string_view text) {
  if (text.empty() || text.size() > 512) return wrong_format();
  std::size_t at = 0;
  const bool negative = text[0] == '-';
  if (text[0] == '-' || text[0] == '+') at = 1;
  std::string digits;
  int point = -1;
  for (; at < text.size() && (digit(text[at]) || text[at] == '.'); ++at) {
    if (text[at] != '.') {
      digits += text[at];
    } else if (point < 0) {
      point = static_cast<int>(digits.size());
    } else {
      return wrong_format();
    }
  }
  if (digits.empty()) return wrong_format();
  if (point < 0) point = static_cast<int>(digits.size());
  Suffix suffix;
  if (!parse_suffix(text.substr(at), suffix)) {
    const std::string_view rest = text.substr(at);
    static constexpr std::string_view kAllowed = "eEinumkKMGTP+-0123456789";
    return rest.find_first_not_of(kAllowed) == std::string_view::npos ? wrong_suffix() : wrong_format();
  }
  Quantity out;
  out.nanos_ = to_nanos(digits, point + suffix.exponent10, suffix.exponent1024);
  if (negative) out.nanos_ = -out.nanos_;
  out.format_ = suffix.format;
  return out;
}

Quantity Quantity::from_int(std::int64_t value, Format format) {
  Quantity out;
  out.nanos_ = clamp(static_cast<Wide>(value) * kNano);
  out.format_ = format;
  return out;
}

Quantity Quantity::from_milli(std::int64_t milli, Format format) {
  Quantity out;
  out.nanos_ = clamp(static_cast<Wide>(milli) * 1'000'000);
  out.format_ = format;
  return out;
}

std::string Quantity::to_string() const {
  if (nanos_ == 0) return "0";
  const Wide whole = nanos_ / kNano;
  if (format_ == Format::kBinarySi && is_whole() && (whole >= 1024 || whole <= -1024)) {
    static constexpr const char* kSuffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    Wide mantissa = whole;
    int power = 0;
    while (power < 6 && mantissa % 1024 == 0) {
      mantissa /= 1024;
      ++power;
    }
    return text_of(mantissa) + kSuffixes[power];
  }
  Wide mantissa = nanos_;
  int exponent = -9;
  while (exponent < 18 && mantissa % 1000 == 0) {
    mantissa /= 1000;
    exponent += 3;
  }
  std::string out = text_of(mantissa);
  if (format_ == Format::kDecimalExponent) return exponent == 0 ? out : out + "e" + std::to_string(exponent);
  static constexpr const char* kSuffixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
  return out + kSuffixes[(exponent + 9) / 3];
}

std::int64_t Quantity::value() const { return divide_up(nanos_, kNano); }
std::int64_t Quantity::milli_value() const { return divide_up(nanos_, 1'000'000); }

Quantity& Quantity::add(const Quantity& other) {
  if (nanos_ == 0) format_ = other.format_;
  nanos_ = clamp(nanos_ + other.nanos_);
  return *this;
}

Quantity& Quantity::sub(const Quantity& other) {
  if (nanos_ == 0) format_ = other.format_;
  nanos_ = clamp(nanos_ - other.nanos_);
  return *this;
}

}  // namespace coxswain::api
