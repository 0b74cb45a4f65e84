// Small shared shapes of answers. Pure.
#pragma once

#include <string>

#include "libs/common/json/json.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {

// What is stored -> what this group/version serves.
json::Value served_form(const Strategy& strategy, json::Value stored);
// A Table without rows.
json::Value table_head(const api::schema::Resource& resource, const std::string& revision);

}  // namespace coxswain::registry
