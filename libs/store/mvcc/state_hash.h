// A hash of a set of entries that needs no order: the sum of the hashes of its members. It changes with every
// write by what comes and what goes, whatever the size of the set. 128 bits; against accidents (a bug, a bit
// that flips), not against somebody who looks for two sets with one hash. The same on every machine. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libs/store/store.h"

namespace coxswain::store {

struct StateHash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  StateHash& operator+=(const StateHash& other) {
    low += other.low;
    high += other.high;
    return *this;
  }
  StateHash& operator-=(const StateHash& other) {
    low -= other.low;
    high -= other.high;
    return *this;
  }
  bool operator==(const StateHash&) const = default;
};

StateHash hash_bytes(std::string_view bytes);
StateHash hash_entry(const Entry& entry);   // all of it
std::string to_string(const StateHash& h);  // 32 hexadecimal digits

}  // namespace coxswain::store
