#include "services/kubelet/volumes/atomic_writer.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace coxswain;
using namespace coxswain::kubelet;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "coxswain-atomic-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    root = name;
    path = root / "volume";
  }
  ~Folder() { fs::remove_all(root); }
  std::string read(const std::string& file) const {
    std::ifstream in(path / file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  std::size_t generations() const {
    std::size_t n = 0;
    for (const auto& entry : fs::directory_iterator(path)) {
      n += entry.is_directory() && !entry.is_symlink();
    }
    return n;
  }
  bool write(const VolumeFiles& files, std::int64_t group = -1) const {
    const auto changed = write_atomically(path.string(), files, group);
    if (!changed.ok()) FAIL(changed.error().message);
    return *changed;
  }
  fs::path root, path;
};

}  // namespace

TEST_CASE("files appear, change and go with one swap of ..data") {
  const Folder folder;
  CHECK(folder.write({{"a", {"1", 0644}}, {"dir/b", {"2", 0400}}}));
  CHECK(folder.read("a") == "1");
  CHECK(folder.read("dir/b") == "2");
  CHECK(fs::read_symlink(folder.path / "a") == "..data/a");
  CHECK((fs::status(folder.path / "dir/b").permissions() & fs::perms::mask) == fs::perms::owner_read);
  const auto first = fs::read_symlink(folder.path / "..data");
  CHECK_FALSE(folder.write({{"a", {"1", 0644}}, {"dir/b", {"2", 0400}}}));
  CHECK(fs::read_symlink(folder.path / "..data") == first);  // untouched: watchers see no change
  CHECK(folder.write({{"a", {"new", 0644}}}));
  CHECK(folder.read("a") == "new");
  CHECK_FALSE(fs::exists(fs::symlink_status(folder.path / "dir")));
  CHECK(folder.generations() == 1);
  CHECK(folder.write({{"a", {"new", 0600}}}));  // a mode is a change
  CHECK(folder.write({}));
  CHECK_FALSE(fs::exists(fs::symlink_status(folder.path / "a")));
}

TEST_CASE("a file becomes a folder and back") {
  const Folder folder;
  CHECK(folder.write({{"x", {"file", 0644}}}));
  CHECK(folder.write({{"x/y", {"inside", 0644}}}));
  CHECK(folder.read("x/y") == "inside");
  CHECK(folder.write({{"x", {"file", 0644}}}));
  CHECK(folder.read("x") == "file");
}

TEST_CASE("a writer that died half way is finished by the next") {
  const Folder folder;
  const VolumeFiles files = {{"a", {"1", 0644}}, {"b", {"2", 0644}}};
  CHECK(folder.write(files));
  // Died after the swap and before the links; and one died before its swap.
  fs::remove(folder.path / "b");
  fs::create_symlink("..data/gone", folder.path / "gone");
  fs::create_directories(folder.path / "..data_dead01");
  folder.write(files);
  CHECK(folder.read("b") == "2");
  CHECK_FALSE(fs::exists(fs::symlink_status(folder.path / "gone")));
  CHECK(folder.generations() == 1);
}

TEST_CASE("paths that leave the volume are refused and nothing is written") {
  const Folder folder;
  for (const char* path : {"", "/etc/passwd", "../up", "a/../../up", "a//b", "./a", "a/.", "..data", "..x"}) {
    INFO(path);
    const auto written = write_atomically(folder.path.string(), {{path, {"x", 0644}}}, -1);
    REQUIRE_FALSE(written.ok());
    CHECK(written.error().code == ErrorCode::kInvalidArgument);
    CHECK_FALSE(fs::exists(folder.path));
  }
}

TEST_CASE("an fsGroup may read what it owns") {
  const Folder folder;
  const auto group = static_cast<std::int64_t>(::getgid());
  CHECK(folder.write({{"key", {"s", 0400}}}, group));
  struct stat st {};
  REQUIRE(::stat((folder.path / "key").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0440);
  CHECK(st.st_gid == ::getgid());
  CHECK_FALSE(folder.write({{"key", {"s", 0400}}}, group));
}
