#include "libs/store/log/wal.h"

#include <algorithm>
#include <cstdio>

#include "libs/common/base/check.h"
#include "libs/common/base/strings.h"
#include "libs/store/log/record.h"

namespace coxswain::store {
namespace {

constexpr std::string_view kSuffix = ".wal";

std::string segment_name(std::uint64_t first) {
  char name[32];
  std::snprintf(name, sizeof name, "%020llu", static_cast<unsigned long long>(first));
  return std::string(name) + std::string(kSuffix);
}

// A record behind a damaged one, written when the damaged one was known to be durable, proves that a
// committed entry was lost. Records of the same, never synced group prove nothing.
bool proves_damage(std::string_view bytes, std::size_t from, std::uint64_t missing) {
  for (std::size_t at = (from + 7) & ~std::size_t{7}; at + kRecordHeaderBytes <= bytes.size(); at += 8) {
    if (bytes[at] == '\0') continue;
    const std::optional<Record> record = parse_record(bytes.substr(at));
    if (record.has_value() && record->durable >= missing) return true;
  }
  return false;
}

}  // namespace

Error Wal::damaged(const std::string& where, const std::string& what) const {
  return make_error(
      ErrorCode::kCorruption,
      where + ": " + what + "; nothing was changed. To rebuild: move " + options_.dir +
          " and the state beside it away, then restore a backup or let this member copy a healthy one");
}

Result<std::unique_ptr<Wal>> Wal::open(Env& env, Options options, const Replay& replay) {
  std::unique_ptr<Wal> wal(new Wal(env, std::move(options)));
  COX_RETURN_IF_ERROR(wal->recover(replay));
  return wal;
}

Result<void> Wal::find_segments() {
  COX_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.list(options_.dir));
  for (const std::string& name : names) {
    if (name.size() <= kSuffix.size() || name.substr(name.size() - kSuffix.size()) != kSuffix) continue;
    const auto first = parse_uint64(name.substr(0, name.size() - kSuffix.size()));
    if (first.has_value()) segments_.push_back({*first, options_.dir + "/" + name});
  }
  return {};
}

// A crash while a segment was being made leaves a last file without a valid header. No entry was ever
// written to it: the header is synced first.
Result<void> Wal::drop_unfinished_segment() {
  if (segments_.empty()) return {};
  const Segment& last = segments_.back();
  COX_ASSIGN_OR_RETURN(std::unique_ptr<File> file, env_.open(last.path, false));
  COX_ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
  COX_ASSIGN_OR_RETURN(const std::string bytes, file->read_at(0, size));
  if (parse_segment_header(bytes).has_value()) return {};
  for (std::size_t at = 0; at + kRecordHeaderBytes <= bytes.size(); at += 8) {
    if (bytes[at] != '\0' && parse_record(std::string_view(bytes).substr(at)).has_value()) {
      return damaged(last.path, "the header is damaged");
    }
  }
  if (segments_.size() == 1 && last.first != options_.applied + 1)
    return damaged(last.path, "the header is damaged");
  COX_RETURN_IF_ERROR(env_.remove(last.path));
  COX_RETURN_IF_ERROR(env_.sync_dir(options_.dir));
  segments_.pop_back();
  if (!segments_.empty()) return {};
  last_ = durable_ = options_.applied;
  return roll(0);
}

Result<void> Wal::recover(const Replay& replay) {
  COX_RETURN_IF_ERROR(find_segments());
  if (segments_.empty()) {
    if (options_.applied != 0) return damaged(options_.dir, "the log is missing");
    return roll(0);
  }
  COX_RETURN_IF_ERROR(drop_unfinished_segment());
  // What the state has already needs no replay, but the last segment is where writing goes on.
  while (segments_.size() > 1 && segments_[1].first <= options_.applied + 1) {
    COX_RETURN_IF_ERROR(env_.remove(segments_.front().path));
    segments_.erase(segments_.begin());
  }
  if (segments_.front().first > options_.applied + 1) {
    return damaged(segments_.front().path,
                   "entries before " + std::to_string(segments_.front().first) + " are missing");
  }
  last_ = segments_.front().first - 1;
  for (std::size_t i = 0; i < segments_.size(); ++i) COX_RETURN_IF_ERROR(recover_segment(i, replay));
  if (last_ < options_.applied) {
    return damaged(segments_.back().path, "ends at entry " + std::to_string(last_) + " but entry " +
                                              std::to_string(options_.applied) + " was committed");
  }
  durable_ = last_;
  return {};
}

Result<void> Wal::recover_segment(std::size_t i, const Replay& replay) {
  const Segment& segment = segments_[i];
  const bool is_last = i + 1 == segments_.size();
  COX_ASSIGN_OR_RETURN(file_, env_.open(segment.path, false));
  // A killed process leaves pages that are readable but not yet durable: nothing may be built on them.
  COX_RETURN_IF_ERROR(file_->sync());
  COX_ASSIGN_OR_RETURN(capacity_, file_->size());
  COX_ASSIGN_OR_RETURN(const std::string bytes, file_->read_at(0, capacity_));
  const std::string_view view(bytes);
  if (parse_segment_header(view) != segment.first || segment.first != last_ + 1) {
    return damaged(segment.path, "the header is damaged or an earlier segment is missing");
  }
  std::size_t at = kSegmentHeaderBytes;
  for (;;) {
    const std::optional<Record> record = parse_record(view.substr(std::min(at, view.size())));
    if (!record.has_value() || record->index != last_ + 1) break;
    if (record->index > options_.applied) COX_RETURN_IF_ERROR(replay(record->index, record->payload));
    last_ = record->index;
    at += record->bytes;
  }
  offset_ = at;
  const std::uint64_t missing = last_ + 1;
  const bool lost = is_last ? proves_damage(view, at, missing) || missing <= options_.applied
                            : segments_[i + 1].first != missing;
  if (lost)
    return damaged(segment.path,
                   "entry " + std::to_string(missing) + " at offset " + std::to_string(at) + " is damaged");
  return is_last ? cut_tail(bytes, at) : Result<void>();
}

