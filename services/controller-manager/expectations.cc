#include "services/controller-manager/expectations.h"

namespace coxswain::controllers {
namespace {
constexpr std::int64_t kLapseMs = 300'000;
}

void Expectations::expect_creations(const std::string& key, int count, std::int64_t now_ms) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[key];
  entry.creations += count;
  entry.since_ms = now_ms;
}

void Expectations::expect_deletion(const std::string& key, const std::string& uid, std::int64_t now_ms) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[key];
  entry.deletions.insert(uid);
  entry.since_ms = now_ms;
}

void Expectations::creation_observed(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it != entries_.end() && it->second.creations > 0) --it->second.creations;
}

void Expectations::deletion_observed(const std::string& key, const std::string& uid) {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it != entries_.end()) it->second.deletions.erase(uid);
}

bool Expectations::satisfied(const std::string& key, std::int64_t now_ms) const {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return true;
  const Entry& entry = it->second;
  return (entry.creations == 0 && entry.deletions.empty()) || now_ms - entry.since_ms > kLapseMs;
}

void Expectations::forget(const std::string& key) {
  std::lock_guard lock(mutex_);
  entries_.erase(key);
}

}  // namespace coxswain::controllers
