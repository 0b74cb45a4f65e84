// An engine in memory whose writes and flushes fail when they are told to.
#pragma once

#include <memory>

#include "libs/store/engine/engine.h"

namespace coxswain::simulation {

class FaultyEngine : public store::Engine {
 public:
  explicit FaultyEngine(std::shared_ptr<store::MemoryDisk> disk)
      : engine_(store::open_memory_engine(std::move(disk))) {}

  void fail_writes(std::uint64_t next) { failing_writes_ = next; }
  void fail_flushes(std::uint64_t next) { failing_flushes_ = next; }

  Result<void> write(const store::EngineBatch& batch) override {
    if (fails(&failing_writes_)) return full();
    return engine_->write(batch);
  }
  Result<void> flush() override {
    if (fails(&failing_flushes_)) return full();
    return engine_->flush();
  }
  Result<std::optional<std::string>> get(store::Family family, std::string_view key) const override {
    return engine_->get(family, key);
  }
  Result<void> scan(store::Family family, std::string_view from, const Visitor& visit) const override {
    return engine_->scan(family, from, visit);
  }
  Result<void> reopen() override { return engine_->reopen(); }
  std::int64_t disk_bytes() const override { return engine_->disk_bytes(); }
  Result<std::unique_ptr<store::EngineImage>> image() const override { return engine_->image(); }
  Result<std::unique_ptr<store::EngineCopy>> start_copy() override { return engine_->start_copy(); }
  Result<void> adopt(std::unique_ptr<store::EngineCopy> copy) override {
    if (fails(&failing_writes_)) return full();
    return engine_->adopt(std::move(copy));
  }

 private:
  static bool fails(std::uint64_t* left) { return *left > 0 && (*left)-- > 0; }
  static Error full() { return make_error(ErrorCode::kResourceExhausted, "no space (simulated)"); }

  const std::unique_ptr<store::Engine> engine_;
  std::uint64_t failing_writes_ = 0;
  std::uint64_t failing_flushes_ = 0;
};

}  // namespace coxswain::simulation
