// Bridges typed structs and JSON. The generated codec functions are overloads in coxswain::api; other
// structs (slim views that keep only what a controller reads) bring from_json in their own namespace.
#pragma once

#include "libs/common/json/json.h"

// Ref lives in coxswain::api so that argument-dependent look-up finds the overloads declared there
// whatever the include order, beside those in T's own namespace.
namespace coxswain::api {
template <typename T>
struct CodecRef {
  T& object;
  operator T&() const { return object; }
};
}  // namespace coxswain::api

namespace coxswain::client {

template <typename T>
json::Value encode(const T& object) {
  return to_json(api::CodecRef<const T>{object});
}

template <typename T>
T decode(const json::Value& value) {
  T object{};
  from_json(value, api::CodecRef<T>{object});
  return object;
}

}  // namespace coxswain::client
