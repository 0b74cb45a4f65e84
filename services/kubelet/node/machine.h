// Facts about this machine, read from /proc and friends.
#pragma once

#include <cstdint>
#include <string>

#include "services/kubelet/core/resources.h"

namespace coxswain::kubelet {

struct Machine {
  NodeCapacity capacity;
  std::int64_t disk_bytes = 0;  // of the file system below `path`
  std::int64_t disk_free_bytes = 0;
  std::int64_t memory_available_bytes = 0;
  std::string machine_id, boot_id, system_uuid, kernel, os_image, architecture;
};

Machine read_machine(const std::string& path);
std::string go_architecture();  // "amd64", "arm64"

}  // namespace coxswain::kubelet
