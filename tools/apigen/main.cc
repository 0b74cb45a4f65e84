// apigen CATALOGUE OUTPUT_DIR: generates the schema table and the typed structs. Files that would not
// change are left alone, so that a comment in the catalogue does not rebuild the world.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "libs/common/json/json.h"
#include "tools/apigen/model.h"

namespace coxswain::apigen {

std::string quote(const std::string& text) {
  std::string out;
  json::write_string(text, out);
  return out;
}

}  // namespace coxswain::apigen

namespace {

bool write_if_changed(const std::filesystem::path& path, const std::string& text) {
  std::ifstream old(path, std::ios::binary);
  if (old && std::string(std::istreambuf_iterator<char>(old), {}) == text) return true;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  return static_cast<bool>(file.flush());
}

}  // namespace

int main(int argc, char** argv) {
  using namespace coxswain;
  if (argc != 3) {
    std::fprintf(stderr, "usage: apigen CATALOGUE OUTPUT_DIR\n");
    return 2;
  }
  const auto catalogue = apigen::load_catalogue(argv[1]);
  if (!catalogue.ok()) {
    std::fprintf(stderr, "%s\n", catalogue.error().message.c_str());
    return 1;
  }
  apigen::Files files;
  apigen::emit_schema(*catalogue, files);
  apigen::emit_types(*catalogue, files);
  for (const auto& [name, text] : files) {
    if (!write_if_changed(std::filesystem::path(argv[2]) / name, text)) {
      std::fprintf(stderr, "apigen: cannot write %s/%s\n", argv[2], name.c_str());
      return 1;
    }
  }
  return 0;
}
