#include "libs/common/kubeconfig/kubeconfig.h"

#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "libs/common/base/strings.h"
#include "libs/common/pki/pki.h"

namespace coxswain::kubeconfig {
namespace {

struct File {
  std::string path;
  YAML::Node root;
};

std::string scalar(const YAML::Node& node, const char* key) {
  if (!node || !node.IsMap()) return "";
  const YAML::Node value = node[key];
  return value && value.IsScalar() ? value.as<std::string>() : "";
}

// Entry `name` of the list `list`, in the first file that has it.
struct Found {
  YAML::Node body;
  std::string file;
};

Found find_named(const std::vector<File>& files, const char* list, const char* member,
                 const std::string& name) {
  for (const File& file : files) {
    const YAML::Node entries = file.root[list];
    if (!entries || !entries.IsSequence()) continue;
    for (const YAML::Node& entry : entries) {
      if (scalar(entry, "name") == name) return {entry[member], file.path};
    }
  }
  return {};
}

// `<key>-data` (base64) before `<key>` (a path).
Result<std::string> pem(const Found& found, const char* key) {
  const std::string data = scalar(found.body, (std::string(key) + "-data").c_str());
  if (!data.empty()) {
    auto decoded = base64_decode(data);
    if (!decoded)
      return make_error(ErrorCode::kInvalidArgument, found.file + ": " + key + "-data is not base64");
    return *decoded;
  }
  std::string path = scalar(found.body, key);
  if (path.empty()) return std::string();
  if (path[0] != '/') path = std::filesystem::path(found.file).parent_path() / path;
  return pki::read_file(path);
}

Result<std::vector<File>> read_files(const std::vector<std::string>& paths, bool must_exist) {
  std::vector<File> files;
  for (const std::string& path : paths) {
    if (path.empty()) continue;
    auto text = pki::read_file(path);
    if (!text.ok()) {
      if (must_exist) return text.error();
      continue;
    }
    try {
      YAML::Node root = YAML::Load(*text);
      if (root.IsMap()) files.push_back({path, root});
    } catch (const YAML::Exception& error) {
      return make_error(ErrorCode::kInvalidArgument,
                        path + ":" + std::to_string(error.mark.line + 1) + ": " + error.msg);
    }
  }
  return files;
}

Result<Config> resolve(const std::vector<File>& files, std::string context_name) {
  for (const File& file : files) {
    if (context_name.empty()) context_name = scalar(file.root, "current-context");
  }
  if (context_name.empty())
    return make_error(ErrorCode::kInvalidArgument, "the kubeconfig has no current-context: choose one");
  const Found context = find_named(files, "contexts", "context", context_name);
  if (context.file.empty())
    return make_error(ErrorCode::kNotFound, "the kubeconfig has no context \"" + context_name + "\"");
  Config config;
  config.context = context_name;
  config.ns = scalar(context.body, "namespace");
  config.user = scalar(context.body, "user");
  const std::string cluster_name = scalar(context.body, "cluster");
  const Found cluster = find_named(files, "clusters", "cluster", cluster_name);
  if (cluster.file.empty())
    return make_error(ErrorCode::kNotFound, "the kubeconfig has no cluster \"" + cluster_name + "\"");
  config.server = scalar(cluster.body, "server");
  while (!config.server.empty() && config.server.back() == '/') config.server.pop_back();
  if (config.server.empty())
    return make_error(ErrorCode::kInvalidArgument,
                      "the kubeconfig's cluster \"" + cluster_name + "\" has no server");
  config.insecure_skip_verify = scalar(cluster.body, "insecure-skip-tls-verify") == "true";
  COX_ASSIGN_OR_RETURN(config.ca_pem, pem(cluster, "certificate-authority"));
  const Found user = find_named(files, "users", "user", config.user);
  if (user.file.empty()) return config;
  COX_ASSIGN_OR_RETURN(config.certificate_pem, pem(user, "client-certificate"));
  COX_ASSIGN_OR_RETURN(config.key_pem, pem(user, "client-key"));
  config.token = scalar(user.body, "token");
  if (std::string file = scalar(user.body, "tokenFile"); config.token.empty() && !file.empty()) {
    if (file[0] != '/') file = std::filesystem::path(user.file).parent_path() / file;
    COX_ASSIGN_OR_RETURN(const std::string text, pki::read_file(file));
    config.token = trim(text);
  }
  return config;
}

}  // namespace

Result<Config> load(const std::string& path, const std::string& context) {
  std::vector<std::string> paths;
  if (!path.empty()) {
    paths = {path};
  } else if (const char* variable = std::getenv("KUBECONFIG"); variable != nullptr && *variable != '\0') {
    paths = split(variable, ':');
  } else if (const char* home = std::getenv("HOME"); home != nullptr) {
    paths = {std::string(home) + "/.kube/config"};
  }
  COX_ASSIGN_OR_RETURN(const std::vector<File> files, read_files(paths, !path.empty()));
  if (files.empty()) {
    return make_error(ErrorCode::kNotFound,
                      "no kubeconfig found: set KUBECONFIG to the file of your cluster, or use --kubeconfig");
  }
  try {
    return resolve(files, context);
  } catch (const YAML::Exception& error) {
    return make_error(ErrorCode::kInvalidArgument, "the kubeconfig is malformed: " + error.msg);
  }
}

std::string format(const Config& config, const std::string& cluster_name) {
  const std::string context = config.user + "@" + cluster_name;
  std::string text = "apiVersion: v1\nkind: Config\nclusters:\n- name: " + cluster_name +
                     "\n  cluster:\n    server: " + config.server + "\n";
  if (!config.ca_pem.empty())
    text += "    certificate-authority-data: " + base64_encode(config.ca_pem) + "\n";
  text += "users:\n- name: \"" + config.user + "\"\n  user:\n";
  if (!config.certificate_pem.empty())
    text += "    client-certificate-data: " + base64_encode(config.certificate_pem) + "\n";
  if (!config.key_pem.empty()) text += "    client-key-data: " + base64_encode(config.key_pem) + "\n";
  if (!config.token.empty()) text += "    token: \"" + config.token + "\"\n";
  text += "contexts:\n- name: \"" + context + "\"\n  context:\n    cluster: " + cluster_name +
          "\n    user: \"" + config.user + "\"\n";
  if (!config.ns.empty()) text += "    namespace: \"" + config.ns + "\"\n";
  return text + "current-context: \"" + context + "\"\n";
}

Result<void> save(const std::string& path, const Config& config, const std::string& cluster_name) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error)
    return make_error(ErrorCode::kIo, "cannot create the folder of " + path + ": " + error.message());
  // Written anew at every start of the api-server.
  return pki::write_file_atomic(path, format(config, cluster_name), 0600, pki::Durability::kRemade);
}

}  // namespace coxswain::kubeconfig
