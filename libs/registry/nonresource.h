// Everything that is not a resource: health, version, metrics, discovery, OpenAPI.
#pragma once

#include "libs/registry/core.h"

namespace coxswain::registry {

// True when it has answered.
bool handle_nonresource(const CallPtr& call);
// Reachable without credentials.
bool is_public_path(std::string_view path);

}  // namespace coxswain::registry
