// Ordered bytes on disk: the narrow part of a storage engine that the store needs.
//
// Writes are atomic but durable only after flush(): the log (libs/store/log) is what makes them safe.
// flush() makes durable everything written before it was called, all families at one point in time.
// Thread-safe; errors: kIo, kResourceExhausted (no space), kCorruption.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::store {

enum class Family : std::uint8_t { kMeta, kVersions, kEvents };
inline constexpr int kFamilies = 3;

struct EngineWrite {
  Family family;
  std::string key;
  std::optional<std::string> value;  // none: delete
};
using EngineBatch = std::vector<EngineWrite>;

// Everything as of one moment, for a copy elsewhere. One thread.
class EngineImage {
 public:
  virtual ~EngineImage() = default;
  // The next rows, about so many bytes of them; none: that was all. kUnavailable: the engine was replaced.
  virtual Result<EngineBatch> next(std::size_t max_bytes) = 0;
};

// An engine beside the one that is in use, empty at first. One thread.
class EngineCopy {
 public:
  virtual ~EngineCopy() = default;
  virtual Result<void> write(const EngineBatch& batch) = 0;
};

class Engine {
 public:
  // False stops the scan.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;

  virtual ~Engine() = default;
  virtual Result<void> write(const EngineBatch& batch) = 0;
  virtual Result<std::optional<std::string>> get(Family family, std::string_view key) const = 0;
  // Keys >= `from` in order. One scan may or may not see writes made while it runs.
  virtual Result<void> scan(Family family, std::string_view from, const Visitor& visit) const = 0;
  virtual Result<void> flush() = 0;
  // After an error of write() or flush(): starts again from what was flushed last. What was written since
  // is gone, and the caller writes it again. An error: not yet; every call fails until it succeeds.
  virtual Result<void> reopen() = 0;
  virtual std::int64_t disk_bytes() const = 0;

  virtual Result<std::unique_ptr<EngineImage>> image() const = 0;
  // One at a time: whatever an earlier one had is gone.
  virtual Result<std::unique_ptr<EngineCopy>> start_copy() = 0;
  // Puts `copy` (of this engine) in the place of everything that is here, durably. A crash leaves the one or
  // the other. After an error, reopen().
  virtual Result<void> adopt(std::unique_ptr<EngineCopy> copy) = 0;
};

// Loses everything with the object, unless `disk` is given: then flush() copies there and opening
// starts from there, which is how tests crash an engine.
struct MemoryDisk;
std::shared_ptr<MemoryDisk> make_memory_disk();
std::unique_ptr<Engine> open_memory_engine(std::shared_ptr<MemoryDisk> disk = nullptr);

// Errors: kCorruption (the message says so), kIo, kResourceExhausted.
Result<std::unique_ptr<Engine>> open_rocksdb_engine(const std::string& dir);

}  // namespace coxswain::store
