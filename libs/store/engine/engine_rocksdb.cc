#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <cstdarg>
#include <filesystem>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "libs/store/engine/engine.h"
#include "libs/store/env/env.h"

namespace coxswain::store {
namespace {

constexpr std::array<const char*, kFamilies> kFamilyNames = {"default", "versions", "events"};

constexpr std::size_t kRowOverhead = 16;  // of a WriteBatch: tag, family, two lengths

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

// RocksDB 7.8 ends the process when the file that it logs to cannot grow. Whatever matters comes back as a
// status.
class NoLog : public rocksdb::Logger {
 public:
  NoLog() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// Current values live in memory above, so that caches and buffers here can stay small.
rocksdb::DBOptions db_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.atomic_flush = true;  // the applied index and what it covers reach the disk together
  options.avoid_flush_during_shutdown = true;
  options.max_background_jobs = 2;
  options.bytes_per_sync = 1u << 20;  // as it goes: a file synced all at once holds up the log's fdatasync
  options.max_open_files = 256;
  options.max_file_opening_threads = 1;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.listeners.push_back(std::make_shared<NoAutoRecovery>());
  options.max_bgerror_resume_count = 0;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log = std::make_shared<NoLog>();
  return options;
}

// Hardly anything of `versions` is read but at a start, which reads all of it: many sorted runs cost little,
// and what is written again and again costs much. A run takes part in a merge when some twenty others of its
// size are there, and all are merged when what is newer than the oldest one is five times as much, which is
// when what was swept gives its room back.
void keep_many_runs(rocksdb::ColumnFamilyOptions* options) {
  constexpr int kRuns = 24;
  options->compaction_style = rocksdb::kCompactionStyleUniversal;
  options->compaction_options_universal.size_ratio = 1;
  options->compaction_options_universal.max_size_amplification_percent = 500;
  options->level0_file_num_compaction_trigger = kRuns;
  options->level0_slowdown_writes_trigger = 3 * kRuns;
  options->level0_stop_writes_trigger = 6 * kRuns;
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
  table.block_size = 16u << 10;  // compresses better than 4 KiB, and few are read alone
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (family == Family::kVersions) keep_many_runs(&options);
  return options;
}

class RocksImage;

// What must let go before a database is closed.
struct Readers {
  std::mutex mutex;
  std::set<RocksImage*> images;
};

class RocksEngine : public Engine {
 public:
  explicit RocksEngine(std::string dir) : dir_(std::move(dir)) {}
  ~RocksEngine() override { close(); }

  Result<void> reopen() override {
    const std::unique_lock lock(mutex_);
    close();
    COX_RETURN_IF_ERROR(finish_adoption());
    return open();
  }

  Result<void> write(const EngineBatch& batch) override {
    const std::shared_lock lock(mutex_);
    if (db_ == nullptr) return closed();
    // One allocation: a buffer that grows with a group is copied, page by fresh page, again and again.
    std::size_t bytes = 64;
    for (const EngineWrite& write : batch)
      bytes += write.key.size() + (write.value.has_value() ? write.value->size() : 0) + kRowOverhead;
    rocksdb::WriteBatch writes(bytes);
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

  Result<std::unique_ptr<EngineImage>> image() const override;
  Result<std::unique_ptr<EngineCopy>> start_copy() override;
  Result<void> adopt(std::unique_ptr<EngineCopy> copy) override;
  Result<void> drop_copy();

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
  std::string copy_dir() const { return dir_ + ".copy"; }
  std::string mark_path() const { return dir_ + ".adopt"; }
  std::string parent() const { return std::filesystem::path(dir_).parent_path().string(); }
  // Under `mutex_`.
  Result<void> open() {
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

  Result<void> finish_adoption();
  static Result<void> check(const rocksdb::Status& status) {
    if (!status.ok()) return to_error(status);
    return {};
  }
  static Error closed() { return make_error(ErrorCode::kUnavailable, "the state is being reopened"); }
  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return families_[static_cast<std::size_t>(family)];
  }
  void close();

  const std::string dir_;
  mutable std::shared_mutex mutex_;  // exclusive to replace what follows
  std::unique_ptr<rocksdb::DB> db_;  // null: the last reopen failed
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  const std::shared_ptr<Readers> readers_ = std::make_shared<Readers>();
};

// Iterators that were made one after the other see different moments; a snapshot of RocksDB's binds them.
class RocksImage : public EngineImage {
 public:
  RocksImage(rocksdb::DB* db, const std::vector<rocksdb::ColumnFamilyHandle*>& families,
             std::shared_ptr<Readers> readers)
      : readers_(std::move(readers)), db_(db), snapshot_(db->GetSnapshot()) {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    options.fill_cache = false;
    for (auto* family : families) {
      iterators_.emplace_back(db_->NewIterator(options, family));
      iterators_.back()->SeekToFirst();
    }
    const std::lock_guard lock(readers_->mutex);
    readers_->images.insert(this);
  }
  ~RocksImage() override {
    const std::lock_guard lock(readers_->mutex);
    readers_->images.erase(this);
    release();
  }

