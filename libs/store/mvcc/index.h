// The ordered index of keys to their current versions: a persistent B+tree. Copying it is O(1) and gives a
// snapshot that later writes to the original never touch: a writer copies the few nodes on its path that
// a snapshot still shares, and changes in place those it does not. Counts in the nodes make rank O(log n).
//
// Threads: one Index object is not synchronised; copies of it may be used and dropped by other threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "libs/store/store.h"

namespace coxswain::store {

class Index {
 public:
  Index() = default;
  Index(const Index& other);
  Index(Index&& other) noexcept;
  Index& operator=(Index other) noexcept;
  ~Index();

  EntryPtr find(std::string_view key) const;
  void put(EntryPtr entry);          // inserts or replaces
  bool erase(std::string_view key);  // false: was not there
  std::int64_t size() const;
  std::int64_t rank(std::string_view key) const;  // how many keys are smaller
  std::int64_t count_prefix(std::string_view prefix) const;
  // Keys >= `from` in order until `visit` returns false.
  void scan(std::string_view from, const std::function<bool(const EntryPtr&)>& visit) const;

  struct Node;  // private to index.cc

 private:
  Node* root_ = nullptr;  // one reference is ours
};

// The smallest string greater than every string with this prefix; empty: there is none.
std::string prefix_end(std::string_view prefix);

inline bool has_prefix(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && text.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace coxswain::store
