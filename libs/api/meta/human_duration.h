// Durations as kubectl prints them in AGE columns: "47s", "3m12s", "5h", "2d3h", "1y20d". Pure.
#pragma once

#include <cstdint>
#include <string>

namespace coxswain::api {

std::string human_duration(std::int64_t milliseconds);

}  // namespace coxswain::api
