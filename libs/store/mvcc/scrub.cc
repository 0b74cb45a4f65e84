#include "libs/store/mvcc/scrub.h"

namespace coxswain::store {

std::optional<StateHash> Scrub::step(const Index& index, std::size_t max_entries, std::size_t max_bytes) {
  if (!walking_) {
    reset();
    walking_ = true;
  }
  bool more = false;
  std::size_t entries = 0, bytes = 0;
  index.scan(at_.empty() ? at_ : at_ + '\0', [&](const EntryPtr& entry) {
    more = entries == max_entries || bytes >= max_bytes;
    if (more) return false;
    ++entries;
    bytes += entry->key.size() + entry->value.size();
    sum_ += hash_entry(*entry);
    at_ = entry->key;
    return true;
  });
  if (more) return std::nullopt;
  walking_ = false;
  return sum_;
}

void Scrub::changed(const State::Plan& plan) {
  if (!walking_) return;
  for (std::size_t i = 0; i < plan.events.size(); ++i)
    if (plan.events[i]->entry->key <= at_) sum_ += plan.changes[i];
}

}  // namespace coxswain::store
