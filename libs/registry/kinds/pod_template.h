// Defaults and checks of pod specs, shared by pods and the kinds that carry pod templates.
#pragma once

#include <string>

#include "libs/registry/strategy.h"

namespace coxswain::registry {

void default_pod_spec(json::Value& spec);
// Appends the warnings of a pod spec to the request's, once each: a request may be planned more than once.
void warn_of_pod_spec(const Context& context, const json::Value* spec, const std::string& path);
// "a,b" of container names or images.
std::string container_list(const json::Value* spec, const char* member);
// A LabelSelector as text, "k=v,k2 in (a,b)"; "<none>" when it selects everything.
std::string selector_cell(const json::Value* selector);
// A map of labels as text, sorted by key; "<none>" when empty.
std::string map_cell(const json::Value* labels);

}  // namespace coxswain::registry
