#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libs/store/env/env.h"

namespace coxswain::store {
namespace {

Error posix_error(const char* verb, const std::string& path, int number) {
  ErrorCode code = ErrorCode::kIo;
  if (number == ENOSPC || number == EDQUOT) code = ErrorCode::kResourceExhausted;
  if (number == ENOENT) code = ErrorCode::kNotFound;
  if (number == EACCES || number == EPERM || number == EROFS) code = ErrorCode::kPermissionDenied;
  return make_error(code, std::string("cannot ") + verb + " " + path + ": " + std::strerror(number));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

class PosixFile : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  Result<void> write_at(std::uint64_t offset, std::string_view data) override {
    while (!data.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return posix_error("write", path_, errno);
      data.remove_prefix(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) override {
    std::string out(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const ssize_t n = ::pread(fd_.get(), out.data() + have, size - have, static_cast<off_t>(offset + have));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return posix_error("read", path_, errno);
      if (n == 0) break;
      have += static_cast<std::size_t>(n);
    }
    out.resize(have);
    return out;
  }

  Result<void> sync() override {
    if (::fdatasync(fd_.get()) != 0) return posix_error("sync", path_, errno);
    return {};
  }

  Result<void> allocate(std::uint64_t size) override {
    while (::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)) != 0) {
      if (errno == EINTR) continue;
      // No reservation on this file system: writes may then meet ENOSPC, which the log handles.
      if (errno == EOPNOTSUPP) return truncate(size);
      return posix_error("allocate space for", path_, errno);
    }
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return posix_error("truncate", path_, errno);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return posix_error("stat", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  const Descriptor fd_;
  const std::string path_;
};

class PosixLock : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}

 private:
  const Descriptor fd_;  // flock is dropped with the last descriptor
};

class PosixEnv : public Env {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, bool create) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd < 0) return posix_error("open", path, errno);
    return std::unique_ptr<File>(std::make_unique<PosixFile>(fd, path));
  }

  Result<std::vector<std::string>> list(const std::string& dir) override {
    DIR* handle = ::opendir(dir.c_str());
    if (handle == nullptr) return posix_error("list", dir, errno);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(handle)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(handle);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> make_dir(const std::string& dir) override {
    if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return posix_error("make directory", dir, errno);
    return {};
  }

  Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return posix_error("remove", path, errno);
    return {};
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return posix_error("rename", from, errno);
    return {};
  }

  Result<void> sync_dir(const std::string& dir) override {
    const Descriptor fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return posix_error("open", dir, errno);
    if (::fsync(fd.get()) != 0) return posix_error("sync", dir, errno);
    return {};
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd.get() < 0) return posix_error("open", path, errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      return std::unique_ptr<FileLock>(std::make_unique<PosixLock>(fd.release()));
    }
    if (errno != EWOULDBLOCK) return posix_error("lock", path, errno);
    return make_error(
        ErrorCode::kUnavailable,
        path + " is locked: another process uses this data directory; stop it or choose another");
  }
};

}  // namespace

Env& posix_env() {
  static PosixEnv env;
  return env;
}

}  // namespace coxswain::store
