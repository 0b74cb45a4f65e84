#include "libs/api/meta/int_or_string.h"

#include "libs/common/base/strings.h"

namespace coxswain::api {

bool is_percent(std::string_view text) {
  if (text.size() < 2 || text.size() > 11 || text.back() != '%') return false;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

Result<std::int64_t> scaled_value(const json::Value& value, std::int64_t total, bool round_up) {
  if (value.type() == json::Type::kInt) return value.as_int();
  if (!value.is_string() || !is_percent(value.as_string())) {
    return make_error(ErrorCode::kInvalidArgument, "invalid type: string is not a percentage");
  }
  const std::string& text = value.as_string();
  const std::int64_t percent = *parse_int64(std::string_view(text).substr(0, text.size() - 1));
  const __int128 product = static_cast<__int128>(percent) * total;
  const __int128 result = round_up ? (product + 99) / 100 : product / 100;
  return static_cast<std::int64_t>(result);
}

}  // namespace coxswain::api
