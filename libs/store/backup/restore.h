// A new data directory from a snapshot: the state of then, of a new group, at a revision that no client has
// seen. Old watches and resourceVersions get kCompacted there. Nobody else's is touched.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/store/backup/snapshot_file.h"
#include "libs/store/env/env.h"
#include "libs/store/open.h"

namespace coxswain::store {

struct RestoreOptions {
  std::string dir;  // the store's; missing or empty, its parent exists
  // The new group, whose members all restore the same file, and this one's id in it. None: a store that is
  // alone.
  std::vector<GroupMember> members;
  std::uint64_t member_id = 1;
  std::string cluster_id;                  // of the new group, the same for all of it; empty: a random one
  Revision bump_revision = 1'000'000'000;  // what is added to the snapshot's revision; > 0
  Env* env = nullptr;                      // not owned; null: the real operating system
};

struct Restored {
  SnapshotSummary snapshot;
  Revision revision = 0;      // of the new store
  std::uint64_t dropped = 0;  // entries of the store's own that do not outlive the group
  std::string cluster_id;     // of the new group; empty: it is alone
};

// Takes the file in pieces. What is written goes to DIR.restoring, which becomes DIR in the end: a file that
// is damaged, cut off or of another format, and a crash, leave nothing under the final name. One thread.
class Restore {
 public:
  // kAlreadyExists: there is a store; kUnavailable: another restore runs; kInvalidArgument: the options.
  static Result<std::unique_ptr<Restore>> open(RestoreOptions options);
  ~Restore();  // unfinished: takes away what it wrote

  Result<void> feed(std::string_view bytes);  // errors as of SnapshotDecoder, and the disk's
  Result<Restored> finish();                  // the file ends here; durable

 private:
  struct Work;
  explicit Restore(std::unique_ptr<Work> work);
  const std::unique_ptr<Work> work_;
};

}  // namespace coxswain::store
