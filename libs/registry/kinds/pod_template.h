// Defaults and checks of pod specs, shared by pods and the kinds that carry pod templates.
#pragma once

#include <string>

#include "libs/registry/strategy.h"

namespace coxswain::registry {

void default_pod_spec(json::Value& spec);
// "a,b" of container names or images.
std::string container_list(const json::Value* spec, const char* member);
// "k=v,k2=v2,k3 in (..)"; "<none>" when empty.
std::string selector_cell(const json::Value* selector);

}  // namespace coxswain::registry
