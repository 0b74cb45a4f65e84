#include <array>
#include <map>
#include <mutex>

#include "libs/store/engine/engine.h"

namespace coxswain::store {
namespace {
using Tables = std::array<std::map<std::string, std::string, std::less<>>, kFamilies>;
}

struct MemoryDisk {
  std::mutex mutex;
  Tables tables;  // guarded by mutex
};

namespace {

class MemoryImage : public EngineImage {
 public:
  explicit MemoryImage(Tables tables) : tables_(std::move(tables)) {}
  Result<EngineBatch> next(std::size_t max_bytes) override {
    EngineBatch batch;
    for (std::size_t bytes = 0; family_ < kFamilies && bytes < max_bytes;) {
      auto& table = tables_[family_];
      if (table.empty()) {
        ++family_;
        continue;
      }
      auto row = table.extract(table.begin());
      bytes += row.key().size() + row.mapped().size();
      batch.push_back({static_cast<Family>(family_), std::move(row.key()), std::move(row.mapped())});
    }
    return batch;
  }

 private:
  Tables tables_;
  std::size_t family_ = 0;
};

void write_rows(const EngineBatch& batch, Tables* tables) {
  for (const EngineWrite& write : batch) {
    auto& table = (*tables)[static_cast<std::size_t>(write.family)];
    if (write.value.has_value()) {
      table.insert_or_assign(write.key, *write.value);
    } else {
      table.erase(write.key);
    }
  }
}

struct MemoryCopy : EngineCopy {
  Result<void> write(const EngineBatch& batch) override {
    write_rows(batch, &tables);
    return {};
  }
  Tables tables;
};

class MemoryEngine : public Engine {
 public:
  explicit MemoryEngine(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {
    if (disk_ == nullptr) return;
    const std::lock_guard lock(disk_->mutex);
    tables_ = disk_->tables;
  }

  Result<void> write(const EngineBatch& batch) override {
    const std::lock_guard lock(mutex_);
    write_rows(batch, &tables_);
    return {};
  }

  Result<std::optional<std::string>> get(Family family, std::string_view key) const override {
    const std::lock_guard lock(mutex_);
    const auto& table = tables_[static_cast<std::size_t>(family)];
    const auto it = table.find(key);
    if (it == table.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }

  // Copies in pieces, so that a visitor may take its time and may use the engine.
  Result<void> scan(Family family, std::string_view from, const Visitor& visit) const override {
    constexpr std::size_t kPiece = 64;
    std::string next(from);
    for (;;) {
      std::vector<std::pair<std::string, std::string>> piece;
      {
        const std::lock_guard lock(mutex_);
        const auto& table = tables_[static_cast<std::size_t>(family)];
        for (auto it = table.lower_bound(next); it != table.end() && piece.size() < kPiece; ++it) {
          piece.emplace_back(it->first, it->second);
        }
      }
      for (const auto& [key, value] : piece) {
        if (!visit(key, value)) return {};
      }
      if (piece.size() < kPiece) return {};
      next = piece.back().first + '\0';
    }
  }

  Result<void> flush() override {
    if (disk_ == nullptr) return {};
    const std::scoped_lock lock(mutex_, disk_->mutex);
    disk_->tables = tables_;
    return {};
  }

  Result<void> reopen() override {
    if (disk_ == nullptr) return {};
    const std::scoped_lock lock(mutex_, disk_->mutex);
    tables_ = disk_->tables;
    return {};
  }
  std::int64_t disk_bytes() const override { return 0; }

  Result<std::unique_ptr<EngineImage>> image() const override {
    const std::lock_guard lock(mutex_);
    return std::unique_ptr<EngineImage>(std::make_unique<MemoryImage>(tables_));
  }
  Result<std::unique_ptr<EngineCopy>> start_copy() override {
    return std::unique_ptr<EngineCopy>(std::make_unique<MemoryCopy>());
  }
  Result<void> adopt(std::unique_ptr<EngineCopy> copy) override {
    {
      const std::lock_guard lock(mutex_);
      tables_ = std::move(static_cast<MemoryCopy&>(*copy).tables);
    }
    return flush();
  }

 private:
  const std::shared_ptr<MemoryDisk> disk_;
  mutable std::mutex mutex_;
  Tables tables_;  // guarded by mutex_
};

}  // namespace

std::shared_ptr<MemoryDisk> make_memory_disk() { return std::make_shared<MemoryDisk>(); }

std::unique_ptr<Engine> open_memory_engine(std::shared_ptr<MemoryDisk> disk) {
  return std::make_unique<MemoryEngine>(std::move(disk));
}

}  // namespace coxswain::store
