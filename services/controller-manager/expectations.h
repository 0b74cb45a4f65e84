// Bridges the lag between our writes and the informer: a controller that just created three pods must
// not create them again because its cache does not show them yet.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace coxswain::controllers {

// Thread-safe; keys are the owners'. Expectations that are never met lapse after five minutes.
class Expectations {
 public:
  void expect_creations(const std::string& key, int count, std::int64_t now_ms);
  void expect_deletion(const std::string& key, const std::string& uid, std::int64_t now_ms);
  void creation_observed(const std::string& key);  // also: the creation failed
  void deletion_observed(const std::string& key, const std::string& uid);
  bool satisfied(const std::string& key, std::int64_t now_ms) const;
  void forget(const std::string& key);

 private:
  struct Entry {
    int creations = 0;
    std::unordered_set<std::string> deletions;
    std::int64_t since_ms = 0;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace coxswain::controllers
