#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <mutex>
#include <shared_mutex>

#include "libs/store/engine/engine.h"

#if defined(__SANITIZE_THREAD__)
// Debian's RocksDB is not instrumented: TSan cannot see its atomics and takes them for races.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "race:librocksdb\n"; }
#endif

namespace coxswain::store {
namespace {

constexpr std::array<const char*, kFamilies> kFamilyNames = {"default", "versions", "events"};

Error to_error(const rocksdb::Status& status) {
  ErrorCode code = ErrorCode::kIo;
  if (status.IsCorruption()) code = ErrorCode::kCorruption;
  if (status.IsNoSpace()) code = ErrorCode::kResourceExhausted;
  return make_error(code, "RocksDB: " + status.ToString());
}

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

// RocksDB 7.8's recovery from a full disk (its own and DB::Resume) can wait for ever for an atomic flush: the
// engine is reopened instead.
class NoAutoRecovery : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

// Current values live in memory above, so that caches and buffers here can stay small.
rocksdb::DBOptions db_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.atomic_flush = true;  // the applied index and what it covers reach the disk together
  options.avoid_flush_during_shutdown = true;
  options.max_background_jobs = 2;
  options.max_open_files = 256;
  options.max_file_opening_threads = 1;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.listeners.push_back(std::make_shared<NoAutoRecovery>());
  options.max_bgerror_resume_count = 0;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  return options;
}

rocksdb::ColumnFamilyOptions family_options(Family family, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = family == Family::kVersions ? 8u << 20 : 2u << 20;
  options.max_write_buffer_number = 4;
  options.compression = rocksdb::kLZ4Compression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

class RocksEngine : public Engine {
 public:
  explicit RocksEngine(std::string dir) : dir_(std::move(dir)) {}
  ~RocksEngine() override { close(); }

  Result<void> reopen() override {
    const std::unique_lock lock(mutex_);
    close();
    const auto cache = rocksdb::NewLRUCache(8u << 20, 2);
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (int i = 0; i < kFamilies; ++i) {
      descriptors.emplace_back(kFamilyNames[static_cast<std::size_t>(i)],
                               family_options(static_cast<Family>(i), cache));
    }
    rocksdb::DB* db = nullptr;
    COX_RETURN_IF_ERROR(check(rocksdb::DB::Open(db_options(), dir_, descriptors, &families_, &db)));
    db_.reset(db);
    return {};
  }

  Result<void> write(const EngineBatch& batch) override {
    const std::shared_lock lock(mutex_);
    if (db_ == nullptr) return closed();
    rocksdb::WriteBatch writes;
    for (const EngineWrite& write : batch) {
      auto* family = handle(write.family);
      if (write.value.has_value()) {
        writes.Put(family, write.key, *write.value);
      } else {
        writes.Delete(family, write.key);
      }
    }
    rocksdb::WriteOptions options;
    options.disableWAL = true;  // libs/store/log is the only write-ahead log
    return check(db_->Write(options, &writes));
  }

  Result<std::optional<std::string>> get(Family family, std::string_view key) const override {
    const std::shared_lock lock(mutex_);
    if (db_ == nullptr) return closed();
    std::string value;
    const rocksdb::Status status = db_->Get({}, handle(family), slice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return to_error(status);
    return std::optional<std::string>(std::move(value));
  }

  Result<void> scan(Family family, std::string_view from, const Visitor& visit) const override {
    const std::shared_lock lock(mutex_);
    if (db_ == nullptr) return closed();
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, handle(family)));
    for (it->Seek(slice(from)); it->Valid(); it->Next()) {
      if (!visit({it->key().data(), it->key().size()}, {it->value().data(), it->value().size()})) return {};
    }
    return check(it->status());
  }

  Result<void> flush() override {
    const std::shared_lock lock(mutex_);
    if (db_ == nullptr) return closed();
    return check(db_->Flush({}, families_));
  }

  std::int64_t disk_bytes() const override {
    const std::shared_lock lock(mutex_);
    if (db_ == nullptr) return 0;
    std::uint64_t total = 0;
    for (auto* family : families_) {
      std::uint64_t bytes = 0;
      db_->GetIntProperty(family, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes);
      total += bytes;
    }
    return static_cast<std::int64_t>(total);
  }

 private:
  static Result<void> check(const rocksdb::Status& status) {
    if (!status.ok()) return to_error(status);
    return {};
  }
  static Error closed() { return make_error(ErrorCode::kUnavailable, "the state is being reopened"); }
  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return families_[static_cast<std::size_t>(family)];
  }
  void close() {
    if (db_ == nullptr) return;
    for (auto* family : families_) db_->DestroyColumnFamilyHandle(family);
    families_.clear();
    db_->Close();
    db_ = nullptr;
  }

  const std::string dir_;
  mutable std::shared_mutex mutex_;  // exclusive to replace what follows
  std::unique_ptr<rocksdb::DB> db_;  // null: the last reopen failed
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
};

}  // namespace

Result<std::unique_ptr<Engine>> open_rocksdb_engine(const std::string& dir) {
  auto engine = std::make_unique<RocksEngine>(dir);
  COX_RETURN_IF_ERROR(engine->reopen());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace coxswain::store
