// The contract of store.h in the plainest code that can be right: every version of every key in a
// std::map, every event in a vector, one mutex. The randomised tests compare the real stores with it.
#pragma once

#include <memory>

#include "libs/store/store.h"

namespace coxswain::store {

std::unique_ptr<Store> make_model_store();

}  // namespace coxswain::store
