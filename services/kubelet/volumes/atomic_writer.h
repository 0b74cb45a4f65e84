// Publishes a set of files into a folder so that a reader sees all of the old ones or all of the new:
//   dir/..2026_11_20_10_00_00.1/{files}   dir/..data -> that   dir/file -> ..data/file
// The swap is one rename of the ..data link, as Kubernetes' volumes do, so that readers which watch
// ..data keep working.
#pragma once

#include <map>
#include <string>

#include "libs/common/base/result.h"

namespace coxswain::kubelet {

struct VolumeFile {
  std::string content;
  int mode = 0644;
  bool operator==(const VolumeFile&) const = default;
};
using VolumeFiles = std::map<std::string, VolumeFile>;  // by relative path

// True when the files changed. `group` >= 0 owns them (fsGroup). Refuses paths that leave the folder.
Result<bool> write_atomically(const std::string& folder, const VolumeFiles& files, std::int64_t group);

}  // namespace coxswain::kubelet
