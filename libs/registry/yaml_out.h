// YAML answers. Small and plain: block style, strings quoted when in doubt. Pure.
#pragma once

#include <string>

#include "libs/common/json/json.h"

namespace coxswain::registry {
std::string write_yaml(const json::Value& value);
}  // namespace coxswain::registry
