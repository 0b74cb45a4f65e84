#include "services/kubelet/volumes/volume_manager.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "libs/common/base/strings.h"
#include "services/kubelet/volumes/volume_files.h"

namespace coxswain::kubelet {
namespace fs = std::filesystem;
namespace {

Error io_error(const std::string& what) {
  return make_error(ErrorCode::kIo, what + ": " + std::strerror(errno));
}

Result<void> make_dirs(const std::string& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec) return make_error(ErrorCode::kIo, "cannot make " + path + ": " + ec.message());
  return {};
}

bool is_mount_point(const std::string& path) {
  struct stat here {
  }, parent{};
  if (::lstat(path.c_str(), &here) != 0 || ::lstat((path + "/..").c_str(), &parent) != 0) return false;
  return here.st_dev != parent.st_dev;
}

Result<void> mount_tmpfs(const std::string& path, std::int64_t size_bytes) {
  COX_RETURN_IF_ERROR(make_dirs(path));
  if (is_mount_point(path)) return {};
  const std::string options = size_bytes > 0 ? "size=" + std::to_string(size_bytes) : "";
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return io_error("cannot mount tmpfs on " + path);
  }
  return {};
}

Result<void> prepare_empty_dir(const std::string& dir, const v1::EmptyDirVolumeSource& source,
                               std::int64_t group) {
  if (source.medium == "Memory") {
    const std::int64_t size = source.sizeLimit ? quantity_milli(*source.sizeLimit).value_or(0) / 1000 : 0;
    COX_RETURN_IF_ERROR(mount_tmpfs(dir, size));
  } else {
    COX_RETURN_IF_ERROR(make_dirs(dir));
  }
  if (group >= 0 && ::chown(dir.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) {
    return io_error("cannot give " + dir + " to the fsGroup");
  }
  ::chmod(dir.c_str(), group >= 0 ? 02777 : 0777);
  return {};
}

// hostPath types: https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
Result<void> check_host_path(const v1::HostPathVolumeSource& source) {
  const std::string type = source.type.value_or("");
  const std::string& path = source.path;
  struct stat st {};
  if (type == "DirectoryOrCreate") {
    COX_RETURN_IF_ERROR(make_dirs(path));
  } else if (type == "FileOrCreate" && ::stat(path.c_str(), &st) != 0) {
    std::ofstream out(path);
    if (!out) return io_error("cannot make " + path);
  }
  const bool exists = ::stat(path.c_str(), &st) == 0;
  const auto require = [&](bool right, const char* what) -> Result<void> {
    if (exists && right) return {};
    return make_error(ErrorCode::kInvalidArgument,
                      "hostPath type check failed: " + path + " is not a " + what);
  };
  if (type == "Directory" || type == "DirectoryOrCreate") return require(S_ISDIR(st.st_mode), "directory");
  if (type == "File" || type == "FileOrCreate") return require(S_ISREG(st.st_mode), "file");
  if (type == "Socket") return require(S_ISSOCK(st.st_mode), "socket");
  if (type == "CharDevice") return require(S_ISCHR(st.st_mode), "character device");
  if (type == "BlockDevice") return require(S_ISBLK(st.st_mode), "block device");
  if (!exists) return make_dirs(path);  // Docker's bind mounts need something to bind
  return {};
}

std::int64_t fs_group(const v1::Pod& pod) {
  return pod.spec.securityContext ? pod.spec.securityContext->fsGroup.value_or(-1) : -1;
}

const v1::Volume* find_volume(const v1::Pod& pod, const std::string& name) {
  for (const auto& v : pod.spec.volumes) {
    if (v.name == name) return &v;
  }
  return nullptr;
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// Resolves inside `root` only: the kernel refuses links and ".." that lead out.
int open_beneath(int root, const std::string& relative) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, relative.c_str(), &how, sizeof how));
}

