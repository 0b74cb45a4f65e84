// IntOrString values: a number, or a percentage of a total ("25%"). Pure.
#pragma once

#include <cstdint>

#include "libs/common/base/result.h"
#include "libs/common/json/json.h"

namespace coxswain::api {

// A number as it is; "25%" of `total`, rounded up or down. Any other text is an error.
Result<std::int64_t> scaled_value(const json::Value& int_or_string, std::int64_t total, bool round_up);
// True for text like "0%" to "2147483647%".
bool is_percent(std::string_view text);

}  // namespace coxswain::api
