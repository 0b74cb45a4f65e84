#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/commands/commands.h"
#include "libs/api/yaml/yaml.h"

namespace coxswain::cli {
namespace {

namespace fs = std::filesystem;

Result<std::vector<std::string>> expand(const std::string& path) {
  std::error_code error;
  if (path == "-" || !fs::is_directory(path, error)) return std::vector<std::string>{path};
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string extension = entry.path().extension();
    if (extension == ".yaml" || extension == ".yml" || extension == ".json") files.push_back(entry.path());
  }
  if (files.empty()) return make_error(ErrorCode::kNotFound, "no .yaml, .yml or .json file in " + path);
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::string> read_file(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_error(ErrorCode::kNotFound, "cannot read " + path + ": is the path right?");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A List is its items.
void add_object(json::Value object, std::vector<json::Value>& out) {
  json::Value* items = object.find("items");
  if (items != nullptr && items->is_array() && object.get_string("kind").ends_with("List")) {
    for (json::Value& item : items->as_array()) add_object(std::move(item), out);
  } else if (!object.is_null()) {
    out.push_back(std::move(object));
  }
}

}  // namespace

Result<std::vector<json::Value>> read_objects(const std::vector<std::string>& files) {
  std::vector<json::Value> objects;
  for (const std::string& path : files) {
    COX_ASSIGN_OR_RETURN(const std::vector<std::string> expanded, expand(path));
    for (const std::string& file : expanded) {
      COX_ASSIGN_OR_RETURN(const std::string text, read_file(file));
      auto documents = yaml::parse_all(text);
      if (!documents.ok()) return make_error(documents.error().code, file + ": " + documents.error().message);
      for (json::Value& document : *documents) add_object(std::move(document), objects);
    }
  }
  if (objects.empty()) return make_error(ErrorCode::kNotFound, "no objects in the files given with -f");
  return objects;
}

Result<ObjectPlace> place_of(const Discovery& discovery, const json::Value& object,
                             const std::string& default_ns) {
  const std::string kind = object.get_string("kind");
  const std::string api_version = object.get_string("apiVersion");
  const std::string name = object.get_string_path({"metadata", "name"});
  if (kind.empty() || api_version.empty()) {
    return make_error(ErrorCode::kInvalidArgument, "an object has no kind or no apiVersion");
  }
  if (name.empty()) return make_error(ErrorCode::kInvalidArgument, "a " + kind + " has no metadata.name");
  ObjectPlace place;
  place.kind = discovery.find_kind(api_version, kind);
  if (place.kind == nullptr) {
    return make_error(ErrorCode::kInvalidArgument, "no matches for kind \"" + kind + "\" in version \"" +
                                                       api_version +
                                                       "\"; `coxctl api-resources` lists what there is");
  }
  place.name = name;
  if (place.kind->namespaced) {
    place.ns = object.get_string_path({"metadata", "namespace"});
    if (place.ns.empty()) place.ns = default_ns;
  }
  return place;
}

}  // namespace coxswain::cli
