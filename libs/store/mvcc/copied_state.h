// A state on its way from one member to another is added up on both sides: a damaged one is not sent, and
// does not take the place of anything.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "libs/store/engine/engine.h"
#include "libs/store/mvcc/state_hash.h"

namespace coxswain::store {

// Adds up the rows of a state, each family in the order of its keys. One thread.
class StateSum {
 public:
  StateSum();
  Result<void> add(const EngineBatch& rows);
  // After all of them: whether they are the state after that entry, and whole. kCorruption.
  Result<void> check(std::uint64_t index, std::uint64_t term) const;

 private:
  std::shared_ptr<Engine> meta_;  // the rows that say where it is
  std::string key_;               // of the last version
  StateHash content_;
};

// On its way in, to where Engine::start_copy() said. One thread.
class CopiedState : public EngineCopy {
 public:
  explicit CopiedState(std::unique_ptr<EngineCopy> copy) : copy_(std::move(copy)) {}
  Result<void> write(const EngineBatch& rows) override;
  Result<void> check(std::uint64_t index, std::uint64_t term) const { return sum_.check(index, term); }
  std::unique_ptr<EngineCopy> take() { return std::move(copy_); }

 private:
  std::unique_ptr<EngineCopy> copy_;
  StateSum sum_;
};

// On its way out: next() fails with kCorruption and sets `damaged` if the rows cannot be read, or are not
// what they say that they are. One thread.
class CheckedImage : public EngineImage {
 public:
  CheckedImage(std::unique_ptr<EngineImage> image, std::uint64_t index, std::uint64_t term,
               std::shared_ptr<std::atomic<bool>> damaged)
      : image_(std::move(image)), index_(index), term_(term), damaged_(std::move(damaged)) {}
  Result<EngineBatch> next(std::size_t max_bytes) override;

 private:
  const std::unique_ptr<EngineImage> image_;
  const std::uint64_t index_;
  const std::uint64_t term_;
  const std::shared_ptr<std::atomic<bool>> damaged_;
  StateSum sum_;
};

}  // namespace coxswain::store