// Makes the missing folders of `relative` below `root`, one safe step at a time.
Result<void> make_beneath(int root, const std::string& relative) {
  std::string done;
  for (const auto& part : split(relative, '/')) {
    if (part.empty() || part == ".") continue;
    const std::string parent = done.empty() ? "." : done;
    done += (done.empty() ? "" : "/") + part;
    const Fd there(open_beneath(root, done));
    if (there.get() >= 0) continue;
    if (errno != ENOENT) return io_error("subPath " + relative);
    const Fd above(open_beneath(root, parent));
    if (above.get() < 0 || ::mkdirat(above.get(), part.c_str(), 0777) != 0)
      return io_error("cannot make subPath " + relative);
    ::fchmodat(above.get(), part.c_str(), 0777, 0);
  }
  return {};
}

}  // namespace

std::string VolumeManager::volume_dir(const std::string& uid, const std::string& name) const {
  return pod_dir(uid) + "/volumes/" + name;
}

Result<void> VolumeManager::prepare(const v1::Pod& pod, const PodFacts& facts, const ObjectSource& objects) {
  COX_RETURN_IF_ERROR(make_dirs(pod_dir(pod.metadata.uid) + "/volumes"));
  for (const auto& volume : pod.spec.volumes) {
    auto made = prepare_one(pod, volume, facts, objects);
    if (!made.ok()) {
      return make_error(made.error().code, "MountVolume.SetUp failed for volume \"" + volume.name +
                                               "\" : " + made.error().message);
    }
  }
  return {};
}

Result<void> VolumeManager::prepare_one(const v1::Pod& pod, const v1::Volume& volume, const PodFacts& facts,
                                        const ObjectSource& objects) {
  const std::string dir = volume_dir(pod.metadata.uid, volume.name);
  if (has_files(volume)) {
    COX_ASSIGN_OR_RETURN(const VolumeFiles files, volume_files(pod, volume, facts, objects));
    if (keeps_secrets(volume)) COX_RETURN_IF_ERROR(mount_tmpfs(dir, 0));
    auto written = write_atomically(dir, files, fs_group(pod));
    if (!written.ok()) return std::move(written).error();
    return {};
  }
  if (volume.emptyDir) return prepare_empty_dir(dir, *volume.emptyDir, fs_group(pod));
  if (volume.hostPath) return check_host_path(*volume.hostPath);
  // No source at all is an emptyDir; anything else is a kind that we do not have.
  if (volume.persistentVolumeClaim || volume.csi || volume.nfs || volume.iscsi || volume.image ||
      volume.ephemeral) {
    return make_error(ErrorCode::kUnimplemented,
                      "this kubelet supports emptyDir, configMap, secret, downwardAPI, "
                      "projected and hostPath volumes only");
  }
  return prepare_empty_dir(dir, {}, fs_group(pod));
}

Result<std::vector<Mount>> VolumeManager::mounts(const v1::Pod& pod, const v1::Container& container,
                                                 const Environment& environment) {
  std::vector<Mount> out;
  const std::string& uid = pod.metadata.uid;
  for (std::size_t i = 0; i < container.volumeMounts.size(); ++i) {
    const auto& m = container.volumeMounts[i];
    const v1::Volume* volume = find_volume(pod, m.name);
    if (!volume)
      return make_error(ErrorCode::kInvalidArgument, "volume \"" + m.name + "\" is not in the pod");
    Mount mount;
    mount.source = volume->hostPath ? volume->hostPath->path : volume_dir(uid, m.name);
    mount.target = m.mountPath[0] == '/' ? m.mountPath : "/" + m.mountPath;
    mount.read_only = m.readOnly || has_files(*volume);
    const std::string propagation = m.mountPropagation.value_or("None");
    mount.propagation = propagation == "HostToContainer" ? "rslave"
                        : propagation == "Bidirectional" ? "rshared"
                                                         : "";
    const std::string relative = m.subPathExpr.empty() ? m.subPath : expand(m.subPathExpr, environment);
    if (!relative.empty()) {
      COX_ASSIGN_OR_RETURN(mount.source, sub_path(uid, container.name, i, mount.source, relative));
    }
    out.push_back(std::move(mount));
  }
  const auto has = [&](const char* target) {
    return std::any_of(out.begin(), out.end(), [&](const Mount& m) { return m.target == target; });
  };
  if (!pod.spec.hostNetwork || !pod.spec.hostAliases.empty()) {
    if (!has("/etc/hosts")) out.push_back({pod_dir(uid) + "/etc-hosts", "/etc/hosts", false, ""});
  }
  if (!has("/etc/resolv.conf")) out.push_back({pod_dir(uid) + "/resolv.conf", "/etc/resolv.conf", false, ""});
  return out;
}

