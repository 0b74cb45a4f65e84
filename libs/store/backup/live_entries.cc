#include "libs/store/backup/live_entries.h"

namespace coxswain::store {
namespace {

constexpr std::size_t kFirstBytes = 64u << 10;

}  // namespace

Result<std::unique_ptr<LiveEntries>> LiveEntries::open(std::unique_ptr<EngineImage> image,
                                                       Revision revision) {
  std::unique_ptr<LiveEntries> live(new LiveEntries(std::move(image)));
  COX_RETURN_IF_ERROR(live->read_applied());
  const Applied& applied = live->applied_;
  if (revision > applied.revision) {
    return make_error(ErrorCode::kOutOfRange, "revision " + std::to_string(revision) +
                                                  " is in the future; the store is at " +
                                                  std::to_string(applied.revision));
  }
  if (revision != 0 && revision < applied.compacted) {
    return make_error(ErrorCode::kCompacted, "revision " + std::to_string(revision) +
                                                 " has been compacted; the oldest available is " +
                                                 std::to_string(applied.compacted));
  }
  live->revision_ = revision == 0 ? applied.revision : revision;
  return live;
}

// An image begins with the rows that tell where the state is.
Result<void> LiveEntries::read_applied() {
  const std::shared_ptr<Engine> meta = open_memory_engine();
  while (begun_.empty()) {
    COX_ASSIGN_OR_RETURN(EngineBatch rows, image_->next(kFirstBytes));
    if (rows.empty()) break;
    EngineBatch first;
    for (EngineWrite& row : rows) (row.family == Family::kMeta ? first : begun_).push_back(std::move(row));
    COX_RETURN_IF_ERROR(meta->write(first));
  }
  COX_ASSIGN_OR_RETURN(applied_, History(meta).applied());
  return {};
}

Result<std::vector<EntryPtr>> LiveEntries::next(std::size_t max_bytes) {
  std::vector<EntryPtr> out;
  while (out.empty() && !ended_) {
    EngineBatch rows = std::exchange(begun_, {});
    if (rows.empty()) {
      COX_ASSIGN_OR_RETURN(rows, image_->next(max_bytes));
    }
    if (rows.empty()) ended_ = true;
    COX_RETURN_IF_ERROR(take(rows, &out));
    if (ended_) COX_RETURN_IF_ERROR(check_content());
  }
  return out;
}

Result<void> LiveEntries::check_content() const {
  if (revision_ != applied_.revision || applied_.content.value_or(content_) == content_) return {};
  return make_error(ErrorCode::kCorruption,
                    "what is on this member's disk is not what was written; do not rely on it: with other "
                    "members, replace this one (coxctl store member replace), else use the last snapshot");
}

Result<void> LiveEntries::take(const EngineBatch& rows, std::vector<EntryPtr>* out) {
  for (const EngineWrite& row : rows) {
    if (row.family != Family::kVersions) {  // events come last
      ended_ = true;
      return {};
    }
    COX_ASSIGN_OR_RETURN(EntryPtr entry, History::read_version_row(row.key, row.value.value_or("")));
    // The newest version comes first.
    if (entry->mod_revision > revision_ || entry->key == last_key_) continue;
    last_key_ = entry->key;
    if (entry->version == 0) continue;
    content_ += hash_entry(*entry);
    out->push_back(std::move(entry));
  }
  return {};
}

}  // namespace coxswain::store
