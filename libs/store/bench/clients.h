// Clients of a store. Each waits for its answer before it asks again; the next question is asked by the
// callback of the answer, so that a hundred clients take no hundred threads.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "libs/store/store.h"

namespace coxswain::store::bench {

struct Work {
  int clients = 1;
  double seconds = 1;    // of measuring, after a fifth of that to warm up
  std::string prefix;    // of keys
  std::size_t keys = 0;  // that are written over and over, or read; 0: every write has a new one
  std::size_t value_bytes = 0;
  // What is written n-th, to the key of this number; empty: value_bytes that do not compress.
  std::function<std::string(std::uint64_t key, std::uint64_t n)> value = {};
};

struct Done {
  double operations = 0;
  double seconds = 0;
  double processor_seconds = 0;  // of the whole process
  double per_second() const { return operations / seconds; }
  std::string processor_note() const;  // "12.3 us of processor each"
};

Done put(Store& store, const Work& work);
// barrier(), then get(): what was acknowledged anywhere before is seen.
Done read_fresh(Store& store, const Work& work);

// Writes keys 0..n-1 of `work`, or n random ones of `work.keys`.
void fill(Store& store, const Work& work, std::size_t n);

// One thread that waits for each write; microseconds of each.
std::vector<double> put_one_by_one(Store& store, const Work& work);

std::string key_of(const std::string& prefix, std::uint64_t n);

}  // namespace coxswain::store::bench
