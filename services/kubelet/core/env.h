// The environment of a container, and $(NAME) expansion. Pure: objects come through callbacks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/common/base/result.h"
#include "services/kubelet/core/model.h"
#include "services/kubelet/core/resources.h"

namespace coxswain::kubelet {

// Look-ups answer nullptr when the object does not exist.
struct ObjectSource {
  std::function<std::shared_ptr<const v1::ConfigMap>(const std::string& ns, const std::string& name)>
      config_map;
  std::function<std::shared_ptr<const v1::Secret>(const std::string& ns, const std::string& name)> secret;
  std::function<std::vector<std::shared_ptr<const v1::Service>>()> services;
};

struct PodFacts {
  std::string pod_ip;
  std::string host_ip;
  std::string node_name;
  NodeCapacity node;
};

using Environment = std::vector<std::pair<std::string, std::string>>;

// Service variables, then envFrom, then env. The error is a CreateContainerConfigError message.
Result<Environment> make_environment(const v1::Pod& pod, const v1::Container& container,
                                     const PodFacts& facts, const ObjectSource& objects);

// "$(NAME)" becomes its value when known, else stays; "$$(NAME)" is a literal "$(NAME)".
std::string expand(const std::string& text, const Environment& environment);

// fieldRef of the downward API. The error says which path is not supported.
Result<std::string> pod_field(const v1::Pod& pod, const std::string& path, const PodFacts& facts);

}  // namespace coxswain::kubelet
