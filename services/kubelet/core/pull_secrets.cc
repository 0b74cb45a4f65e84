#include "services/kubelet/core/pull_secrets.h"

#include <algorithm>

#include "libs/common/base/strings.h"
#include "libs/common/json/json.h"

namespace coxswain::kubelet {
namespace {

constexpr std::string_view kDefaultRegistry = "index.docker.io";

bool is_default(std::string_view host) {
  return host == "docker.io" || host == kDefaultRegistry || host == "registry-1.docker.io";
}

struct Place {
  std::string host;  // without the port
  std::string port;
  std::string path;  // "" or "/a/b"
};

Place split_place(std::string_view text) {
  Place out;
  const std::size_t slash = text.find('/');
  std::string_view host = text.substr(0, slash);
  if (slash != std::string_view::npos) out.path = std::string(text.substr(slash));
  while (!out.path.empty() && out.path.back() == '/') out.path.pop_back();
  if (const std::size_t colon = host.rfind(':');
      colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    out.port = std::string(host.substr(colon + 1));
    host = host.substr(0, colon);
  }
  out.host = is_default(host) ? std::string(kDefaultRegistry) : std::string(host);
  return out;
}

Place place_of_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  Place out = split_place(key);
  // The versions of the registry protocol that Docker writes into its keys say nothing about the path.
  for (const std::string_view version : {"/v1", "/v2"}) {
    if (out.path == version) out.path.clear();
  }
  return out;
}

Place place_of_image(std::string_view image) {
  const std::size_t slash = image.find('/');
  const std::string_view first = image.substr(0, slash);
  const bool has_registry = slash != std::string_view::npos &&
                            (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  return split_place(has_registry ? std::string(image)
                                  : std::string(kDefaultRegistry) + "/" + std::string(image));
}

// `*` any run, `?` any one character, within one label.
bool label_matches(std::string_view pattern, std::string_view label) {
  if (pattern.empty()) return label.empty();
  if (pattern.front() == '*') {
    for (std::size_t skip = 0; skip <= label.size(); ++skip) {
      if (label_matches(pattern.substr(1), label.substr(skip))) return true;
    }
    return false;
  }
  if (label.empty() || (pattern.front() != '?' && pattern.front() != label.front())) return false;
  return label_matches(pattern.substr(1), label.substr(1));
}

bool host_matches(const std::string& pattern, const std::string& host) {
  const std::vector<std::string> patterns = split(pattern, '.');
  const std::vector<std::string> labels = split(host, '.');
  if (patterns.size() != labels.size()) return false;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    // Two stars at the most: matching stays cheap whatever a secret says.
    if (std::count(patterns[i].begin(), patterns[i].end(), '*') > 2) return false;
    if (!label_matches(patterns[i], labels[i])) return false;
  }
  return true;
}

bool path_matches(const std::string& prefix, const std::string& path) {
  if (prefix.empty()) return true;
  if (!path.starts_with(prefix)) return false;
  const char next = path.size() == prefix.size() ? '/' : path[prefix.size()];
  return next == '/' || next == ':' || next == '@';
}

RegistryCredential read_credential(const std::string& server, const json::Value& auth) {
  RegistryCredential out{server, auth.get_string("username"), auth.get_string("password")};
  if (const auto both = base64_decode(auth.get_string("auth")); out.user.empty() && both) {
    const std::size_t colon = both->find(':');
    out.user = both->substr(0, colon);
    out.password = colon == std::string::npos ? "" : both->substr(colon + 1);
  }
  return out;
}

}  // namespace

std::vector<RegistryCredential> credentials_for(std::string_view image,
                                                const std::vector<std::string>& configs) {
  const Place wanted = place_of_image(image);
  std::vector<RegistryCredential> found;
  for (const std::string& text : configs) {
    const Result<json::Value> config = json::parse(text);
    if (!config.ok() || !config->is_object()) continue;
    const json::Value* auths = config->find("auths");
    if (auths == nullptr) auths = &*config;  // the old format has the servers on top
    if (!auths->is_object()) continue;
    for (const json::Member& entry : auths->as_object()) {
      const Place key = place_of_key(entry.first);
      if (key.port != wanted.port || !host_matches(key.host, wanted.host) ||
          !path_matches(key.path, wanted.path))
        continue;
      found.push_back(read_credential(entry.first, entry.second));
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const RegistryCredential& a, const RegistryCredential& b) {
    return a.server.size() > b.server.size();
  });
  return found;
}

std::string registry_auth_header(const RegistryCredential& credential) {
  std::string out =
      base64url_encode(json::write(json::Value::object({{"username", credential.user},
                                                        {"password", credential.password},
                                                        {"serveraddress", credential.server}})));
  out.append((4 - out.size() % 4) % 4, '=');  // the Engine takes an unpadded one for no credentials at all
  return out;
}

}  // namespace coxswain::kubelet
