// Looks for values in memory that are no longer what they were: walks the keys in small steps, while writes
// go on, and adds up what it finds. At the end that must be what the writes add up to. Pure.
#pragma once

#include <optional>
#include <string>

#include "libs/store/mvcc/state.h"
#include "libs/store/mvcc/state_hash.h"

namespace coxswain::store {

class Scrub {
 public:
  // The next keys of `index`, about so many bytes; at the end of a walk: the hash of everything that is
  // there.
  std::optional<StateHash> step(const Index& index, std::size_t max_entries, std::size_t max_bytes);
  // Every change of the index between two steps.
  void changed(const State::Plan& plan);
  // Begins again: everything is another.
  void reset() { *this = {}; }

 private:
  bool walking_ = false;
  std::string at_;  // everything up to here is in the sum
  StateHash sum_;
};

}  // namespace coxswain::store
