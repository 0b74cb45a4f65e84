// /store/v1/...: what an operator asks of the built-in store, for members of system:masters. The routes and
// their bodies are in docs/store-api.md.
#pragma once

#include <string>

#include "libs/registry/core.h"

namespace coxswain::registry {

// False: the path is another one's. True: it was answered, or will be.
bool handle_store_admin(const CallPtr& call);

// --- answers that take their time (store_streams.cc): each on a thread of its own, few at a time
// ---------------
void handle_store_snapshot(const CallPtr& call);
void handle_store_hash(const CallPtr& call);
void handle_store_compact(const CallPtr& call, std::int64_t revision);

// One field of a request is wrong; `what` is the kind that is complained of.
api::Status bad_store_field(const std::string& what, const std::string& field, const std::string& reason,
                            const std::string& message);

}  // namespace coxswain::registry