  Result<EngineBatch> next(std::size_t max_bytes) override {
    const std::lock_guard lock(readers_->mutex);
    if (db_ == nullptr) return make_error(ErrorCode::kUnavailable, "the state was replaced");
    EngineBatch batch;
    for (std::size_t bytes = 0; family_ < iterators_.size() && bytes < max_bytes;) {
      rocksdb::Iterator& it = *iterators_[family_];
      if (!it.Valid()) {
        if (!it.status().ok()) return to_error(it.status());
        ++family_;
        continue;
      }
      bytes += it.key().size() + it.value().size();
      batch.push_back({static_cast<Family>(family_), it.key().ToString(), it.value().ToString()});
      it.Next();
    }
    return batch;
  }

  void release() {  // under the readers' mutex
    if (db_ == nullptr) return;
    iterators_.clear();
    db_->ReleaseSnapshot(snapshot_);
    db_ = nullptr;
  }

 private:
  const std::shared_ptr<Readers> readers_;
  rocksdb::DB* db_;  // null: it is closed
  const rocksdb::Snapshot* const snapshot_;
  std::vector<std::unique_ptr<rocksdb::Iterator>> iterators_;
  std::size_t family_ = 0;
};

struct RocksCopy : EngineCopy {
  explicit RocksCopy(std::string dir) : engine(std::move(dir)) {}
  Result<void> write(const EngineBatch& batch) override { return engine.write(batch); }
  RocksEngine engine;
};

void RocksEngine::close() {
  if (db_ == nullptr) return;
  {
    const std::lock_guard lock(readers_->mutex);
    for (RocksImage* image : readers_->images) image->release();
  }
  for (auto* family : families_) db_->DestroyColumnFamilyHandle(family);
  families_.clear();
  db_->Close();
  db_ = nullptr;
}

Result<std::unique_ptr<EngineImage>> RocksEngine::image() const {
  const std::shared_lock lock(mutex_);
  if (db_ == nullptr) return closed();
  return std::unique_ptr<EngineImage>(std::make_unique<RocksImage>(db_.get(), families_, readers_));
}

Result<void> remove_tree(const std::string& path) {
  std::error_code failed;
  std::filesystem::remove_all(path, failed);
  if (failed) return make_error(ErrorCode::kIo, path + " cannot be removed: " + failed.message());
  return {};
}

Result<void> RocksEngine::drop_copy() { return remove_tree(copy_dir()); }

Result<std::unique_ptr<EngineCopy>> RocksEngine::start_copy() {
  COX_RETURN_IF_ERROR(drop_copy());
  auto copy = std::make_unique<RocksCopy>(copy_dir());
  COX_RETURN_IF_ERROR(copy->engine.reopen());
  return std::unique_ptr<EngineCopy>(std::move(copy));
}

// The mark says that the copy is whole and counts; whoever finds it goes on from there.
Result<void> RocksEngine::adopt(std::unique_ptr<EngineCopy> copy) {
  COX_RETURN_IF_ERROR(static_cast<RocksCopy&>(*copy).engine.flush());
  copy.reset();
  Env& env = posix_env();
  COX_RETURN_IF_ERROR(env.sync_dir(parent()));
  const std::unique_lock lock(mutex_);
  close();
  COX_ASSIGN_OR_RETURN(const auto mark, env.open(mark_path(), true));
  COX_RETURN_IF_ERROR(mark->sync());
  COX_RETURN_IF_ERROR(env.sync_dir(parent()));
  COX_RETURN_IF_ERROR(finish_adoption());
  return open();
}

// Under `mutex_`, closed.
Result<void> RocksEngine::finish_adoption() {
  std::error_code failed;
  if (!std::filesystem::exists(mark_path(), failed)) return {};
  Env& env = posix_env();
  if (std::filesystem::exists(copy_dir(), failed)) {
    COX_RETURN_IF_ERROR(remove_tree(dir_));
    COX_RETURN_IF_ERROR(env.rename(copy_dir(), dir_));
    COX_RETURN_IF_ERROR(env.sync_dir(parent()));
  }
  COX_RETURN_IF_ERROR(env.remove(mark_path()));
  return env.sync_dir(parent());
}

}  // namespace

Result<std::unique_ptr<Engine>> open_rocksdb_engine(const std::string& dir) {
  auto engine = std::make_unique<RocksEngine>(dir);
  COX_RETURN_IF_ERROR(engine->reopen());
  COX_RETURN_IF_ERROR(engine->drop_copy());  // that an earlier process did not finish
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace coxswain::store
