#include "libs/store/mvcc/copied_state.h"

#include "libs/store/mvcc/history.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store {

StateSum::StateSum() : meta_(open_memory_engine()) {}

Result<void> StateSum::add(const EngineBatch& rows) {
  EngineBatch meta;
  for (const EngineWrite& row : rows) {
    if (row.family == Family::kMeta) meta.push_back(row);
    if (row.family == Family::kVersions)
      COX_RETURN_IF_ERROR(History::add_version(row.key, row.value.value_or(""), &key_, &content_));
  }
  return meta.empty() ? Result<void>() : meta_->write(meta);
}

Result<void> StateSum::check(std::uint64_t index, std::uint64_t term) const {
  COX_ASSIGN_OR_RETURN(const Applied applied, History(meta_).applied());
  if (applied.index == index && applied.term == term && applied.content.value_or(content_) == content_)
    return {};
  return make_error(ErrorCode::kCorruption, "it is not the state after entry " + std::to_string(index));
}

Result<void> CopiedState::write(const EngineBatch& rows) {
  COX_RETURN_IF_ERROR(sum_.add(rows));
  return copy_->write(rows);
}

Result<EngineBatch> CheckedImage::next(std::size_t max_bytes) {
  Result<EngineBatch> rows = image_->next(max_bytes);
  if (rows.ok() && !raft::planted(raft::Mutant::kImageNotChecked)) {
    const Result<void> right = rows->empty() ? sum_.check(index_, term_) : sum_.add(*rows);
    if (!right.ok()) rows = right.error();
  }
  if (!rows.ok() && rows.error().code == ErrorCode::kCorruption) damaged_->store(true);
  return rows;
}

}  // namespace coxswain::store
