// gzip (RFC 1952) for bodies. Inflation is bounded: a bomb is refused, not expanded.
#pragma once

#include <string>
#include <string_view>

#include "libs/common/base/result.h"

namespace coxswain::http {

// kInvalidArgument when damaged, kResourceExhausted above `max_bytes`.
Result<std::string> gunzip(std::string_view bytes, std::size_t max_bytes);
std::string gzip(std::string_view bytes, int level = 1);

}  // namespace coxswain::http
