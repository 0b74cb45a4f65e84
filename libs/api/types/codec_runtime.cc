#include "libs/api/types/codec_runtime.h"

#include <cstdio>
#include <limits>

#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"

namespace coxswain::api::codec {

void read(const json::Value& value, std::string& out) {
  if (value.is_string()) out = value.as_string();
}
void read(const json::Value& value, bool& out) {
  if (value.is_bool()) out = value.as_bool();
}
void read(const json::Value& value, std::int32_t& out) {
  if (value.type() != json::Type::kInt) return;
  const std::int64_t n = value.as_int();
  if (n >= std::numeric_limits<std::int32_t>::min() && n <= std::numeric_limits<std::int32_t>::max()) {
    out = static_cast<std::int32_t>(n);
  }
}
void read(const json::Value& value, std::int64_t& out) {
  if (value.type() == json::Type::kInt) out = value.as_int();
}
void read(const json::Value& value, double& out) {
  if (value.is_number()) out = value.as_double();
}
void read(const json::Value& value, Time& out) {
  std::int64_t ms = 0;
  if (value.is_string() && parse_rfc3339(value.as_string(), &ms)) out.unix_ms = ms;
}

void read(const json::Value& value, MicroTime& out) {
  std::int64_t ms = 0;
  if (!value.is_string() || !parse_rfc3339(value.as_string(), &ms)) return;
  std::int64_t micros = 0;  // the three digits behind the milliseconds
  const std::string& text = value.as_string();
  if (text.size() > 20 && text[19] == '.') {
    int scale = 100;
    for (std::size_t i = 23; i < text.size() && i < 26 && text[i] >= '0' && text[i] <= '9';
         ++i, scale /= 10) {
      micros += (text[i] - '0') * scale;
    }
  }
  out.unix_us = ms * 1000 + micros;
}

void read(const json::Value& value, IntOrString& out) {
  if (value.is_string()) {
    out = IntOrString::of(value.as_string());
  } else if (value.type() == json::Type::kInt) {
    std::int32_t n = 0;
    read(value, n);
    out = IntOrString::of(n);
  }
}
void read(const json::Value& value, json::Value& out) { out = value; }
void read_bytes(const json::Value& value, std::string& out) {
  if (!value.is_string()) return;
  if (auto bytes = base64_decode(value.as_string())) out = std::move(*bytes);
}
void read_quantity(const json::Value& value, std::string& out) {
  if (value.is_string())
    out = value.as_string();
  else if (value.is_number())
    out = json::write(value);
}

json::Value write(const std::string& value) { return value; }
json::Value write(bool value) { return value; }
json::Value write(std::int32_t value) { return value; }
json::Value write(std::int64_t value) { return json::Value(static_cast<long>(value)); }
json::Value write(double value) { return value; }
json::Value write(const Time& value) {
  return value.is_zero() ? json::Value() : json::Value(format_rfc3339(value.unix_ms));
}

json::Value write(const MicroTime& value) {
  if (value.is_zero()) return {};
  std::string text = format_rfc3339(value.unix_us / 1000);
  text.pop_back();
  char fraction[16];
  std::snprintf(fraction, sizeof(fraction), ".%06dZ", static_cast<int>(value.unix_us % 1000000));
  return text + fraction;
}

json::Value write(const IntOrString& value) {
  return value.is_int ? json::Value(value.int_value) : json::Value(value.string_value);
}
json::Value write(const json::Value& value) { return value; }
json::Value write_bytes(const std::string& value) { return base64_encode(value); }
json::Value nested(json::Value object) {
  object.erase("apiVersion");
  object.erase("kind");
  return object;
}

bool is_zero(const std::string& value) { return value.empty(); }
bool is_zero(bool value) { return !value; }
bool is_zero(std::int32_t value) { return value == 0; }
bool is_zero(std::int64_t value) { return value == 0; }
bool is_zero(double value) { return value == 0; }
bool is_zero(const Time& value) { return value.is_zero(); }
bool is_zero(const MicroTime& value) { return value.is_zero(); }
bool is_zero(const IntOrString& value) { return value.is_int && value.int_value == 0; }
bool is_zero(const json::Value& value) { return value.is_null(); }

}  // namespace coxswain::api::codec
