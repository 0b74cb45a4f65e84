#include "services/kubelet/volumes/atomic_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "libs/common/base/strings.h"

namespace coxswain::kubelet {
namespace fs = std::filesystem;
namespace {

Error io_error(const std::string& what, const std::string& path) {
  return make_error(ErrorCode::kIo, what + " " + path + ": " + std::strerror(errno));
}

bool is_safe(const std::string& path) {
  if (path.empty() || path[0] == '/' || path.compare(0, 2, "..") == 0) return false;
  for (const auto& part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

std::string first_part(const std::string& path) { return path.substr(0, path.find('/')); }

bool same_as_published(const std::string& folder, const VolumeFiles& files) {
  const fs::path data = fs::path(folder) / "..data";
  std::error_code ec;
  if (!fs::exists(data, ec)) return false;
  std::size_t count = 0;
  for (auto it = fs::recursive_directory_iterator(fs::canonical(data, ec), ec); !ec && it != fs::end(it);
       it.increment(ec)) {
    if (it->is_regular_file(ec)) ++count;
  }
  if (ec || count != files.size()) return false;
  for (const auto& [path, file] : files) {
    struct stat st {};
    if (::stat((data / path).c_str(), &st) != 0 || (st.st_mode & 07777) != static_cast<mode_t>(file.mode))
      return false;
    std::ifstream in(data / path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in || text.str() != file.content) return false;
  }
  return true;
}

Result<void> write_files(const fs::path& folder, const VolumeFiles& files, std::int64_t group) {
  for (const auto& [path, file] : files) {
    const fs::path target = folder / path;
    std::error_code ec;
    fs::create_directories(target.parent_path(), ec);
    std::ofstream out(target, std::ios::binary | std::ios::trunc);
    out << file.content;
    out.close();
    if (!out) return io_error("cannot write", target.string());
    if (group >= 0 && ::chown(target.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(group)) != 0) {
      return io_error("cannot give to the fsGroup", target.string());
    }
    if (::chmod(target.c_str(), static_cast<mode_t>(file.mode)) != 0)
      return io_error("cannot chmod", target.string());
  }
  return {};
}

// name -> ..data/name for every first path part; links of parts that went away are removed.
Result<void> link_parts(const std::string& folder, const VolumeFiles& files) {
  std::set<std::string> wanted;
  for (const auto& [path, file] : files) wanted.insert(first_part(path));
  for (const auto& name : wanted) {
    const std::string link = folder + "/" + name;
    if (::symlink(("..data/" + name).c_str(), link.c_str()) != 0 && errno != EEXIST)
      return io_error("cannot link", link);
  }
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const std::string name = entry.path().filename();
    if (name.compare(0, 2, "..") != 0 && !wanted.count(name)) fs::remove(entry.path(), ec);
  }
  return {};
}

// Generations that nobody can see: replaced ones, and those of writers that died before their swap.
void sweep(const std::string& folder) {
  std::error_code ec;
  const fs::path current = fs::read_symlink(folder + "/..data", ec);
  if (ec) return;
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const fs::path name = entry.path().filename();
    if (name.string().rfind("..data_", 0) == 0 && name != current) stale.push_back(entry.path());
  }
  for (const auto& path : stale) fs::remove_all(path, ec);
}

}  // namespace

Result<bool> write_atomically(const std::string& folder, const VolumeFiles& files, std::int64_t group) {
  for (const auto& [path, file] : files) {
    if (!is_safe(path))
      return make_error(ErrorCode::kInvalidArgument, "volume path \"" + path + "\" is not allowed");
  }
  VolumeFiles wanted = files;
  if (group >= 0) {
    for (auto& [path, file] : wanted) file.mode |= 0440;  // the group may read what it owns
  }
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) return make_error(ErrorCode::kIo, "cannot make " + folder + ": " + ec.message());
  if (same_as_published(folder, wanted)) {
    COX_RETURN_IF_ERROR(link_parts(folder, wanted));  // the writer may have died right after its swap
    sweep(folder);
    return false;
  }

  std::string fresh = folder + "/..data_XXXXXX";
  if (!::mkdtemp(fresh.data())) return io_error("cannot make a folder in", folder);
  ::chmod(fresh.c_str(), 0755);
  if (auto written = write_files(fresh, wanted, group); !written.ok()) {
    fs::remove_all(fresh, ec);
    return std::move(written).error();
  }
  const std::string data = folder + "/..data";
  const std::string swap = folder + "/..data_tmp";
  ::unlink(swap.c_str());
  if (::symlink(fs::path(fresh).filename().c_str(), swap.c_str()) != 0) return io_error("cannot link", swap);
  if (::rename(swap.c_str(), data.c_str()) != 0) return io_error("cannot rename", swap);
  COX_RETURN_IF_ERROR(link_parts(folder, wanted));
  sweep(folder);
  return true;
}

}  // namespace coxswain::kubelet
