#include "libs/store/conformance/stores.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "libs/store/conformance/etcd_server.h"
#include "libs/store/conformance/group_store.h"
#include "libs/store/model/model_store.h"

namespace coxswain::store::testing {

TempDir::TempDir() {
  static std::atomic<int> counter{0};
  path_ = std::filesystem::temp_directory_path().string() + "/coxswain-store-test-" +
          std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
  std::filesystem::remove_all(path_);
  std::filesystem::create_directory(path_);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> store_kinds() {
  std::vector<std::string> kinds = {"model",       "memory", "memory-small", "local",
                                    "local-small", "group",  "group-tls"};
  if (etcd_installed()) {
    kinds.insert(kinds.end(), {"etcd", "etcd-tls"});
  } else {
    std::fprintf(stderr, "skipped: etcd, etcd-tls (install etcd-server to test them)\n");
  }
  return kinds;
}

namespace {

// One of each for the whole program; every store has a prefix of its own in it.
std::unique_ptr<Store> open_in_etcd(bool tls, const StoreLimits& limits) {
  static std::unique_ptr<EtcdServer> servers[2];
  std::unique_ptr<EtcdServer>& server = servers[tls ? 1 : 0];
  if (server == nullptr) {
    EtcdOptions options;
    options.tls = tls;
    server = std::make_unique<EtcdServer>(options);
  }
  EtcdStoreOptions options = server->options();
  options.limits = limits;
  return open_etcd_store(options).value();
}

}  // namespace

TestStore make_store(const std::string& kind) {
  TestStore out;
  StoreLimits limits;
  limits.retention_ms = 0;
  if (kind.find("-small") != std::string::npos) limits.history_events = 3;
  if (kind == "model") {
    out.store = make_model_store();
  } else if (kind.rfind("memory", 0) == 0) {
    MemoryStoreOptions options;
    options.limits = limits;
    out.store = open_memory_store(options).value();
  } else if (kind.rfind("group", 0) == 0) {
    out.dir = std::make_unique<TempDir>();
    GroupOptions options;
    options.limits = limits;
    options.tls = kind == "group-tls";
    out.store = open_group(out.dir->path(), options);
  } else if (kind.rfind("etcd", 0) == 0) {
    out.store = open_in_etcd(kind == "etcd-tls", limits);
  } else {
    out.dir = std::make_unique<TempDir>();
    LocalStoreOptions options;
    options.dir = out.dir->path() + "/store";
    options.limits = limits;
    options.log_segment_bytes = 64 << 10;
    options.checkpoint_log_bytes = 16 << 10;
    out.store = open_local_store(options).value();
  }
  return out;
}

Op put(std::string key, std::string value) {
  return {Op::Type::kPut, std::move(key), std::move(value), kNoSplice};
}
Op put_spliced(std::string key, std::string value, std::size_t at) {
  return {Op::Type::kPut, std::move(key), std::move(value), at};
}
Op remove(std::string key, std::string last_words) {
  return {Op::Type::kDelete, std::move(key), std::move(last_words), kNoSplice};
}
Txn txn(std::vector<Compare> compares, std::vector<Op> ops) { return {std::move(compares), std::move(ops)}; }

std::string show(const EntryPtr& entry) {
  if (entry == nullptr) return "null";
  if (entry->version == 0)
    return "-" + std::string(entry->key) + "=" + std::string(entry->value) + "@" +
           std::to_string(entry->mod_revision);
  return std::string(entry->key) + "=" + std::string(entry->value) + "@" +
         std::to_string(entry->create_revision) + "/" + std::to_string(entry->mod_revision) + "#" +
         std::to_string(entry->version);
}

std::string show(const std::vector<EntryPtr>& entries) {
  std::string out;
  for (const EntryPtr& entry : entries) out += (out.empty() ? "" : " ") + show(entry);
  return out;
}

std::string show(const std::vector<std::shared_ptr<const Event>>& events) {
  std::string out;
  for (const auto& event : events) {
    out += (out.empty() ? "" : " ") + std::string(event->type == Event::Type::kPut ? "put " : "delete ") +
           std::to_string(event->revision) + ":" + show(event->entry) + "<" + show(event->previous);
  }
  return out;
}

Result<std::vector<std::shared_ptr<const Event>>> drain(Watcher* watcher, std::size_t max_events,
                                                        Revision* progress) {
  std::vector<std::shared_ptr<const Event>> out;
  for (;;) {
    COX_ASSIGN_OR_RETURN(const WatchBatch batch, watcher->poll(max_events));
    *progress = batch.progress;
    if (batch.events.empty()) return out;
    out.insert(out.end(), batch.events.begin(), batch.events.end());
  }
}

}  // namespace coxswain::store::testing
