// Which credentials of imagePullSecrets go with an image. Pure.
// Rules: registry hosts match label by label, `*` and `?` stand for part of a label; the port must be the
// same; a path matches what lies below it; the longest key wins (Kubernetes' "Images" documentation).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coxswain::kubelet {

struct RegistryCredential {
  std::string server;  // the key as written
  std::string user;
  std::string password;
};

// `configs`: the values of the secrets' `.dockerconfigjson` or `.dockercfg`, in order. Damaged ones are
// passed over. The best match first.
std::vector<RegistryCredential> credentials_for(std::string_view image,
                                                const std::vector<std::string>& configs);

// The X-Registry-Auth header of the Docker Engine API.
std::string registry_auth_header(const RegistryCredential& credential);

}  // namespace coxswain::kubelet
