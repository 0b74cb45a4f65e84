// The volumes of pods on this node: makes them, keeps their contents fresh, takes them away.
// Layout: <root>/pods/<uid>/{volumes/<name>, subpaths/<container>/<n>, containers/<name>/<attempt>.msg,
// etc-hosts, resolv.conf}. Thread-safe as long as one pod is used by one thread at a time.
#pragma once

#include <string>
#include <vector>

#include "services/kubelet/core/env.h"
#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

class VolumeManager {
 public:
  explicit VolumeManager(std::string root_dir) : root_dir_(std::move(root_dir)) {}

  // Idempotent; also refreshes contents. The error is what a FailedMount event says.
  Result<void> prepare(const v1::Pod& pod, const PodFacts& facts, const ObjectSource& objects);
  Result<std::vector<Mount>> mounts(const v1::Pod& pod, const v1::Container& container,
                                    const Environment& environment);
  Result<void> tear_down(const std::string& pod_uid);  // ok when there is nothing
  std::vector<std::string> pods_on_disk() const;       // uids

  std::string pod_dir(const std::string& uid) const { return root_dir_ + "/pods/" + uid; }
  Result<std::string> termination_file(const std::string& uid, const std::string& container, int attempt);
  Result<void> write_etc_files(const std::string& uid, const std::string& hosts, const std::string& resolv);

 private:
  std::string volume_dir(const std::string& uid, const std::string& name) const;
  Result<void> prepare_one(const v1::Pod& pod, const v1::Volume& volume, const PodFacts& facts,
                           const ObjectSource& objects);
  Result<std::string> sub_path(const std::string& uid, const std::string& container, std::size_t index,
                               const std::string& volume, const std::string& relative);
  const std::string root_dir_;
};

}  // namespace coxswain::kubelet
