// Bridges typed structs and JSON: the codec functions are found by argument-dependent look-up, beside
// the generated structs or beside a slim struct that keeps only what a controller reads.
#pragma once

#include "libs/common/json/json.h"

namespace coxswain::client {

template <typename T>
json::Value encode(const T& object) {
  return to_json(object);
}

template <typename T>
void decode_into(const json::Value& value, T& object) {
  from_json(value, object);
}

template <typename T>
T decode(const json::Value& value) {
  T object{};
  from_json(value, object);
  return object;
}

}  // namespace coxswain::client
