// Empty structs that Kubernetes always shows.
//
// Upstream's types hold some structs by value (`resources` of a container, `lastState` of its status,
// `loadBalancer` of a Service's status): its answers always carry them, as `{}` when nothing is set, and
// clients in typed languages read through them without a check. Documents get the same members here.
// Pure.
#pragma once

#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"

namespace coxswain::registry {

// Adds the missing by-value structs of `object`, at every depth; nothing that is there changes. In a struct
// that is added, required numbers, booleans and strings are there with their zero value. Idempotent.
void add_zero_structs(const api::schema::Type& type, json::Value& object);

}  // namespace coxswain::registry
