// The YAML 1.1 core scalars.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "libs/api/yaml/yaml.h"
#include "libs/common/base/strings.h"

namespace coxswain::yaml {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// Digits of `base` with '_' between them ignored; false when there is none or one is out of range.
bool parse_digits(std::string_view digits, unsigned base, std::uint64_t& out) {
  bool any = false;
  out = 0;
  for (const char c : digits) {
    if (c == '_') continue;
    unsigned value = 99;
    if (c >= '0' && c <= '9')
      value = static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f')
      value = static_cast<unsigned>(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      value = static_cast<unsigned>(c - 'A' + 10);
    if (value >= base) return false;
    if (out > (std::numeric_limits<std::uint64_t>::max() - value) / base) return false;
    out = out * base + value;
    any = true;
  }
  return any;
}

bool parse_integer(std::string_view text, json::Value& out) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  unsigned base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char kind = text[1];
    base = kind == 'x' || kind == 'X' ? 16 : kind == 'b' || kind == 'B' ? 2 : 8;
    text.remove_prefix(base != 8 || kind == 'o' || kind == 'O' ? 2 : 1);
  }
  std::uint64_t magnitude = 0;
  if (!parse_digits(text, base, magnitude)) return false;
  if (!negative) {
    out = json::Value(static_cast<unsigned long>(magnitude));
    return true;
  }
  constexpr std::uint64_t kMin = static_cast<std::uint64_t>(INT64_MAX) + 1;
  if (magnitude > kMin) return false;
  out = magnitude == kMin ? json::Value(static_cast<long>(INT64_MIN))
                          : json::Value(-static_cast<long>(magnitude));
  return true;
}

// [-+]?([0-9][0-9_]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?, with at least one digit before the exponent.
bool is_float(std::string_view text) {
  std::size_t i = 0;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  std::size_t digits = 0;
  for (; i < text.size() && ((text[i] >= '0' && text[i] <= '9') || (text[i] == '_' && digits > 0)); ++i)
    ++digits;
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) ++digits;
  }
  if (digits == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    const std::size_t start = i;
    while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
    if (i == start) return false;
  }
  return i == text.size();
}

}  // namespace

json::Value resolve_scalar(std::string_view text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return {};
  if (is_one_of(text, {"y", "Y", "n", "N"})) return json::Value(text);  // yaml.v2 keeps single letters
  if (is_one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}))
    return json::Value(true);
  if (is_one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}))
    return json::Value(false);
  const char first = text[0];
  if (first != '-' && first != '+' && first != '.' && !(first >= '0' && first <= '9'))
    return json::Value(text);
  json::Value integer;
  if (parse_integer(text, integer)) return integer;
  if (!is_float(text)) return json::Value(text);
  std::string plain(text);
  plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
  const double number = std::strtod(plain.c_str(), nullptr);
  return std::isfinite(number) ? json::Value(number) : json::Value(text);
}

}  // namespace coxswain::yaml