// Zeros again behind the last entry, so that leftovers are never taken for new entries.
Result<void> Wal::cut_tail(const std::string& bytes, std::size_t at) {
  if (bytes.find_first_not_of('\0', at) == std::string::npos) return {};
  COX_RETURN_IF_ERROR(file_->truncate(at));
  const Result<void> room = file_->allocate(capacity_);
  if (!room.ok()) {
    if (room.error().code != ErrorCode::kResourceExhausted) return room;
    capacity_ = at;  // full: the next append makes a new segment or says why not
  }
  return file_->sync();
}

Result<void> Wal::start_segment(const Segment& segment, std::size_t size) {
  COX_ASSIGN_OR_RETURN(std::unique_ptr<File> file, env_.open(segment.path, true));
  COX_RETURN_IF_ERROR(file->truncate(0));  // leftovers of an attempt that failed
  COX_RETURN_IF_ERROR(file->allocate(size));
  COX_RETURN_IF_ERROR(file->write_at(0, make_segment_header(segment.first)));
  Result<void> durable = file->sync();
  if (durable.ok()) durable = env_.sync_dir(options_.dir);
  if (!durable.ok()) return make_error(ErrorCode::kIo, durable.error().message);
  file_ = std::move(file);
  return {};
}

Result<void> Wal::roll(std::size_t need) {
  COX_CHECK(durable_ == last_);
  const Segment segment{last_ + 1, options_.dir + "/" + segment_name(last_ + 1)};
  // The open segment is empty when its own space could not be kept: it is replaced in place.
  const bool replace = !segments_.empty() && segments_.back().first == segment.first;
  const std::size_t size = std::max(options_.segment_bytes, kSegmentHeaderBytes + need);
  const Result<void> started = start_segment(segment, size);
  if (!started.ok()) {
    if (!replace) (void)env_.remove(segment.path);
    return started;
  }
  if (!replace) segments_.push_back(segment);
  offset_ = kSegmentHeaderBytes;
  capacity_ = size;
  return {};
}

// Part of a group may be in the page cache, and the kernel may write it back at any time: only when the cut
// itself is durable is it true that nothing happened.
Result<void> Wal::undo_append() {
  COX_RETURN_IF_ERROR(file_->truncate(offset_));
  capacity_ = offset_;
  return file_->sync();
}

Result<void> Wal::make_room() {
  return offset_ + refused_bytes_ > capacity_ ? roll(refused_bytes_) : Result<void>();
}

Result<void> Wal::append(const std::vector<std::string_view>& payloads) {
  std::size_t need = 0;
  for (const std::string_view payload : payloads) need += record_bytes(payload.size());
  refused_bytes_ = need;
  COX_RETURN_IF_ERROR(make_room());
  std::string group;
  group.reserve(need);
  std::uint64_t index = last_;
  for (const std::string_view payload : payloads) append_record(&group, ++index, durable_, payload);
  const Result<void> written = file_->write_at(offset_, group);
  if (!written.ok()) {
    if (written.error().code != ErrorCode::kResourceExhausted)
      return make_error(ErrorCode::kIo, written.error().message);
    const Result<void> undone = undo_append();
    if (!undone.ok()) return make_error(ErrorCode::kIo, undone.error().message);
    return written;
  }
  last_ = index;
  offset_ += need;
  appended_bytes_ += need;
  return {};
}

Result<void> Wal::sync() {
  const Result<void> synced = file_->sync();
  if (!synced.ok()) return make_error(ErrorCode::kIo, synced.error().message);
  durable_ = last_;
  return {};
}

Result<void> Wal::read(std::uint64_t index, const Replay& replay) {
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (i + 1 < segments_.size() && segments_[i + 1].first <= index + 1) continue;
    COX_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, env_.open(segments_[i].path, false));
    COX_ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
    COX_ASSIGN_OR_RETURN(const std::string bytes, file->read_at(0, size));
    const std::string_view view(bytes);
    for (std::size_t at = kSegmentHeaderBytes; at < view.size();) {
      const std::optional<Record> record = parse_record(view.substr(at));
      if (!record.has_value() || record->index > durable_) break;
      if (record->index == index + 1) COX_RETURN_IF_ERROR(replay(++index, record->payload));
      at += record->bytes;
    }
  }
  if (index < durable_)
    return damaged(options_.dir, "entry " + std::to_string(index + 1) + " cannot be read");
  return {};
}

Result<void> Wal::truncate_prefix(std::uint64_t index) {
  bool removed = false;
  while (segments_.size() > 1 && segments_[1].first <= index + 1) {
    COX_RETURN_IF_ERROR(env_.remove(segments_.front().path));
    segments_.erase(segments_.begin());
    removed = true;
  }
  return removed ? env_.sync_dir(options_.dir) : Result<void>();
}

}  // namespace coxswain::store
