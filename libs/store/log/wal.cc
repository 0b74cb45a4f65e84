#include "libs/store/log/wal.h"

#include <algorithm>
#include <cstdio>

#include "libs/common/base/check.h"
#include "libs/common/base/strings.h"
#include "libs/store/log/record.h"

namespace coxswain::store {
namespace {

constexpr std::string_view kSuffix = ".wal";
constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::size_t kKeptBytes = 1u << 20;  // of the memory for groups

std::string segment_name(std::uint64_t first) {
  char name[32];
  std::snprintf(name, sizeof name, "%020llu", static_cast<unsigned long long>(first));
  return std::string(name) + std::string(kSuffix);
}

// A record behind a damaged one, written when the damaged one was known to be durable, proves that something
// durable was lost. Records of the same, never synced group prove nothing.
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
  return make_error(ErrorCode::kCorruption,
                    where + ": " + what +
                        "; nothing was changed. To rebuild an api-server that is alone: move " +
                        options_.dir + " and the state beside it away, then restore a backup");
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
  if (segments_.size() == 1 && last.first != 1) return damaged(last.path, "the header is damaged");
  COX_RETURN_IF_ERROR(env_.remove(last.path));
  COX_RETURN_IF_ERROR(env_.sync_dir(options_.dir));
  segments_.pop_back();
  return {};
}

Result<void> Wal::recover(const Replay& replay) {
  COX_RETURN_IF_ERROR(find_segments());
  COX_RETURN_IF_ERROR(drop_unfinished_segment());
  if (segments_.empty()) {
    if (!options_.may_be_new) return damaged(options_.dir, "the log is missing");
    return roll(0);
  }
  last_ = segments_.front().first - 1;
  for (std::size_t i = 0; i < segments_.size(); ++i) COX_RETURN_IF_ERROR(recover_segment(i, replay));
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
    COX_RETURN_IF_ERROR(replay(record->index, record->payload));
    last_ = record->index;
    at += record->bytes;
  }
  offset_ = at;
  const std::uint64_t missing = last_ + 1;
  const bool lost = is_last ? proves_damage(view, at, missing) : segments_[i + 1].first != missing;
  if (lost)
    return damaged(segment.path,
                   "record " + std::to_string(missing) + " at offset " + std::to_string(at) + " is damaged");
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
  const std::size_t size = std::max(options_.segment_bytes, kSegmentHeaderBytes + need);
  // The open segment is empty, and too short for this group or could not keep its space.
  const bool grow = !segments_.empty() && segments_.back().first == segment.first;
  if (grow) return grow_segment(size);
  const Result<void> started = start_segment(segment, size);
  if (!started.ok()) {
    (void)env_.remove(segment.path);
    return started;
  }
  segments_.push_back(segment);
  offset_ = kSegmentHeaderBytes;
  capacity_ = size;
  return {};
}

// In place: its header is durable, and without it the segment would be damaged if this went wrong.
Result<void> Wal::grow_segment(std::size_t size) {
  COX_RETURN_IF_ERROR(file_->allocate(size));
  const Result<void> durable = file_->sync();
  if (!durable.ok()) return make_error(ErrorCode::kIo, durable.error().message);
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

bool Wal::segment_is_empty() const { return offset_ == kSegmentHeaderBytes; }

Result<void> Wal::reserve(std::size_t bytes) {
  return offset_ + bytes > capacity_ ? roll(bytes) : Result<void>();
}

Result<void> Wal::append(const std::vector<Piece>& pieces) {
  std::size_t need = 0;
  for (const Piece& piece : pieces) need += record_bytes(piece.head.size() + piece.body.size());
  COX_CHECK(offset_ + need <= capacity_);
  group_.clear();
  group_.reserve(need);
  std::uint64_t number = last_;
  for (const Piece& piece : pieces) append_record(&group_, ++number, durable_, piece.head, piece.body);
  const Result<void> written = file_->write_at(offset_, group_);
  if (group_.capacity() > kKeptBytes) group_ = std::string();
  if (!written.ok()) {
    if (written.error().code != ErrorCode::kResourceExhausted)
      return make_error(ErrorCode::kIo, written.error().message);
    const Result<void> undone = undo_append();
    if (!undone.ok()) return make_error(ErrorCode::kIo, undone.error().message);
    return written;
  }
  last_ = number;
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

Result<void> Wal::read_segment(std::size_t i, std::uint64_t* number,
                               const std::function<bool(std::uint64_t, std::string_view)>& more,
                               bool* stopped) {
  COX_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, env_.open(segments_[i].path, false));
  COX_ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
  std::string window;  // of the file...
  std::size_t used = 0;
  std::uint64_t at = kSegmentHeaderBytes;  // ...of which this is not used yet
  while (at < size && *number <= durable_ && !*stopped) {
    const std::optional<Record> record = parse_record(std::string_view(window).substr(used));
    if (!record.has_value()) {  // cut off, perhaps: twice as much is read until it is whole
      const std::size_t had = window.size() - used;
      if (had == size - at) return {};
      const std::uint64_t want = std::max<std::uint64_t>(kReadBytes, 2 * had);
      COX_ASSIGN_OR_RETURN(window, file->read_at(at, std::min(want, size - at)));
      used = 0;
      continue;
    }
    if (record->index == *number) {
      *stopped = !more(*number, record->payload);
      ++*number;
    }
    used += record->bytes;
    at += record->bytes;
  }
  return {};
}

Result<void> Wal::read(std::uint64_t number,
                       const std::function<bool(std::uint64_t number, std::string_view payload)>& more) {
  bool stopped = false;
  for (std::size_t i = 0; i < segments_.size() && !stopped; ++i) {
    if (i + 1 < segments_.size() && segments_[i + 1].first <= number) continue;
    COX_RETURN_IF_ERROR(read_segment(i, &number, more, &stopped));
  }
  if (!stopped && number <= durable_)
    return damaged(options_.dir, "record " + std::to_string(number) + " cannot be read");
  return {};
}

// One at a time, oldest first: what a crash brings back must join what was kept.
Result<void> Wal::truncate_prefix(std::uint64_t number) {
  while (segments_.size() > 1 && segments_[1].first <= number + 1) {
    COX_RETURN_IF_ERROR(env_.remove(segments_.front().path));
    segments_.erase(segments_.begin());
    COX_RETURN_IF_ERROR(env_.sync_dir(options_.dir));
  }
  return {};
}

}  // namespace coxswain::store
