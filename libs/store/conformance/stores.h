// The stores that every conformance test runs over, and helpers to write such tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libs/store/open.h"

namespace coxswain::store::testing {

// A fresh directory, removed with the object.
class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct TestStore {
  std::unique_ptr<TempDir> dir;  // local stores only; outlives the store
  std::unique_ptr<Store> store;
  Store* operator->() const { return store.get(); }
};

// "model", "memory", "local", "group" (three members); "-small" ones keep almost no history in memory, so
// that old reads and late watchers go to the engine. "etcd" and "etcd-tls" where etcd is installed; where it
// is not, a line says that they are skipped.
std::vector<std::string> store_kinds();
inline const std::vector<std::string> kStoreKinds = store_kinds();
TestStore make_store(const std::string& kind);

Op put(std::string key, std::string value);
Op put_spliced(std::string key, std::string value, std::size_t at);
Op remove(std::string key, std::string last_words = "");
Txn txn(std::vector<Compare> compares, std::vector<Op> ops);

// Text for comparisons: "key=value@created/modified#version", "-key=words@modified" for tombstones.
std::string show(const EntryPtr& entry);
std::string show(const std::vector<EntryPtr>& entries);
std::string show(const std::vector<std::shared_ptr<const Event>>& events);  // "rev:entry<previous"

// Polls until caught up, `max_events` at a time.
Result<std::vector<std::shared_ptr<const Event>>> drain(Watcher* watcher, std::size_t max_events,
                                                        Revision* progress);

}  // namespace coxswain::store::testing
