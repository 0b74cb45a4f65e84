// The operating system's files behind one seam, so that tests can crash it, fill its disk and break its
// fsync (fault_env.h). Only what the log and the data directory need; RocksDB does its own I/O.
//
// Errors: kResourceExhausted = no space or quota (ENOSPC, EDQUOT); kNotFound; kUnavailable = locked by
// another process; kPermissionDenied; kIo = everything else. Messages name the path and the reason.
// Env is thread-safe; a File belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::store {

class File {
 public:
  virtual ~File() = default;
  // All of `data` or an error; after an error any part of it may be in the file.
  virtual Result<void> write_at(std::uint64_t offset, std::string_view data) = 0;
  // Short only at the end of the file.
  virtual Result<std::string> read_at(std::uint64_t offset, std::size_t size) = 0;
  // Everything written so far is durable, with the size. After an error it may or may not be: the
  // kernel drops dirty pages it could not write, so a second call that succeeds proves nothing.
  virtual Result<void> sync() = 0;
  // Grows to `size` with room reserved on disk, reading as zeros; an error leaves the file as it was
  // or longer.
  virtual Result<void> allocate(std::uint64_t size) = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() = 0;
};

// Held until destroyed, or until the process ends in whatever way.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class Env {
 public:
  virtual ~Env() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, bool create) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& dir) = 0;  // names, sorted
  virtual Result<void> make_dir(const std::string& dir) = 0;                  // fine when it exists
  virtual Result<void> remove(const std::string& path) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> sync_dir(const std::string& dir) = 0;  // names made or removed are durable
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

Env& posix_env();

}  // namespace coxswain::store
