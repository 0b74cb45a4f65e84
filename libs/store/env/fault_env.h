// A disk in memory that loses power, runs full and breaks, for tests. Same seed, same accidents.
//
// Every call that may change the disk is one step. crash_after(n) lets n more steps through; from then on
// every call fails as if the machine had gone. power_on() then decides what survived: synced bytes always,
// each unsynced sector and each unsynced name by chance.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "libs/common/base/clock.h"
#include "libs/store/env/env.h"

namespace coxswain::store {

class FaultEnv : public Env {
 public:
  // `sector`: what a disk writes as one piece.
  explicit FaultEnv(std::uint64_t seed, std::size_t sector = 512);
  ~FaultEnv() override;

  void crash_after(std::int64_t steps);
  bool crashed() const;
  void power_on();
  std::int64_t steps() const;

  void set_space(std::optional<std::uint64_t> bytes);  // total size of all files; none: unlimited
  void set_no_reservations(bool on);                   // allocate() only sets sizes, as on some file systems
  void fail_next_sync();                               // once: EIO, and the dirty bytes are lost
  void fail_next_write();                              // once: EIO
  bool flip_bit(const std::string& path, std::uint64_t offset);  // in what is on disk

  Result<std::unique_ptr<File>> open(const std::string& path, bool create) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  Result<void> make_dir(const std::string& dir) override;
  Result<void> remove(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> sync_dir(const std::string& dir) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

  struct Inode {
    std::string now;          // what a read sees
    std::string durable;      // what a crash leaves at least
    std::size_t written = 0;  // reserved beyond this without data
  };

 private:
  friend class FaultFile;
  Result<void> step();         // mutex_ held
  std::uint64_t used() const;  // mutex_ held

  const std::size_t sector_;
  mutable std::mutex mutex_;
  std::unique_ptr<Random> random_;
  std::map<std::string, std::shared_ptr<Inode>> names_;    // as a reader sees them
  std::map<std::string, std::shared_ptr<Inode>> durable_;  // as the last sync_dir left them
  std::int64_t steps_ = 0;
  std::int64_t crash_at_ = -1;
  bool crashed_ = false;
  std::optional<std::uint64_t> space_;
  bool no_reservations_ = false;
  bool fail_sync_ = false;
  bool fail_write_ = false;
};

}  // namespace coxswain::store
