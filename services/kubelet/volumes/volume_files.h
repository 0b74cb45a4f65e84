// What configMap, secret, downwardAPI and projected volumes contain. Pure.
#pragma once

#include "services/kubelet/core/env.h"
#include "services/kubelet/volumes/atomic_writer.h"

namespace coxswain::kubelet {

// The error is what a FailedMount event says.
Result<VolumeFiles> volume_files(const v1::Pod& pod, const v1::Volume& volume, const PodFacts& facts,
                                 const ObjectSource& objects);
bool has_files(const v1::Volume& volume);      // is of one of those kinds
bool keeps_secrets(const v1::Volume& volume);  // belongs on tmpfs

// The ConfigMaps and Secrets that the pod's volumes and environment name.
struct PodReferences {
  std::vector<std::string> config_maps;
  std::vector<std::string> secrets;
};
PodReferences references_of(const v1::Pod& pod);

}  // namespace coxswain::kubelet
