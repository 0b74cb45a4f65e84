#include "libs/store/env/fault_env.h"

#include <algorithm>

namespace coxswain::store {
namespace {

Error gone() { return make_error(ErrorCode::kIo, "the machine has crashed"); }
Error broken(const char* what) {
  return make_error(ErrorCode::kIo, std::string("input/output error: ") + what);
}
Error full() { return make_error(ErrorCode::kResourceExhausted, "no space left on device"); }

std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

class FaultFile : public File {
 public:
  FaultFile(FaultEnv* env, std::shared_ptr<FaultEnv::Inode> inode) : env_(env), inode_(std::move(inode)) {}

  Result<void> write_at(std::uint64_t offset, std::string_view data) override {
    const std::lock_guard lock(env_->mutex_);
    if (env_->crashed_) return gone();
    if (std::exchange(env_->fail_write_, false)) return broken("write");
    const Result<void> alive = env_->step();
    // The write in which the power goes may be in the cache in part.
    if (!alive.ok()) data = data.substr(0, env_->random_->below(data.size() + 1));
    bool fits = true;
    if (env_->space_.has_value() && env_->no_reservations_) {
      const std::uint64_t left = *env_->space_ - std::min(*env_->space_, env_->used());
      const std::uint64_t room = left + (inode_->written > offset ? inode_->written - offset : 0);
      fits = data.size() <= room;
      if (!fits) data = data.substr(0, room);
    }
    if (inode_->now.size() < offset + data.size()) inode_->now.resize(offset + data.size(), '\0');
    std::copy(data.begin(), data.end(), inode_->now.begin() + static_cast<std::ptrdiff_t>(offset));
    inode_->written = std::max(inode_->written, static_cast<std::size_t>(offset + data.size()));
    if (!alive.ok()) return alive;
    return fits ? Result<void>() : full();
  }

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) override {
    const std::lock_guard lock(env_->mutex_);
    if (env_->crashed_) return gone();
    if (offset >= inode_->now.size()) return std::string();
    return inode_->now.substr(offset, size);
  }

  Result<void> sync() override {
    const std::lock_guard lock(env_->mutex_);
    COX_RETURN_IF_ERROR(env_->step());
    if (std::exchange(env_->fail_sync_, false)) {
      inode_->now = inode_->durable;  // the kernel has dropped the pages
      return broken("fsync");
    }
    inode_->durable = inode_->now;
    return {};
  }

  Result<void> allocate(std::uint64_t size) override {
    const std::lock_guard lock(env_->mutex_);
    COX_RETURN_IF_ERROR(env_->step());
    const std::uint64_t grow = size - std::min<std::uint64_t>(size, inode_->now.size());
    if (!env_->no_reservations_ && env_->space_.has_value() && env_->used() + grow > *env_->space_)
      return full();
    if (grow > 0) inode_->now.resize(size, '\0');
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    const std::lock_guard lock(env_->mutex_);
    COX_RETURN_IF_ERROR(env_->step());
    inode_->now.resize(size, '\0');
    inode_->written = std::min(inode_->written, static_cast<std::size_t>(size));
    return {};
  }

  Result<std::uint64_t> size() override {
    const std::lock_guard lock(env_->mutex_);
    if (env_->crashed_) return gone();
    return static_cast<std::uint64_t>(inode_->now.size());
  }