// A bind mount of the checked file descriptor: what the container gets cannot be swapped for a link
// between the check and the use.
Result<std::string> VolumeManager::sub_path(const std::string& uid, const std::string& container,
                                            std::size_t index, const std::string& volume,
                                            const std::string& relative) {
  const Fd root(::open(volume.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) return io_error("cannot open volume " + volume);
  Fd target(open_beneath(root.get(), relative));
  if (target.get() < 0 && errno == ENOENT) COX_RETURN_IF_ERROR(make_beneath(root.get(), relative));
  const Fd found(open_beneath(root.get(), relative));
  if (found.get() < 0) return io_error("subPath " + relative + " is not usable");
  struct stat st {};
  if (::fstat(found.get(), &st) != 0) return io_error("subPath " + relative);
  const std::string dir = pod_dir(uid) + "/subpaths/" + container;
  const std::string point = dir + "/" + std::to_string(index);
  COX_RETURN_IF_ERROR(make_dirs(dir));
  while (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (S_ISDIR(st.st_mode)) {
    COX_RETURN_IF_ERROR(make_dirs(point));
  } else {
    std::ofstream touch(point, std::ios::app);
    if (!touch) return io_error("cannot make " + point);
  }
  const std::string source = "/proc/self/fd/" + std::to_string(found.get());
  if (::mount(source.c_str(), point.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return io_error("cannot bind subPath " + relative);
  }
  return point;
}

Result<void> VolumeManager::tear_down(const std::string& pod_uid) {
  const std::string dir = pod_dir(pod_uid);
  std::error_code ec;
  if (pod_uid.empty() || !fs::exists(dir, ec)) return {};
  // Everything mounted below, deepest first; then nothing that we delete can be somebody's data.
  std::vector<std::string> points;
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    const auto words = split(line, ' ');
    if (words.size() > 1 && words[1].compare(0, dir.size() + 1, dir + "/") == 0) points.push_back(words[1]);
  }
  std::sort(points.rbegin(), points.rend());
  for (const auto& point : points) {
    if (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT) {
      return io_error("cannot unmount " + point);
    }
  }
  fs::remove_all(dir, ec);
  if (ec) return make_error(ErrorCode::kIo, "cannot remove " + dir + ": " + ec.message());
  return {};
}

std::vector<std::string> VolumeManager::pods_on_disk() const {
  std::vector<std::string> out;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(root_dir_ + "/pods", ec))
    out.push_back(entry.path().filename());
  return out;
}

Result<std::string> VolumeManager::termination_file(const std::string& uid, const std::string& container,
                                                    int attempt) {
  const std::string dir = pod_dir(uid) + "/containers/" + container;
  COX_RETURN_IF_ERROR(make_dirs(dir));
  const std::string path = dir + "/" + std::to_string(attempt) + ".msg";
  std::ofstream out(path, std::ios::app);
  if (!out) return io_error("cannot make " + path);
  ::chmod(path.c_str(), 0666);  // whatever user the container runs as
  return path;
}

Result<void> VolumeManager::write_etc_files(const std::string& uid, const std::string& hosts,
                                            const std::string& resolv) {
  COX_RETURN_IF_ERROR(make_dirs(pod_dir(uid)));
  for (const auto& [name, text] :
       {std::pair<const char*, const std::string&>("/etc-hosts", hosts), {"/resolv.conf", resolv}}) {
    const std::string path = pod_dir(uid) + name;
    std::ofstream out(path, std::ios::trunc);
    out << text;
    out.close();
    if (!out) return io_error("cannot write " + path);
  }
  return {};
}

}  // namespace coxswain::kubelet
