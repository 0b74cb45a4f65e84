// "Did you mean ...?" Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coxswain::cli {

// The candidate that `word` likely is a slip of; "" when none is near.
std::string suggest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace coxswain::cli