 private:
  FaultEnv* const env_;
  const std::shared_ptr<FaultEnv::Inode> inode_;
};

FaultEnv::FaultEnv(std::uint64_t seed, std::size_t sector) : sector_(sector), random_(seeded_random(seed)) {}
FaultEnv::~FaultEnv() = default;

Result<void> FaultEnv::step() {
  if (crashed_) return gone();
  if (crash_at_ >= 0 && steps_ >= crash_at_) {
    crashed_ = true;
    return gone();
  }
  ++steps_;
  return {};
}

std::uint64_t FaultEnv::used() const {
  std::uint64_t total = 0;
  for (const auto& [path, inode] : names_) total += no_reservations_ ? inode->written : inode->now.size();
  return total;
}

void FaultEnv::crash_after(std::int64_t steps) {
  const std::lock_guard lock(mutex_);
  crash_at_ = steps_ + steps;
}

bool FaultEnv::crashed() const {
  const std::lock_guard lock(mutex_);
  return crashed_;
}

std::int64_t FaultEnv::steps() const {
  const std::lock_guard lock(mutex_);
  return steps_;
}

void FaultEnv::power_on() {
  const std::lock_guard lock(mutex_);
  // Names made or removed since the last sync_dir: either way.
  std::map<std::string, std::shared_ptr<Inode>> survivors = durable_;
  for (const auto& [path, inode] : names_) {
    if (durable_.count(path) == 0 && random_->below(2) == 0) survivors[path] = inode;
  }
  for (const auto& [path, inode] : durable_) {
    if (names_.count(path) == 0 && random_->below(2) == 0) survivors.erase(path);
  }
  names_.clear();
  for (const auto& [path, inode] : survivors) {
    auto after = std::make_shared<Inode>();
    std::string bytes = inode->durable;
    if (random_->below(4) != 0) {
      bytes.resize(random_->below(2) == 0 ? inode->now.size() : inode->durable.size(), '\0');
      for (std::size_t at = 0; at < std::min(bytes.size(), inode->now.size()); at += sector_) {
        if (random_->below(2) == 0) continue;
        const std::size_t n = std::min({sector_, bytes.size() - at, inode->now.size() - at});
        std::copy_n(inode->now.begin() + static_cast<std::ptrdiff_t>(at), n,
                    bytes.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    after->now = after->durable = std::move(bytes);
    after->written = after->now.size();
    names_[path] = after;
  }
  durable_ = names_;
  crashed_ = false;
  crash_at_ = -1;
}

void FaultEnv::set_space(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  space_ = bytes;
}

void FaultEnv::set_no_reservations(bool on) {
  const std::lock_guard lock(mutex_);
  no_reservations_ = on;
}

void FaultEnv::fail_next_sync() {
  const std::lock_guard lock(mutex_);
  fail_sync_ = true;
}

void FaultEnv::fail_next_write() {
  const std::lock_guard lock(mutex_);
  fail_write_ = true;
}

bool FaultEnv::flip_bit(const std::string& path, std::uint64_t offset) {
  const std::lock_guard lock(mutex_);
  const auto it = names_.find(path);
  if (it == names_.end() || offset >= it->second->now.size()) return false;
  it->second->now[offset] = static_cast<char>(it->second->now[offset] ^ 1);
  it->second->durable = it->second->now;
  return true;
}

Result<std::unique_ptr<File>> FaultEnv::open(const std::string& path, bool create) {
  const std::lock_guard lock(mutex_);
  if (crashed_) return gone();
  auto it = names_.find(path);
  if (it == names_.end()) {
    if (!create) return make_error(ErrorCode::kNotFound, "no such file: " + path);
    COX_RETURN_IF_ERROR(step());
    it = names_.emplace(path, std::make_shared<Inode>()).first;
  }
  return std::unique_ptr<File>(std::make_unique<FaultFile>(this, it->second));
}

Result<std::vector<std::string>> FaultEnv::list(const std::string& dir) {
  const std::lock_guard lock(mutex_);
  if (crashed_) return gone();
  std::vector<std::string> out;
  for (const auto& [path, inode] : names_) {
    if (parent(path) == dir) out.push_back(path.substr(dir.size() + 1));
  }
  return out;
}

Result<void> FaultEnv::make_dir(const std::string&) { return {}; }

Result<void> FaultEnv::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  COX_RETURN_IF_ERROR(step());
  if (names_.erase(path) == 0) return make_error(ErrorCode::kNotFound, "no such file: " + path);
  return {};
}

Result<void> FaultEnv::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  COX_RETURN_IF_ERROR(step());
  const auto it = names_.find(from);
  if (it == names_.end()) return make_error(ErrorCode::kNotFound, "no such file: " + from);
  names_[to] = it->second;
  names_.erase(from);
  return {};
}

Result<void> FaultEnv::sync_dir(const std::string& dir) {
  const std::lock_guard lock(mutex_);
  COX_RETURN_IF_ERROR(step());
  for (auto it = durable_.begin(); it != durable_.end();) {
    it = parent(it->first) == dir && names_.count(it->first) == 0 ? durable_.erase(it) : std::next(it);
  }
  for (const auto& [path, inode] : names_) {
    if (parent(path) == dir) durable_[path] = inode;
  }
  return {};
}

Result<std::unique_ptr<FileLock>> FaultEnv::lock(const std::string&) { return std::make_unique<FileLock>(); }

}  // namespace coxswain::store
