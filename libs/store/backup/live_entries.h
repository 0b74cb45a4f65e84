// What is alive in an image of an engine as of one revision, in the order of the keys and in bounded memory.
// One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libs/store/engine/engine.h"
#include "libs/store/mvcc/history.h"

namespace coxswain::store {

class LiveEntries {
 public:
  // `revision` 0: the image's own. Errors: kOutOfRange (the image is older), kCompacted, and the engine's.
  static Result<std::unique_ptr<LiveEntries>> open(std::unique_ptr<EngineImage> image, Revision revision);

  const Applied& applied() const { return applied_; }
  Revision revision() const { return revision_; }

  // Some more, from about so many bytes of rows; none: that was all. Superseded rows cost time, not memory.
  // kCorruption, at the end: of the image's own revision, and not what was written.
  Result<std::vector<EntryPtr>> next(std::size_t max_bytes);

 private:
  explicit LiveEntries(std::unique_ptr<EngineImage> image) : image_(std::move(image)) {}
  Result<void> read_applied();
  Result<void> take(const EngineBatch& rows, std::vector<EntryPtr>* out);
  Result<void> check_content() const;

  const std::unique_ptr<EngineImage> image_;
  Applied applied_;
  Revision revision_ = 0;
  EngineBatch begun_;  // rows that came with those that tell of the state
  std::string last_key_;
  StateHash content_;  // of what was handed out
  bool ended_ = false;
};

}  // namespace coxswain::store
